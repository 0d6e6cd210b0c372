"""`lacbench mos report`: what raters said, and what it shows, as one page."""

from pathlib import Path

import click

from lacbench.cli.mos.opening import require_study
from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json


@click.command()
@click.argument("source", metavar="STUDY|RATINGS", type=ANY_PATH)
@click.option("-o", "--out", type=ANY_PATH, default=Path("mos.html"), show_default=True, help="The page.")
@click.option("--ours", metavar="NAME", help="The method that is claimed to be above the others.")
@click.option(
    "--screening",
    metavar="RULE",
    help="The rule by which raters are screened: median-4mad, bt500, leave-one-out-0.30 or none.  "
    "[default: the study's, else median-4mad]",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of intervals; claims are made at the level 1 − this.",
)
@click.option("--figures", type=FOLDER, help="Also write the figures there, as PNG and SVG.")
@click.option("--peek", is_flag=True, help="Look though the study is still open; this is recorded.")
@click.option("--who", default="command line", show_default=True, help="Name that is recorded with --peek.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap of choices."
)
@click.option(
    "--regularise",
    type=click.FloatRange(0),
    default=0.0,
    metavar="N",
    help="Of choices: count each method as chosen N times more, where one was never or always chosen.",
)
@json_option
def report(
    source: Path,
    out: Path,
    ours: str | None,
    screening: str | None,
    confidence: float,
    figures: Path | None,
    peek: bool,
    who: str,
    seed: int,
    regularise: float,
    as_json: bool,
) -> None:
    """Write one self-contained HTML page about a STUDY's answers, or a table of RATINGS or of choices.

    Tables are .csv or .parquet: of ratings with the columns rater, item, method, score (1–5); of choices
    with rater, item, first, second, (third,) best. See docs/study.md.
    """
    if source.is_dir():
        require_study()
    from lacbench.study.drawing import save_figures
    from lacbench.study.report import find, write_report
    from lacbench.study.sources import load_source

    read = load_source(source, peek=(who.strip() or "nobody named") if peek else "")
    found = find(read, ours, confidence=confidence, rule=screening, seed=seed, alpha=regularise)
    page = write_report(out, found)
    written = save_figures(figures, found.plots) if figures else []
    if as_json:
        print_json({**found.as_json(), "report": str(page), "figures": [str(path) for path in written]})
        return
    click.echo(found.verdict, err=True)
    click.echo(page)
