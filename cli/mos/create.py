"""`lacbench mos create`: from a study file to a folder that is ready for raters."""

from pathlib import Path

import click

from lacbench.cli.mos.opening import require_study
from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.argument("study", type=ANY_PATH, metavar="STUDY.toml")
@click.option("-o", "--out", type=FOLDER, required=True, help="Folder of the study; a new one.")
@workers_option
@json_option
def create(study: Path, out: Path, workers: int, as_json: bool) -> None:
    """Make a rating study of STUDY.toml: pictures re-encoded, every rater's order drawn by seed.

    Ratings go to a file in the study's folder, or to the PostgreSQL database whose URL the study file, or
    LACBENCH_STUDY_DATABASE in the environment, names. docs/study.md has the study file.
    """
    require_study()
    from lacbench.engine import Local
    from lacbench.study.create import create_study

    with create_study(study, out, Local(workers), listener()) as made:
        raters, digest = made.design.ratings.raters, made.told["digest"]
    if as_json:
        print_json({"study": str(out), "digest": digest, "raters": raters})
    else:
        click.echo(out)
