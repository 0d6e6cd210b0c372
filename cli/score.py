"""`lacbench score`: every metric that applies to a submission, on a score card."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacbench.cli.options import ANY_PATH, NEW_FILE, json_option, print_json
from lacbench.cli.terminal import listener

if TYPE_CHECKING:
    from lacbench.scorecard import ScoreCard


@click.command()
@click.argument("submission", type=ANY_PATH)
@click.argument("data", type=ANY_PATH)
@click.option("-o", "--out", type=NEW_FILE, help="The score card's file, JSON.")
@click.option(
    "--metrics",
    metavar="A,B,…",
    help="Only these, or single figures of theirs: fid, kid, fd-dinov2, cmmd, prdc, lines, bleeding, "
    "hints, colorfulness, paired, lpips-alex, lpips-vgg.  [default: all that apply, but fd-dinov2, cmmd and "
    "lpips-vgg]",
)
@click.option(
    "--hints",
    type=ANY_PATH,
    help="The colour hints that the method was given: a JSON file, or a folder of strokes.",
)
@click.option("--name", default="", help="The method's name on the card; else SUBMISSION's folder's.")
@click.option("--device", default="cpu", show_default=True, help="Where networks run: auto, cpu, cuda …")
@json_option
def score(
    submission: Path,
    data: Path,
    out: Path | None,
    metrics: str | None,
    hints: Path | None,
    name: str,
    device: str,
    as_json: bool,
) -> None:
    """Score SUBMISSION, one picture for each line art of the data set DATA, by every metric that applies.

    paired and lpips need true pairs in DATA, hints the hints. See docs/score.md.
    """
    from lacbench.hints import load_given
    from lacbench.scorecard import card_json, save_card, score

    card = score(
        submission,
        data,
        metrics=None if metrics is None else [word.strip() for word in metrics.split(",") if word.strip()],
        name=name,
        hints=load_given(hints) if hints else None,
        device=device,
        progress=listener(),
    )
    if out:
        save_card(out, card)
    if as_json:
        print_json(card_json(card))
    else:
        _print(card)
        if out:
            click.echo(out)
    for key, figure in card.metrics.items():
        if "warning" in figure:
            click.echo(f"lacbench: {key}: {figure['warning']}", err=True)


def _print(card: "ScoreCard") -> None:
    """The figures as a table."""
    width = max(map(len, card.metrics), default=0)
    click.echo(f"{'':{width}}  {'value':>8} ± standard error")
    for name, figure in card.metrics.items():
        value, error = figure["value"], figure["standard_error"]
        shown = "–" if value is None else f"{value:.4g}"
        spread = "" if error is None else f"± {error:.2g}"
        better = f"{figure['better']} is better" if figure["better"] else ""
        click.echo(f"{name:{width}}  {shown:>8} {spread:9} {better:16}  {_count(figure)}".rstrip())


def _count(figure: Any) -> str:
    """How many pictures it was measured on."""
    n = figure["n"]
    if not isinstance(n, int):
        return " against ".join("?" if count is None else f"{count:,}" for count in n) + " pictures"
    left_out = figure.get("left_out", 0)
    return f"{n:,} picture{'s' * (n != 1)}" + f", {left_out:,} with nothing to measure" * bool(left_out)
