"""`lacbench demo`: the whole line on small, openly licensed art."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.option(
    "-o", "--out", type=FOLDER, default="lacbench-demo", show_default=True, help="Where all of it goes."
)
@click.option(
    "--from", "folder", type=FOLDER, help="Take the art from FOLDER/illustrations and FOLDER/linearts."
)
@workers_option
@json_option
def demo(out: Path, folder: Path | None, workers: int, as_json: bool) -> None:
    """Run the whole line on small art: collect, pair, train, colorize, score, report.

    The art comes from openly licensed software packages, or from a folder of yours. A second run goes on
    where the first one ended. The figures prove the line; on so few pictures they rank nobody.
    """
    from lacbench.baselines.demo import run_demo
    from lacbench.engine import Local
    from lacbench.recipe import folder_recipe, load_recipe

    recipe = folder_recipe(folder) if folder else load_recipe(Path("open-art"))
    done = run_demo(recipe, out, Local(workers), listener())
    if as_json:
        print_json({"report": str(done.report), "fid": done.fid, "digest": done.digest})
        return
    for name, value in sorted(done.fid.items(), key=lambda row: row[1]):
        click.echo(f"FID {value:7.1f}  {name}")
    click.echo("A demo on so few pictures proves the line, not a ranking.")
    click.echo(done.report)
