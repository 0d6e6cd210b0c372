"""`lacbench leaks`: do two collections share pictures, or drawings?"""

from dataclasses import asdict
from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, engine_option, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@click.option("--sheet", type=ANY_PATH, default=Path("leaks.jpg"), help="Where the pairs are shown.")
@click.option("--crops", is_flag=True, help="Look for crops, padding and mirrors too; reads every picture.")
@workers_option
@engine_option
@json_option
def leaks(a: Path, b: Path, sheet: Path, crops: bool, workers: int, engine: str, as_json: bool) -> None:
    """Look for pictures of A in B: data sets, submissions or folders; exit status 1 when there are any.

    Near copies count (resized, compressed, brighter, grey …), and so does a line art whose coloured version
    the other one has; crops and mirrors with --crops. What is found is drawn side by side on a contact sheet.
    """
    from lacbench.engine import open_engine
    from lacbench.files import write_bytes
    from lacbench.leaks import draw_leaks, find_leaks
    from lacbench.recipe import DedupeSpec

    with open_engine(engine, workers) as opened:
        found, files = find_leaks(a, b, DedupeSpec(crops=crops), opened, listener())
    if found:
        write_bytes(sheet, draw_leaks(files))
    if as_json:
        print_json({"pairs": [asdict(leak) for leak in found]})
    else:
        for leak in found:
            click.echo(f"{leak.a} {leak.b} {leak.distance} {leak.key}")
        click.echo(f"{len(found)} leaks" + (f", drawn in {sheet}" if found else ""), err=True)
    raise SystemExit(1 if found else 0)
