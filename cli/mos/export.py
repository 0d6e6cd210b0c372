"""`lacbench mos export`: the ratings as a table."""

from pathlib import Path

import click

from lacbench.cli.mos.opening import open_study
from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json


@click.command()
@click.argument("study", type=FOLDER)
@click.option("-o", "--out", type=ANY_PATH, required=True, help="The table's file, .parquet or .csv.")
@click.option("--peek", is_flag=True, help="Export a study that is still open, too; this is recorded.")
@click.option("--who", default="command line", show_default=True, help="Name that is recorded with --peek.")
@json_option
def export(study: Path, out: Path, peek: bool, who: str, as_json: bool) -> None:
    """Write the ratings of STUDY as a table, a row each, once the study is closed.

    Beside the table a JSON file of the same name tells of the study, and whether somebody looked before it
    was closed.
    """
    from lacbench.study.export import export as export_study

    with open_study(study) as opened:
        told = export_study(opened, out, peek=(who.strip() or "nobody named") if peek else "")
    if as_json:
        print_json(told)
    else:
        click.echo(out)
