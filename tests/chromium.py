"""The browser that tests use, and what they ask axe-core about its pages."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from rating import free_port, wait_for

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


@contextmanager
def served(*words: str) -> Iterator[str]:
    """Address of the page that `lacbench WORDS` serves, until the block ends it by its process id."""
    port = free_port()
    command = [sys.executable, "-m", "lacbench.cli.main", *words, "--no-open", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
