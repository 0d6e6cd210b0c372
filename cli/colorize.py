"""`lacbench colorize`: line arts in, coloured pictures out."""

from pathlib import Path
from typing import Literal

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


def side(word: str) -> int | Literal["original"]:
    """`original`, or a number of pixels from 16 to 4096; anything else is wrong usage."""
    if word == "original":
        return "original"
    if not word.isdecimal() or not 16 <= int(word) <= 4096:
        raise click.BadParameter(f"{word!r} is no size: expected 16 to 4096 pixels, or original")
    return int(word)


@click.command()
@click.argument("model", type=ANY_PATH)
@click.argument("linearts", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The submission's folder.")
@click.option(
    "--hints",
    "hints_path",
    type=ANY_PATH,
    help="Colour hints: a JSON file of dabs, or a folder of strokes, <id>.png each.",
)
@click.option(
    "--size",
    metavar="PIXELS|original",
    callback=lambda context, option, word: word and side(word),
    help="Shortest side of the outputs, or each line art's own; by default the model's.",
)
@click.option(
    "--tile",
    type=click.IntRange(256, 16384),
    help="Pictures with a longer side, in pixels, are cut; less takes less memory.  [default: 2048]",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Pictures of one size at a time.",
)
@click.option(
    "--device", default="auto", show_default=True, help="Where a network runs: auto, cpu, cuda, cuda:1 …"
)
@json_option
def colorize(
    model: Path,
    linearts: Path,
    out: Path,
    hints_path: Path | None,
    size: int | Literal["original"] | None,
    tile: int | None,
    batch: int,
    device: str,
    as_json: bool,
) -> None:
    """Colour LINEARTS with MODEL and write one PNG each.

    MODEL is a training run's folder, a checkpoint (ours, or the published code's .pth), a TorchScript or ONNX
    file, PaintsChainer's networks (paintschainer:PATH), or a floor: grey, mean-hint, nearest-hint,
    flood-fill. A TorchScript file is a program: open only those you trust.

    LINEARTS is a data set, of which the line arts are taken, or a folder of pictures. Strokes are painted
    over the line art in its own size, on a transparent ground.
    """
    from lacbench.baselines.colorize import colorize, find_linearts
    from lacbench.hints import load_given

    hints = None if hints_path is None else load_given(hints_path)
    files = find_linearts(linearts)
    colorize(
        model, files, out, hints=hints, size=size, tile=tile, batch=batch, device=device, progress=listener()
    )
    if as_json:
        print_json({"submission": str(out), "outputs": len(files)})
    else:
        click.echo(out)
