"""`lacbench export-dataset`: a data set in the layouts of other tools."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


@click.command("export-dataset")
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The folder that is made.")
@click.option(
    "--layout",
    type=click.Choice(("huggingface", "webdataset")),
    required=True,
    help="Folders that `datasets.load_dataset` reads, or tar shards.",
)
@click.option(
    "--size", type=click.IntRange(1), help="XDoG drawings of this size.  [default: the largest there]"
)
@click.option("--open-only", is_flag=True, help="Only pictures whose licence is open; see docs/sharing.md.")
@click.option(
    "--shard-mb", type=click.IntRange(1), default=512, show_default=True, help="MB of a tar shard, at most."
)
@json_option
def export_dataset(
    data: Path, out: Path, layout: str, size: int | None, open_only: bool, shard_mb: int, as_json: bool
) -> None:
    """Write DATA's pictures, their XDoG drawings and what is known of them in the layout of another tool.

    The same data set gives the same bytes. `lacbench build-dataset` reads both layouts again, as sources.
    """
    from lacbench.layouts import export_dataset

    done = export_dataset(
        data, out, layout, size=size, open_only=open_only, shard_bytes=shard_mb * 10**6, progress=listener()
    )
    if as_json:
        print_json({"pictures": done.pictures, "drawings": done.drawings, "files": len(done.files)})
    else:
        click.echo(out)
