"""`lacbench mos close`: no more ratings, from now on."""

from pathlib import Path

import click

from lacbench.cli.mos.opening import open_study
from lacbench.cli.options import FOLDER


@click.command()
@click.argument("study", type=FOLDER)
@click.option("--reopen", is_flag=True, help="Take ratings again.")
@click.option("--who", default="command line", show_default=True, help="Name that is recorded.")
def close(study: Path, reopen: bool, who: str) -> None:
    """Take no more ratings for STUDY, so that it can be analysed.

    That it was closed, or reopened, and when is recorded, and stands in the export and in the report.
    """
    with open_study(study) as opened:
        if reopen:
            opened.reopen(who)
        else:
            opened.close(who)
        raters = opened.progress()
    done = sum(rater.done == rater.total for rater in raters)
    click.echo(f"{'open' if reopen else 'closed'}: {done} of {len(raters)} raters are done")
