"""`lacbench build-dataset`: a recipe in, a data set out."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, engine_option, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command("build-dataset")
@click.argument("recipe", type=ANY_PATH)
@click.option("-o", "--out", type=FOLDER, required=True, help="The data set's folder.")
@click.option("--retry", is_flag=True, help="Ask again for what was not to be had.")
@click.option("--refresh", is_flag=True, help="List sites again, and ask for what has changed there.")
@click.option("--fetch-only", is_flag=True, help="Fetch files and stop; without it the command goes on.")
@workers_option
@engine_option
@json_option
def build_dataset(
    recipe: Path,
    out: Path,
    retry: bool,
    refresh: bool,
    fetch_only: bool,
    workers: int,
    engine: str,
    as_json: bool,
) -> None:
    """Collect, filter, dedupe and split what RECIPE names, and write manifests, ledger and card.

    RECIPE is a TOML file, or the name of one that ships with lacbench (open-art, paper). Killed or
    interrupted, the same command goes on from what is stored. `lacbench recipe check RECIPE` tells
    beforehand what it would ask of whom.
    """
    from lacbench.curate import build_dataset, fetch_files
    from lacbench.engine import open_engine
    from lacbench.recipe import load_recipe

    if fetch_only:
        status = fetch_files(load_recipe(recipe), out, listener(), retry=retry, refresh=refresh)
        told = {"wanted": status.wanted, "fetched": status.fetched, "dropped": status.dropped}
        if as_json:
            print_json(told)
        else:
            click.echo(f"{status.fetched:,} of {status.wanted:,} files of sites fetched or given up")
        return
    with open_engine(engine, workers) as opened:
        dataset = build_dataset(load_recipe(recipe), out, opened, listener(), retry=retry, refresh=refresh)
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
