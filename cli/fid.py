"""`lacbench fid`: the Fréchet Inception distance of a submission from a reference."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("submission", type=ANY_PATH)
@click.argument("reference", type=ANY_PATH)
@click.option(
    "--device", default="cpu", show_default=True, help="Where the network runs: cpu, cuda, cuda:1 …"
)
@click.option(
    "--card", type=ANY_PATH, help="Also write a score card, for the report; REFERENCE must be a data set."
)
@click.option("--name", default="", help="The method's name on the card; else SUBMISSION's folder's.")
@click.option("--infinity", is_flag=True, help="Also FID∞, extrapolated to infinitely many pictures.")
@click.option("--hints", is_flag=True, help="Say on the card that the method was given colour hints.")
@json_option
def fid(
    submission: Path,
    reference: Path,
    device: str,
    card: Path | None,
    name: str,
    infinity: bool,
    hints: bool,
    as_json: bool,
) -> None:
    """FID of SUBMISSION from REFERENCE, with its standard error.

    Each is a flat folder of pictures, a data set (its illustrations count), or a .npz of statistics as
    pytorch-fid writes it.
    """
    from lacbench.metrics.fid import fid
    from lacbench.metrics.registry import fid_figure
    from lacbench.scorecard import make_card, open_dataset, save_card

    if card and infinity:
        raise click.UsageError("a card holds no FID∞; leave out --card or --infinity")
    if (name or hints) and not card:
        raise click.UsageError("--name and --hints are written on a card; name its file: --card FILE")
    against = open_dataset(reference) if card else reference
    result = fid(submission, against, device=device, infinity=infinity, progress=listener())
    if card and not isinstance(against, Path):
        figures = {"fid": fid_figure(result)}
        save_card(card, make_card(submission, against, figures, name=name, hints=hints, device=device))
    if result.warning:
        click.echo(f"lacbench: {result.warning}", err=True)
    if as_json:
        print_json(result.as_json())
        return
    spread = "" if result.standard_error is None else f" ± {result.standard_error:.3f}"
    counts = " against ".join("?" if n is None else f"{n:,}" for n in result.n)
    click.echo(f"FID {result.value:.3f}{spread}  ({counts} pictures, protocol {result.protocol})")
    if result.infinity is not None:
        click.echo(f"FID∞ {result.infinity:.3f}  (the small set's bias is about {result.bias:.3f})")
