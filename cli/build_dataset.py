"""`lacbench build-dataset`: a recipe in, a data set out."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command("build-dataset")
@click.argument("recipe", type=ANY_PATH)
@click.option("-o", "--out", type=FOLDER, required=True, help="The data set's folder.")
@workers_option
@json_option
def build_dataset(recipe: Path, out: Path, workers: int, as_json: bool) -> None:
    """Collect, filter, dedupe and split what RECIPE names, and write manifests, ledger and card.

    RECIPE is a TOML file, or the name of one that ships with lacbench (open-art). Killed or interrupted,
    the same command goes on from what is stored.
    """
    from lacbench.curate import build_dataset
    from lacbench.engine import Local
    from lacbench.recipe import load_recipe

    dataset = build_dataset(load_recipe(recipe), out, Local(workers), listener())
    if as_json:
        print_json(
            {
                "digest": dataset.digest,
                "illustrations": len(dataset.illustrations),
                "linearts": len(dataset.linearts),
                "dropped": dataset.dropped(),
            }
        )
    else:
        click.echo(dataset.folder)
