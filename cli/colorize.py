"""`lacbench colorize`: line arts in, coloured pictures out."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("model", type=ANY_PATH)
@click.argument("linearts", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The submission's folder.")
@click.option("--hints", "hints_file", type=ANY_PATH, help="Colour hints by line art, as JSON.")
@click.option(
    "--size", type=click.IntRange(16, 4096), help="Shortest side of the outputs, pixels; else the model's."
)
@click.option("--device", default="cpu", show_default=True, help="Where a network runs: cpu, cuda, cuda:1 …")
@json_option
def colorize(
    model: Path,
    linearts: Path,
    out: Path,
    hints_file: Path | None,
    size: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Colour LINEARTS with MODEL and write one PNG each.

    MODEL is a training run's folder, a checkpoint, or a floor: grey, mean-hint, nearest-hint, flood-fill.
    LINEARTS is a data set, of which the line arts are taken, or a folder of pictures.
    """
    from lacbench.baselines.colorize import colorize, find_linearts
    from lacbench.hints import load_hints

    hints = load_hints(hints_file) if hints_file else None
    files = find_linearts(linearts)
    colorize(model, files, out, hints=hints, size=size, device=device, progress=listener())
    if as_json:
        print_json({"submission": str(out), "outputs": len(files)})
    else:
        click.echo(out)
