"""`lacbench mos invite`: raters' links, shown once."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacbench.cli.mos.opening import open_study, page_url
from lacbench.cli.options import FOLDER, json_option, print_json

if TYPE_CHECKING:
    from lacbench.study.folder import Study
    from lacbench.study.invite import Invitation


@click.command()
@click.argument("study", type=FOLDER)
@click.argument("raters", type=click.IntRange(min=1), metavar="[N]", required=False)
@click.option("--again", metavar="RATER", help="A new link for one who lost theirs, which ends: rater-01.")
@click.option("--open", "openly", is_flag=True, help="One link whose visitors each become a rater.")
@click.option("--cap", type=click.IntRange(min=1), help="With --open: how many may.")
@click.option(
    "--url",
    default="http://127.0.0.1:8501",
    show_default=True,
    callback=page_url,
    help="Where raters reach the page of `lacbench mos serve`.",
)
@click.option("--qr", is_flag=True, help="Show QR codes in the terminal too.")
@click.option("--qr-folder", type=FOLDER, help="Write QR codes here, one file each.")
@click.option(
    "--qr-format", type=click.Choice(["svg", "png"]), default="svg", show_default=True, help="Of those files."
)
@json_option
def invite(
    study: Path,
    raters: int | None,
    again: str | None,
    openly: bool,
    cap: int | None,
    url: str,
    qr: bool,
    qr_folder: Path | None,
    qr_format: str,
    as_json: bool,
) -> None:
    """Print links for N raters of STUDY who have none yet.

    A link is shown once: the study keeps only what tells it when it comes. Who has it rates under it, on any
    device; give each to one person.
    """
    if sum([raters is not None, again is not None, openly]) != 1:
        raise click.UsageError("say how many raters are invited, or --again RATER, or --open --cap N")
    if openly != (cap is not None):
        raise click.UsageError("--open and --cap N belong together")
    from lacbench.study.invite import qr_text, save_qr

    with open_study(study) as opened:
        links = {i.rater or "open": i.link(url) for i in _invited(opened, raters, again, cap)}
    if as_json:
        print_json({"links": links})
    else:
        for name, link in links.items():
            click.echo(f"{name}  {link}" + (f"\n{qr_text(link)}" if qr else ""))
    if qr_folder:  # last: a link that is not printed now is lost
        for name, link in links.items():
            save_qr(link, qr_folder / f"{name}.{qr_format}")


def _invited(study: "Study", raters: int | None, again: str | None, cap: int | None) -> "list[Invitation]":
    from lacbench.study import invite

    if again is not None:
        return [invite.invite_again(study, again)]
    return [invite.invite_openly(study, cap)] if cap else invite.invite(study, raters or 0)
