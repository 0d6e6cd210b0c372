"""`lacbench publish`: what may be shared of a data set."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The folder to be shared.")
@click.option(
    "--pictures", is_flag=True, help="Also the pictures whose licence is open; see docs/sharing.md."
)
@click.option("--hints", type=ANY_PATH, help="Colour hints of the line arts, to be shared.")
@click.option("--card", "cards", type=ANY_PATH, multiple=True, help="A score card, to be shared; repeatable.")
@json_option
def publish(
    data: Path, out: Path, pictures: bool, hints: Path | None, cards: tuple[Path, ...], as_json: bool
) -> None:
    """Write what may be shared of DATA: ids, links, hashes, measures, splits, true pairs, recipe, card.

    `lacbench rebuild` makes the same data set of it elsewhere, and checks every work. No pictures but those
    that --pictures adds, and nothing of this machine; the same data set gives the same bytes.
    """
    from lacbench.publish import publish

    index = publish(data, out, pictures=pictures, hints=hints, cards=cards, progress=listener())
    if as_json:
        works = index.illustrations + index.linearts
        told = {"dataset": index.dataset, "works": works, "pictures": len(index.pictures)}
        print_json({"digest": index.digest, **told})
    else:
        click.echo(out)
