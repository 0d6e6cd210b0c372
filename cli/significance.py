"""`lacbench significance`: is one method rated above the others?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import print_table

if TYPE_CHECKING:
    from lacbench.study.analysis import Analysis
    from lacbench.study.effects import Interval


@click.command()
@click.argument("ratings", type=ANY_PATH)
@click.option("--ours", metavar="NAME", help="The method that is claimed to be rated above the others.")
@click.option(
    "--screening",
    metavar="RULE",
    default="median-4mad",
    show_default=True,
    help="The rule by which raters are left out in a second analysis; also bt500, leave-one-out-0.30, none.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of intervals; claims are made at the level 1 − this.",
)
@json_option
def significance(ratings: Path, ours: str | None, screening: str, confidence: float, as_json: bool) -> None:
    """Test whether raters score one method above the others, in RATINGS: .csv or .parquet.

    One row a rating, with the columns rater, item, method and score (1–5). Raters and items are both taken
    for samples, so that what is claimed is meant for others like them. See docs/significance.md.
    """
    from lacbench.study.analysis import analyse
    from lacbench.study.ratings import read_ratings
    from lacbench.study.verdict import verdict

    analysis = analyse(read_ratings(ratings), ours, confidence=confidence, screening=screening)
    told = verdict(analysis)
    if as_json:
        print_json({**analysis.as_json(), "verdict": told})
        return
    _print(analysis)
    click.echo(f"\n{told}")


def _print(analysis: "Analysis") -> None:
    """The figures as tables."""
    click.echo(f"{analysis.n_ratings:,} ratings by {analysis.n_raters} raters of {analysis.n_items} items\n")
    interval = f"{100 * analysis.confidence:g}% interval"
    scores = [
        (s.method, f"{s.mean:.3f}", _between(s.interval), f"{s.sd:.2f}", f"{s.n:,}", f"{s.missing:,}")
        for s in analysis.methods
    ]
    print_table(("", "MOS", interval, "SD", "ratings", "missing"), scores)
    _print_tests(analysis, f"{analysis.ours} less")
    _print_beside(analysis)
    _print_raters(analysis)
    if analysis.with_screening:
        click.echo()
        _print_tests(analysis.with_screening, f"without {', '.join(analysis.excluded)}")
    for note in analysis.notes:
        click.echo(note)


def _print_tests(analysis: "Analysis", corner: str) -> None:
    """The tests and the claim of all of them."""
    from lacbench.study.verdict import shown_p

    if not analysis.comparisons:
        return
    rows = []
    for c in analysis.comparisons:
        test = (_number(c.t), _number(c.df, 1), shown_p(c.p), shown_p(c.p_holm))
        rows.append((c.other, f"{c.difference:+.3f}", _between(c.interval), *test))
    interval = f"{100 * analysis.confidence:g}% interval"
    print_table((corner, "difference", interval, "t", "df", "p", "p Holm"), rows)
    click.echo(f"above all others: p {shown_p(analysis.beats_all_p)} (the largest p; all are one-sided)\n")


def _print_beside(analysis: "Analysis") -> None:
    """What else there is to say of each comparison."""
    from lacbench.study.verdict import shown_p

    if not analysis.comparisons:
        return
    rows = []
    for c in analysis.comparisons:
        sizes = (f"{c.superiority:.1%}", _number(c.standardized))
        parts = (c.components.rater, c.components.item, c.components.residual)
        told = (f"{part:.3f}" for part in parts)
        rows.append((c.other, shown_p(c.p_cluster), *sizes, *told, shown_p(c.p_paper_z)))
    variances = ("var. raters", "items", "rest")
    print_table(("", "p clusters", "superior", "d", *variances, "paper's p *"), rows)
    click.echo("* the z of pooled ratings: a reproduction, raters and images fixed, never a verdict\n")


def _print_raters(analysis: "Analysis") -> None:
    """Agreement and screening, a line each."""
    alpha = "–" if analysis.alpha_krippendorff is None else f"{analysis.alpha_krippendorff:.3f}"
    click.echo(f"agreement of raters: Krippendorff's α (ordinal) {alpha}")
    if again := analysis.repeat:
        kappa = "" if again.kappa is None else f", weighted κ {again.kappa:.2f}"
        click.echo(
            f"with themselves: {again.n} rated twice, {again.exact:.0%} alike, "
            f"mean difference {again.mean_difference:.2f}{kappa}"
        )
    if analysis.rule != "none":
        click.echo(f"screening by {analysis.rule}: {', '.join(analysis.excluded) or 'nobody is flagged'}")


def _between(interval: "Interval | None") -> str:
    return "–" if interval is None else " to ".join(map(_end, interval))


def _end(value: float) -> str:
    """An end of an interval; of a study too thin it can have hundreds of digits."""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
