"""`lacbench explore`: leaf through a data set in the browser."""

import importlib.util
import os
import sys
from pathlib import Path

import click

from lacbench.cli.options import FOLDER


@click.command()
@click.argument("data", type=FOLDER)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port to listen on."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--open/--no-open", "open_browser", default=True, help="Whether to open a browser window.")
def explore(data: Path, port: int, host: str, open_browser: bool) -> None:
    """Show what DATA holds and what it left out, in the browser, until Ctrl-C."""
    from lacbench.errors import MissingError
    from lacbench.manifest import load_dataset

    if importlib.util.find_spec("streamlit") is None:
        raise MissingError("the explorer needs Streamlit; run: pip install 'lacbench[study]'")
    load_dataset(data)  # what is wrong with it is better said here than in the browser
    page = Path(str(importlib.util.find_spec("lacbench.dashboards.results").origin))  # type: ignore[union-attr]
    settings = {
        "server.address": host,
        "server.port": port,
        "server.headless": str(not open_browser).lower(),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": "false",  # else the docstrings of constants appear on the page
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(page), *options, "--", str(data.resolve())]
    os.execv(sys.executable, command)  # one process: who ends it ends the server
