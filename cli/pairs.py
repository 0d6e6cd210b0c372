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
@workers_option
@engine_option
@json_option
def pairs(data: Path, sigmas: tuple[float, ...], size: int, workers: int, engine: str, as_json: bool) -> None:
    """Draw the lines of DATA's illustrations with XDoG; resumes."""
    from lacbench.engine import open_engine
    from lacbench.manifest import load_dataset
    from lacbench.pairs import make_pairs

    with open_engine(engine, workers) as opened:
        drawn = make_pairs(load_dataset(data), sigmas, size, opened, listener())
    if as_json:
        print_json({"pairs": len(drawn), "sigmas": sorted(sigmas), "size": size})
    else:
        click.echo(data / "pairs.parquet")
