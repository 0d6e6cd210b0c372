"""`lacbench verify`: is a data set still what its manifests say?"""

from dataclasses import asdict
from pathlib import Path

import click

from lacbench.cli.options import FOLDER, engine_option, json_option, print_json, workers_option
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@workers_option
@engine_option
@json_option
def verify(data: Path, workers: int, engine: str, as_json: bool) -> None:
    """Read and hash every file of DATA again, and name every difference; exit status 1 when there is one."""
    from lacbench.engine import open_engine
    from lacbench.verify import verify

    with open_engine(engine, workers) as opened:
        found = verify(data, opened, listener())
    if as_json:
        print_json(asdict(found))
    else:
        for difference in found.differences:
            click.echo(f"{difference.path} {difference.problem}")
    raise SystemExit(1 if found.differences else 0)
