"""`lacbench hints`: colour hints for a data set's line arts, drawn by seed."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json


@click.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=ANY_PATH, required=True, help="The hints' file, JSON.")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=12, show_default=True, help="Hints a line art."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="Decides places and colours.",
)
@json_option
def hints(data: Path, out: Path, count: int, seed: int, as_json: bool) -> None:
    """Draw colour hints for DATA's line arts: dabs of their true colours, where those are known."""
    from lacbench.hints import choose_hints, save_hints
    from lacbench.manifest import load_dataset

    chosen = choose_hints(load_dataset(data), count, seed)
    save_hints(out, chosen)
    if as_json:
        print_json({"hints": str(out), "linearts": len(chosen), "count": count, "seed": seed})
    else:
        click.echo(out)
