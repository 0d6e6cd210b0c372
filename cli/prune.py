"""`lacbench prune`: take works out of a data set for good."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json


@click.command()
@click.argument("data", type=FOLDER)
@click.option("--exclude", type=ANY_PATH, required=True, help="A file of works, one a line.")
@json_option
def prune(data: Path, exclude: Path, as_json: bool) -> None:
    """Take the works that a file names out of DATA, for good: a rebuild does not bring them back.

    A line is `id: 123`, `md5: …`, `sha256: …`, `artist: name` or `url: …`; `#` starts a comment. Files,
    manifests, pairs and card are rewritten; what counted as the same picture as such a work goes too.
    """
    from lacbench.prune import prune

    pruned = prune(data, exclude)
    if as_json:
        print_json(
            {"digest": pruned.dataset.digest, "excluded": pruned.excluded, "unknown": list(pruned.unknown)}
        )
        return
    for rule in pruned.unknown:
        click.echo(f"lacbench: {rule} names nothing here; it is remembered all the same", err=True)
    click.echo(f"{pruned.excluded} works taken out; digest {pruned.dataset.digest[:12]}")
