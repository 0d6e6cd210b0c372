"""One line art through every submission: the last leaf of `lacbench explore`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import streamlit as st

from lacbench.browse import Leaves, OneOf
from lacbench.dashboards.pictures import plain, show_pixels
from lacbench.errors import ImageError
from lacbench.hints import Hint, Strokes, load_hints, load_strokes
from lacbench.images import Array, read, resized_shape, thumbnail
from lacbench.lineart import clean
from lacbench.manifest import LedgerFile, load_members
from lacbench.metrics.decoding import read_on_white
from lacbench.records import Dataset
from lacbench.submission import Submission, open_submission

SIDE = 340
"""Longest side of a picture, in pixels."""
PLACE = 512
"""Shortest side, in pixels, at which strokes are told as dabs."""


@dataclass(frozen=True)
class Exhibits:
    """What can be compared on a data set's line arts."""

    folder: Path
    """The data set's."""
    submissions: Mapping[str, Submission]
    """By name."""
    hints: Mapping[str, tuple[Hint, ...] | Strokes]
    """By line art's id."""


def open_exhibits(folder: Path, submissions: Mapping[str, Path], hints: str) -> Exhibits:
    """Find the submissions' outputs and read the hints (a file or a folder; empty for none).

    Illustrations are left where they are. Raises InputError for what is no submission, and for no hints.
    """
    line_arts = load_members(folder / "linearts.parquet")
    dataset = Dataset(folder, "", (), line_arts, LedgerFile(folder / "ledger.parquet"))
    opened = {name: open_submission(source, dataset) for name, source in submissions.items()}
    given: dict[str, tuple[Hint, ...] | Strokes] = {}
    if hints:
        given |= load_strokes(Path(hints)) if Path(hints).is_dir() else load_hints(Path(hints))
    return Exhibits(folder, opened, given)


def show_line_art(exhibits: Exhibits, row: dict[str, Any]) -> None:
    """The line art of a manifest's row with its hints, its true coloured version, and all outputs."""
    key = row["sha256"]
    folders, _, name = row["key"].rpartition("/")
    st.subheader(plain(name))
    told = [f"{row['width']} × {row['height']} pixels", row["license"], key[:12], folders]
    st.caption(plain(" · ".join(filter(None, told))))
    given = exhibits.hints.get(key, ())
    with st.container(horizontal=True):
        try:
            drawn, words = hinted(read(exhibits.folder / row["file"]), given)
            show_pixels(drawn, words, "Line art", wide=SIDE)
        except ImageError:
            show_pixels(None, "", "Line art", wide=SIDE)
        if truth := truth_of(exhibits.folder, row["pair"]):
            show_pixels(small(truth), "", "True coloured version", wide=SIDE)
        for name, submission in exhibits.submissions.items():
            show_output(name, submission, key)
    if not exhibits.submissions:
        st.info("Submissions come here with `lacbench explore DATA --submission NAME=PATH`.")


def show_output(name: str, submission: Submission, key: str) -> None:
    """A submission's output of one line art, or that it has none."""
    told = {None: "", "": "without hints"}.get(submission.hints, "with hints")
    file = submission.outputs.get(key)
    if file is None:
        told = " · ".join(filter(None, (told, "has no output")))
    show_pixels(small(file) if file else None, told, name, wide=SIDE)


def small(file: Any) -> Array | None:
    """A file's picture as it is shown; None where it cannot be read."""
    try:
        return thumbnail(read_on_white(file), SIDE + 8)
    except ImageError:
        return None


def truth_of(folder: Path, pair: str) -> Path | None:
    """The true coloured version of a line art, by the name that both share."""
    if not pair:
        return None
    rows = Leaves(folder / "illustrations.parquet").page({"pair": OneOf((pair,))}, 0, 1)
    return folder / rows[0]["file"] if rows else None


def hinted(picture: Array, given: tuple[Hint, ...] | Strokes) -> tuple[Array, str]:
    """A line art as models are given it, with its dabs on it, and how many they are, in words."""
    line_art = clean(picture)
    strokes = isinstance(given, Strokes)
    size = resized_shape(line_art.shape[0], line_art.shape[1], PLACE)
    dabs = given.dabs(*size) if isinstance(given, Strokes) else given
    shown = np.repeat(thumbnail(line_art, SIDE + 8)[..., None], 3, axis=2)
    height, width = shown.shape[:2]
    for hint in dabs:
        row, column = hint.pixel(height, width)
        for radius, color in ((2, hint.color),) if strokes else ((8, (40, 40, 40)), (6, hint.color)):
            cv2.circle(shown, (column, row), radius, color, cv2.FILLED, cv2.LINE_AA)
    words = "strokes" if strokes else f"{len(dabs)} hint{'s' * (len(dabs) != 1)}"
    return shown, words if dabs else ""
