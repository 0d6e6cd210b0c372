"""`lacbench mos serve`: the raters' page."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from lacbench.cli.mos.opening import open_study, page_url
from lacbench.cli.options import FOLDER, host_option, port_option


@click.command()
@click.argument("study", type=FOLDER)
@port_option
@host_option
@click.option(
    "--url",
    default="",
    callback=page_url,
    metavar="URL",
    help="Where raters reach the page, if a proxy stands before it.",
)
def serve(study: Path, port: int, host: str, url: str) -> None:
    """Show the raters' page of STUDY until Ctrl-C; `lacbench mos invite` makes the links to it."""
    from lacbench.cli import streamlit

    settings = SETTINGS | behind(url)
    streamlit.require_streamlit("the raters' page")
    open_study(study).store.close()  # what is wrong with it is better said here than in the browser
    streamlit.serve("rate", [str(study.resolve())], host, port, settings=settings)


SETTINGS = {
    "theme.base": "light",
    "theme.backgroundColor": "#808080",  # the panel's, so that nothing flashes before it is there
    "theme.textColor": "#000000",
    "ui.hideTopBar": "true",
    "server.enableXsrfProtection": "true",
    "server.maxWidgetStateSize": "1",  # megabytes; an answer has less than one thousandth
    "server.maxUploadSize": "1",  # whoever has the page open may, though nothing asks for it
    "runner.postScriptGC": "false",  # a full collection after each rating would make every rater wait
}


def behind(url: str) -> dict[str, str]:
    """Settings for a page that raters reach as `url`; none when it is empty."""
    if not url:
        return {}
    parts = urlsplit(url)
    return {
        "browser.serverAddress": parts.hostname or "",
        "server.corsAllowedOrigins": f"{parts.scheme}://{parts.netloc}",
        "server.baseUrlPath": parts.path.strip("/"),
    }
