"""`lacbench rebuild`: a published data set, made again."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, engine_option, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


def named_folders(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """The folders of `--folder NAME=FOLDER`, by name. Raises click.BadParameter."""
    for value in values:
        if not all(value.partition("=")):
            raise click.BadParameter(f"{value!r} is not of the form NAME=FOLDER")
    return {name: Path(folder) for name, _, folder in (value.partition("=") for value in values)}


@click.command()
@click.argument("published", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The data set's folder.")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    metavar="NAME=FOLDER",
    callback=named_folders,
    help="Where a source's files lie here; repeatable.",
)
@click.option("--retry", is_flag=True, help="Ask again for works that were not to be had.")
@click.option(
    "--allow-host", "hosts", multiple=True, help="A host of a private network that may be asked; repeatable."
)
@workers_option
@engine_option
@json_option
def rebuild(
    published: Path,
    out: Path,
    folders: dict[str, Path],
    retry: bool,
    hosts: tuple[str, ...],
    workers: int,
    engine: str,
    as_json: bool,
) -> None:
    """Make the data set that PUBLISHED describes: get every work again, and check it by its SHA-256.

    Nothing is judged anew. Exit status 1 where works are gone: gone.csv names them, and the digest differs.
    Killed or interrupted, the same command goes on from what is stored.
    """
    from lacbench.engine import open_engine
    from lacbench.rebuild import GONE, manners, rebuild

    with open_engine(engine, workers) as opened:
        done = rebuild(
            published,
            out,
            folders=folders,
            engine=opened,
            progress=listener(),
            collect=manners(hosts),
            retry=retry,
        )
    if as_json:
        told = {"digest": done.dataset.digest, "published": done.published, "share": done.share}
        print_json({**told, "gone": done.dataset.dropped()})
    elif done.whole:
        click.echo(f"{out} is the published data set: digest {done.published[:12]}")
    else:
        reasons = ", ".join(f"{n} {reason}" for reason, n in done.dataset.dropped().items())
        click.echo(
            f"{out} is {done.share:.1%} of the published data set, and has another digest, "
            f"{done.dataset.digest[:12]} instead of {done.published[:12]}; gone: {reasons}; see {out / GONE}"
        )
    raise SystemExit(0 if done.whole else 1)
