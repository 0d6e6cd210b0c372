"""`lacbench try`: paint strokes over a line art in the browser, and see what a model makes of them."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, host_option, port_option


@click.command("try")
@click.argument("model", type=ANY_PATH)
@click.option(
    "--linearts",
    type=ANY_PATH,
    help="Line arts to choose from: a data set, a folder of pictures, or one picture.",
)
@click.option(
    "--device", default="auto", show_default=True, help="Where a network runs: auto, cpu, cuda, cuda:1 …"
)
@port_option
@host_option
@click.option("--open/--no-open", "open_browser", default=True, help="Whether to open a browser window.")
def try_model(
    model: Path, linearts: Path | None, device: str, port: int, host: str, open_browser: bool
) -> None:
    """Paint colours over a line art and let MODEL colour it, in the browser, until Ctrl-C.

    MODEL is anything that `lacbench colorize` takes. The page also takes a line art of the visitor's own.
    Strokes and output can be saved; `lacbench colorize --hints` makes the same output of the same strokes.
    """
    from lacbench.baselines.models import open_model
    from lacbench.cli.streamlit import require_streamlit, serve
    from lacbench.dashboards.easel import UPLOAD_MB, offered

    require_streamlit("the page")
    open_model(model, device)  # what is wrong with it is better said here than in the browser
    if linearts:
        offered(linearts)
    arguments = [str(model), device, *([str(linearts.resolve())] if linearts else [])]
    serve("try_model", arguments, host, port, open_browser, {"server.maxUploadSize": str(UPLOAD_MB)})
