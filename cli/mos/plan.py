"""`lacbench mos plan`: how many raters and line arts a study needs."""

from dataclasses import asdict
from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import print_table


def _sizes(context: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Whole numbers, 2 or more, separated by commas."""
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not all(2 <= size <= 1_000_000 for size in sizes):
        raise click.BadParameter(f"expected numbers from 2 to 1,000,000 such as 8,16,24, got {text!r}")
    return sizes


SD = click.FloatRange(0, 5)


@click.command()
@click.option("--raters", callback=_sizes, default="8,16,24,32", show_default=True, help="Numbers of raters.")
@click.option(
    "--images", callback=_sizes, default="30,94,300", show_default=True, help="Numbers of line arts."
)
@click.option(
    "--gap",
    type=click.FloatRange(0, 4, min_open=True),
    default=0.231,
    show_default=True,
    help="The true difference of two methods' mean scores; the paper's between its first and second is .231.",
)
@click.option(
    "--images-per-rater", type=click.IntRange(2), help="Line arts that a rater sees.  [default: all]"
)
@click.option(
    "--alpha", type=click.FloatRange(0, 0.5, min_open=True), default=0.05, show_default=True,
    help="The level of the one-sided test; .01 for the first step of Holm's with five rivals.",
)  # fmt: skip
@click.option("--sd-rater", type=SD, help="SD of raters' taste for a method.  [default: 0.23]")
@click.option("--sd-image", type=SD, help="SD of how a method suits a line art.  [default: 0.39]")
@click.option("--sd-residual", type=SD, help="SD of the rest of a score.  [default: 0.65]")
@click.option(
    "--from", "pilot", type=ANY_PATH, metavar="RATINGS", help="Take the variances from these ratings instead."
)
@click.option("--ours", metavar="NAME", help="With --from: the method whose differences count.")
@json_option
def plan(
    raters: list[int],
    images: list[int],
    gap: float,
    images_per_rater: int | None,
    alpha: float,
    sd_rater: float | None,
    sd_image: float | None,
    sd_residual: float | None,
    pilot: Path | None,
    ours: str | None,
    as_json: bool,
) -> None:
    """The power of a study: the chance that it shows a difference, for numbers of raters and line arts.

    By the noncentral t distribution of the test of `lacbench significance`, for one comparison.
    """
    from lacbench.study import planning
    from lacbench.study.ratings import read_ratings

    given = {"sd_rater": sd_rater, "sd_item": sd_image, "sd_residual": sd_residual}
    chosen = {name: sd for name, sd in given.items() if sd is not None}
    if (pilot is None) != (ours is None):
        raise click.UsageError("--from RATINGS and --ours NAME go together")
    if pilot and chosen:
        raise click.UsageError("variances come from --from or from --sd-…, not from both")
    found = planning.estimated(read_ratings(pilot), ours) if pilot and ours else planning.typical(**chosen)
    plans = planning.plan(raters, images, gap, found, items_per_rater=images_per_rater, alpha=alpha)
    if as_json:
        told = {"gap": gap, "alpha": alpha, "components": asdict(found), "plans": [asdict(p) for p in plans]}
        print_json(told)
        return
    click.echo(
        f"power to show a difference of {gap:g} at the level {alpha:g}, one-sided; variances of differences: "
        f"raters {found.rater:.3f}, line arts {found.item:.3f}, rest {found.residual:.3f}\n"
    )
    rows = [
        (f"{p.raters:,}", f"{p.items:,}", f"{p.items_per_rater:,}", f"{p.power:.2f}", f"{p.detectable:.2f}")
        for p in plans
    ]
    print_table(("raters", "line arts", "a rater sees", "power", "difference with power .80"), rows)
