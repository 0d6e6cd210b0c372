"""`lacbench explore`: leaf through a data set in the browser."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, host_option, port_option


@click.command()
@click.argument("data", type=FOLDER)
@port_option
@host_option
@click.option("--open/--no-open", "open_browser", default=True, help="Whether to open a browser window.")
def explore(data: Path, port: int, host: str, open_browser: bool) -> None:
    """Show what DATA holds and what it left out, in the browser, until Ctrl-C."""
    from lacbench.cli.streamlit import require_streamlit, serve
    from lacbench.manifest import load_dataset

    require_streamlit("the explorer")
    load_dataset(data)  # what is wrong with it is better said here than in the browser
    serve("results", [str(data.resolve())], host, port, open_browser)
