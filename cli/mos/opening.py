"""How commands open a study: with a sentence where what it needs is not installed."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from lacbench.errors import MissingError

if TYPE_CHECKING:
    from lacbench.study.folder import Study


def require_study() -> None:
    """Raise MissingError where the extra for rating studies is not installed."""
    if importlib.util.find_spec("sqlalchemy") is None:
        raise MissingError("a rating study needs SQLAlchemy; run: pip install 'lacbench[study]'")


def open_study(folder: Path) -> "Study":
    """Open the study that a command names; it is a context, which lets its database go."""
    require_study()
    from lacbench.study.folder import Study

    return Study.open(folder)


def page_url(context: click.Context, option: click.Parameter, url: str) -> str:
    """Where raters reach their page, checked; empty where it is not said. Links add a query of their own."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as half an IPv6 address
        parts = urlsplit("")
    whole = parts.scheme in ("http", "https") and parts.hostname and not {"?", "#", " "} & set(url)
    if url and not whole:
        raise click.BadParameter(f"expected http://… or https://…, got {url}")
    return url
