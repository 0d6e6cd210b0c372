"""`lacbench report`: one page of a data set, its pairs, what methods made of it, and their scores."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, NEW_FILE
from lacbench.cli.terminal import listener


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
def report(data: Path, cards: tuple[Path, ...], out: Path, hints: Path | None, examples: int) -> None:
    """Write one self-contained HTML page about DATA and the submissions scored in CARDS (JSON files)."""
    from lacbench.hints import load_hints
    from lacbench.manifest import load_dataset, load_pairs
    from lacbench.report import write_report
    from lacbench.scorecard import load_card

    dataset = load_dataset(data)
    pairs = load_pairs(data) if (data / "pairs.parquet").is_file() else ()
    page = write_report(
        out,
        dataset,
        pairs,
        [load_card(card) for card in cards],
        hints=load_hints(hints) if hints else None,
        examples=examples,
        progress=listener(),
    )
    click.echo(page)
