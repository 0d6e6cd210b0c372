"""`lacbench recipe`: what a recipe would do."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json


@click.group()
def recipe() -> None:
    """Look into recipes of data sets."""


@recipe.command("check")
@click.argument("file", type=ANY_PATH)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say what FILE would ask of whom, without asking; mistakes are named, with the nearest right key.

    FILE is a TOML file, or the name of a recipe that ships with lacbench (open-art, paper). Exit status 1
    where a path leads nowhere, or one of the two sets is offered by no source.
    """
    from lacbench.plan import plan
    from lacbench.recipe import load_recipe

    told = plan(load_recipe(file))
    if as_json:
        print_json({"lines": list(told.lines), "mistakes": list(told.mistakes)})
    else:
        for line in told.lines:
            click.echo(line)
    raise SystemExit(1 if told.mistakes else 0)
