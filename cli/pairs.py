"""`lacbench pairs`: the line drawings of a data set's illustrations."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, engine_option, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@click.option(
    "--sigma",
    "sigmas",
    type=click.FloatRange(0, 16, min_open=True),
    multiple=True,
    default=(0.3, 0.4, 0.5),
    show_default=True,
    help="Thickness, in pixels; may be repeated.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 4096),
    default=512,
    show_default=True,
    help="Shortest side, in pixels, that pictures are resized to before they are drawn.",
)
@click.option(
    "--preview",
    type=click.IntRange(1, 50),
    metavar="N",
    help="Also show the first N illustrations by id beside their drawings, in DATA/pairs-preview.jpg.",
)
@workers_option
@engine_option
@json_option
def pairs(
    data: Path,
    sigmas: tuple[float, ...],
    size: int,
    preview: int | None,
    workers: int,
    engine: str,
    as_json: bool,
) -> None:
    """Draw the lines of DATA's illustrations with XDoG; resumes."""
    from lacbench.engine import open_engine
    from lacbench.files import write_bytes
    from lacbench.manifest import load_dataset
    from lacbench.pairs import make_pairs
    from lacbench.preview import draw_preview

    dataset = load_dataset(data)
    with open_engine(engine, workers) as opened:
        drawn = make_pairs(dataset, sigmas, size, opened, listener())
    told = {"pairs": len(drawn), "sigmas": sorted(set(sigmas)), "size": size}
    made = [data / "pairs.parquet"]
    if preview:
        made.append(data / "pairs-preview.jpg")
        write_bytes(made[-1], draw_preview(dataset, drawn, preview))
        told["preview"] = str(made[-1])
    if as_json:
        print_json(told)
    else:
        click.echo("\n".join(map(str, made)))
