"""Copies of a data set's pictures that training made for itself: where they lie, and how they go."""

import shutil
from collections.abc import Set
from pathlib import Path

from lacbench.files import output_errors, read_json

PREPARED = "prepared"
"""Folder of the copies in a data set's folder; in it one folder for each size."""
INDEX = "index.json"
"""The file, in a size's folder, that says what is there: `pictures` lists the ids. Written last."""


def drop_prepared(folder: Path, ids: Set[str]) -> None:
    """Take a data set's copies away where they hold one of `ids`, or do not say what they hold.

    They can be made again from what is left. Raises OutputError where they cannot be taken away.
    """
    for place in (folder / PREPARED).glob("*/") if ids else ():
        told = read_json(place / INDEX)
        pictures = told.get("pictures") if isinstance(told, dict) else None
        if not isinstance(pictures, list) or not ids.isdisjoint(map(str, pictures)):
            with output_errors(place):
                (place / INDEX).unlink(missing_ok=True)  # first: what is left is not whole any more
                shutil.rmtree(place)
