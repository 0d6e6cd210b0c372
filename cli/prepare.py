"""`lacbench prepare`: the training pictures, resized once."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@click.option(
    "--size",
    type=click.IntRange(16, 4096),
    default=512,
    show_default=True,
    help="Shortest side, in pixels; DATA must have pairs of that size.",
)
@workers_option
@json_option
def prepare(data: Path, size: int, workers: int, as_json: bool) -> None:
    """Resize DATA's training pictures once, and pack them with their line drawings; resumes.

    `lacbench train` then reads them as memory instead of decoding each, with the same result.
    """
    from lacbench.baselines.alacgan.prepare import prepare
    from lacbench.engine import Local
    from lacbench.manifest import load_dataset, load_pairs

    folder = prepare(load_dataset(data), load_pairs(data), size, Local(workers, chunk=1), listener())
    if as_json:
        print_json({"prepared": str(folder), "size": size})
    else:
        click.echo(folder)
