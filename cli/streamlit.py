"""Starting a Streamlit page as this very process, for every command that shows one."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from lacbench.errors import MissingError


def require_streamlit(what: str) -> None:
    """Refuse where Streamlit is not installed; `what` begins the sentence ("the explorer").

    Raises:
        MissingError: it is not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise MissingError(f"{what} needs Streamlit; run: pip install 'lacbench[study]'")


def serve(
    page: str,
    arguments: Sequence[str],
    host: str,
    port: int,
    open_browser: bool = False,
    settings: Mapping[str, str] | None = None,
) -> NoReturn:
    """Become a Streamlit server of `lacbench.dashboards.<page>` that is handed `arguments`.

    Nothing is reported to Streamlit's makers, and visitors never see a traceback. `settings` go before these.
    """
    spec = importlib.util.find_spec(f"lacbench.dashboards.{page}")
    if spec is None or spec.origin is None:
        raise MissingError(f"the page {page} is not installed; install lacbench anew")
    chosen = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": str(not open_browser).lower(),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "runner.magicEnabled": "false",  # else the docstrings of constants appear on the page
    } | dict(settings or {})
    options = [f"--{name}={value}" for name, value in chosen.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(Path(spec.origin)), *options, "--", *arguments]
    os.execv(sys.executable, command)  # one process: who ends it ends the server
