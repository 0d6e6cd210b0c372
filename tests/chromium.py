"""The browser that tests use, and what they ask axe-core about its pages."""

import shutil
from collections.abc import Callable

from playwright.sync_api import Page

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Chromium's, so that it asks nobody but the page."""
AXE = "axe-core@4.14.1"
"""The npm package that holds the checker."""
Findings = Callable[[Page], list[str]]
"""What the fixture `findings` is: serious and critical violations of a page as it stands."""


def executable() -> str | None:
    """The machine's own Chromium."""
    return shutil.which("chromium") or shutil.which("google-chrome")
