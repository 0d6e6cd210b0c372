"""`lacbench explore`: leaf through a data set in the browser."""

import json
from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, host_option, port_option


def named(word: str) -> tuple[str, Path]:
    """Name and path of `NAME=PATH`, or of a path alone, which has its own name."""
    name, equals, path = word.rpartition("=")
    source = Path(path).resolve()
    return (name if equals else source.name.split(".")[0]), source


@click.command()
@click.argument("data", type=FOLDER)
@click.option(
    "--submission",
    "submissions",
    multiple=True,
    metavar="[NAME=]PATH",
    help="Outputs to compare.",
)
@click.option("--hints", type=ANY_PATH, help="Hints to show: a JSON file of dabs, or a folder of strokes.")
@port_option
@host_option
@click.option("--open/--no-open", "open_browser", default=True, help="Whether to open a browser window.")
def explore(
    data: Path, submissions: tuple[str, ...], hints: Path | None, port: int, host: str, open_browser: bool
) -> None:
    """Show what DATA holds and what it left out, in the browser, until Ctrl-C.

    Manifests are filtered by any column, duplicates are shown beside their keepers, and submissions are
    compared on any line art.
    """
    from lacbench.cli.streamlit import require_streamlit, serve
    from lacbench.hints import load_hints, load_strokes
    from lacbench.manifest import load_dataset
    from lacbench.submission import open_submission

    require_streamlit("the explorer")
    dataset = load_dataset(data)  # what is wrong with it is better said here than in the browser
    sources = dict(named(word) for word in submissions)
    if len(sources) < len(submissions):
        raise click.UsageError("two submissions have one name; name them: --submission NAME=PATH")
    for source in sources.values():
        open_submission(source, dataset)
    if hints:
        load_strokes(hints) if hints.is_dir() else load_hints(hints)
    told = {
        "data": str(data.resolve()),
        "name": dataset.name,
        "digest": dataset.digest,
        "submissions": {name: str(source) for name, source in sources.items()},
        "hints": str(hints.resolve()) if hints else "",
    }
    serve("results", [json.dumps(told)], host, port, open_browser)
