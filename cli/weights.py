"""`lacbench weights`: pretrained weights, listed and fetched."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import listener


@click.group()
def weights() -> None:
    """Pretrained weights: checked, and kept in the cache folder."""


@weights.command("list")
@json_option
def list_weights(as_json: bool) -> None:
    """List the weights, their licences, and whether they are here already."""
    from lacbench.pretrained import WEIGHTS
    from lacbench.weights import is_cached

    if as_json:
        print_json(
            {"weights": [{**entry.as_json(), "cached": is_cached(entry)} for entry in WEIGHTS.values()]}
        )
        return
    for entry in WEIGHTS.values():
        state = "cached" if is_cached(entry) else "not here"
        size = f"{entry.size / 1e6:.0f} MB"
        click.echo(f"{entry.name:<16} {state:<9} {size:>6}  {entry.license:<13} {entry.purpose}")


@weights.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the weights NAME, check them, and print the file's path."""
    from lacbench import weights

    click.echo(weights.fetch(name, progress=listener()))


@weights.command("import")
@click.argument("name")
@click.argument("file", type=ANY_PATH)
def import_weights(name: str, file: Path) -> None:
    """Take the weights NAME from their original FILE, check them, and print where they are kept.

    For machines that reach no site: bring illust2vec_tag_ver200.caffemodel, vgg16-397923af.pth …
    """
    from lacbench import weights

    click.echo(weights.import_file(name, file, progress=listener()))
