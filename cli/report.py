"""`lacbench report`: one page of a data set, its pairs, what methods made of it, and their scores."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacbench.cli.options import ANY_PATH, FOLDER, NEW_FILE
from lacbench.cli.terminal import listener

if TYPE_CHECKING:
    from lacbench.study.report import Findings


@click.command()
@click.argument("data", type=FOLDER)
@click.argument("cards", type=ANY_PATH, nargs=-1, required=True)
@click.option("-o", "--out", type=NEW_FILE, default=Path("report.html"), show_default=True, help="The page.")
@click.option(
    "--hints", type=ANY_PATH, help="Colour hints that the methods were given, to show: a JSON file."
)
@click.option(
    "--examples", type=click.IntRange(1, 1000), default=12, show_default=True, help="Line arts shown."
)
@click.option(
    "--ratings",
    type=ANY_PATH,
    help="What raters said, to show: a study's folder, or a table (.csv, .parquet).",
)
@click.option("--ours", metavar="NAME", help="With --ratings: the method that is claimed to be rated above.")
def report(
    data: Path,
    cards: tuple[Path, ...],
    out: Path,
    hints: Path | None,
    examples: int,
    ratings: Path | None,
    ours: str | None,
) -> None:
    """Write one self-contained HTML page about DATA and the submissions scored in CARDS (JSON files)."""
    if ours is not None and ratings is None:
        raise click.UsageError("--ours names a method of the ratings; give --ratings too")
    from lacbench.hints import load_hints
    from lacbench.manifest import load_dataset, load_pairs
    from lacbench.report import write_report
    from lacbench.scorecard import load_card

    opinions = _opinions(ratings, ours) if ratings else None
    dataset = load_dataset(data)
    pairs = load_pairs(data) if (data / "pairs.parquet").is_file() else ()
    page = write_report(
        out,
        dataset,
        pairs,
        [load_card(card) for card in cards],
        hints=load_hints(hints) if hints else None,
        opinions=opinions,
        examples=examples,
        progress=listener(),
    )
    click.echo(page)


def _opinions(source: Path, ours: str | None) -> "Findings":
    """What a closed study's folder, or a table, shows."""
    if source.is_dir():
        from lacbench.cli.mos.opening import require_study

        require_study()
    from lacbench.study.report import find
    from lacbench.study.sources import load_source

    return find(load_source(source), ours)
