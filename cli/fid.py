"""`lacbench fid`: the Fréchet Inception distance of a submission from a reference."""

from pathlib import Path
from typing import Any

import click

from lacbench.cli.options import ANY_PATH, NEW_FILE, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("submission", type=ANY_PATH)
@click.argument("reference", type=ANY_PATH)
@click.option(
    "--protocol",
    default="pytorch-fid",
    show_default=True,
    help="Also: clean, alacgan2018; dinov2, for the distance of other features.",
)
@click.option(
    "--engine",
    default="torch",
    show_default=True,
    help="Runs the network; also onnxruntime (the extra [fast]), reference. Features differ by rounding.",
)
@click.option(
    "--skip-unreadable", is_flag=True, help="Leave out pictures that cannot be read, and say which."
)
@click.option(
    "--device", default="cpu", show_default=True, help="Where the network runs: cpu, cuda, cuda:1 …"
)
@click.option(
    "--card", type=NEW_FILE, help="Also write a score card, for the report; REFERENCE must be a data set."
)
@click.option("--name", default="", help="The method's name on the card; else SUBMISSION's folder's.")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    help="How often a protocol draws that does so at random.  [default for alacgan2018: 3]",
)
@click.option("--infinity", is_flag=True, help="Also FID∞, extrapolated to infinitely many pictures.")
@click.option("--hints", is_flag=True, help="Say on the card that the method was given colour hints.")
@json_option
def fid(
    submission: Path,
    reference: Path,
    card: Path | None,
    name: str,
    infinity: bool,
    hints: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """FID of SUBMISSION from REFERENCE, with its standard error.

    Each is a flat folder of pictures, a zip or tar archive of them, a data set (its illustrations count), or
    a .npz of statistics as pytorch-fid writes it. Several GPUs: torchrun --nproc-per-node N --no-python
    lacbench fid … --device cuda.
    """
    from lacbench.metrics.fid import fid, take_share
    from lacbench.metrics.registry import fid_figure
    from lacbench.metrics.shares import Share
    from lacbench.scorecard import make_card, open_dataset, save_card

    if (name or hints) and not card:
        raise click.UsageError("--name and --hints are written on a card; name its file: --card FILE")
    against = open_dataset(reference) if card else reference
    share = Share.of_environment()
    if share.rank:
        take_share(submission, against, share=share, **how)
        return
    result = fid(submission, against, infinity=infinity, share=share, progress=listener(), **how)
    if card and not isinstance(against, Path):
        figures = {result.metric: fid_figure(result)}
        told = make_card(submission, against, figures, name=name, hints=hints, device=how["device"])
        save_card(card, told)
    if result.warning:
        click.echo(f"lacbench: {result.warning}", err=True)
    for path in result.skipped:
        click.echo(f"lacbench: {path} cannot be read and was left out", err=True)
    if as_json:
        print_json(result.as_json())
        return
    spread = "" if result.standard_error is None else f" ± {result.standard_error:.3f}"
    counts = " against ".join("?" if n is None else f"{n:,}" for n in result.n)
    left = f", {len(result.skipped):,} left out" if result.skipped else ""
    name = "FID" if result.metric == "fid" else "FD"
    click.echo(f"{name} {result.value:.3f}{spread}  ({counts} pictures{left}, protocol {result.protocol})")
    if result.repeats is not None:
        repeats = result.repeats
        click.echo(f"mean of {len(repeats.values)} repeats, variance {repeats.variance:.3g}")
    if result.infinity is not None:
        click.echo(f"{name}∞ {result.infinity:.3f}  (the small set's bias is about {result.bias:.3f})")
