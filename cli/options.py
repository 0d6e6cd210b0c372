"""Options that several commands share."""

import json
from pathlib import Path
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
"""`--json`, handed to the command as `as_json`."""

workers_option = click.option(
    "--workers", type=click.IntRange(0, 1024), default=0, help="Processes; 0, the default, takes one a core."
)
"""`--workers N`; results do not depend on it."""

engine_option = click.option(
    "--engine", default="", metavar="dask://HOST:PORT", help="Work on this Dask cluster; see docs/cluster.md."
)
"""`--engine URL`; results do not depend on it."""

FOLDER = click.Path(file_okay=False, path_type=Path)
"""A folder that may not be there yet."""

NEW_FILE = click.Path(dir_okay=False, path_type=Path)
"""A file that is written when all is done: a folder in its place is told of before the work."""

ANY_PATH = click.Path(path_type=Path)
"""A file or a folder, checked by the library, which says more than click can."""


def print_json(value: dict[str, Any]) -> None:
    """Print the command's one machine-readable object on stdout."""
    click.echo(json.dumps(value, sort_keys=True))
