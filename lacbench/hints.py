"""Colour hints: what a user dabs on a line art to say which colour goes where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.files import write_json
from lacbench.images import Array, read
from lacbench.lineart import PAPER_RADIUS, clean, paper_color
from lacbench.records import Dataset, Member

EDGE_SHARE = 64
"""A dab keeps this part of the picture's shortest side away from the edge of what it dabs."""
INK_LIMIT = 48
"""A pixel none of whose channels is brighter than this, in 0–255, is ink."""


@dataclass(frozen=True)
class Hint:
    """One dab of colour."""

    x: float
    """Horizontal place, 0 at the left edge, below 1 at the right one."""
    y: float
    """Vertical place, 0 at the top edge, below 1 at the bottom one."""
    color: tuple[int, int, int]
    """RGB, sRGB values in 0–255."""

    def pixel(self, height: int, width: int) -> tuple[int, int]:
        """Row and column of the dab in a picture of `height` × `width` pixels."""
        return int(self.y * height), int(self.x * width)


Hints = Mapping[str, Sequence[Hint]]
"""The hints of each line art, by the line art's sha256."""


def choose_hints(dataset: Dataset, count: int, seed: int) -> dict[str, tuple[Hint, ...]]:
    """Draw `count` hints for each line art, at places and with colours that the seed decides.

    Where the data set has the line art's true coloured version, hints are dabs of it, at painted places. Else
    their colours are an illustration's, chosen by the seed, a stand-in for a user's whim, and they lie
    anywhere in the box that holds the drawing. The same seed gives the same hints. Raises InputError for a
    data set without illustrations.
    """
    if not dataset.illustrations:
        raise InputError(f"{dataset.folder} has no illustrations to take hint colours from")
    return {m.record.sha256: _draw(dataset, m, count, seed) for m in dataset.linearts}


def _draw(dataset: Dataset, lineart: Member, count: int, seed: int) -> tuple[Hint, ...]:
    # Counter-based: a line art's hints do not depend on which others there are.
    random = np.random.Generator(
        np.random.Philox(key=np.array([seed, int(lineart.record.sha256[:16], 16)], np.uint64))
    )
    whim = dataset.illustrations[int(random.integers(len(dataset.illustrations)))]
    truth = dataset.truth(lineart)
    picture = read(dataset.file(truth or whim))
    rows, columns = np.nonzero(_painted(picture))
    chosen = random.integers(len(rows), size=count)
    colors = picture[rows[chosen], columns[chosen]].tolist()
    if truth:
        places = np.stack([columns[chosen] + 0.5, rows[chosen] + 0.5], axis=1) / picture.shape[1::-1]
    else:
        left, top, right, bottom = _drawn_box(read(dataset.file(lineart)))
        places = random.random((count, 2)) * [right - left, bottom - top] + [left, top]
    return tuple(Hint(x, y, (r, g, b)) for (x, y), (r, g, b) in zip(places.tolist(), colors, strict=True))


def _painted(picture: Array) -> NDArray[np.bool_]:
    """Where (H, W) a user would dab: neither paper nor ink, and not at an edge; everywhere if nowhere."""
    off_paper = np.abs(picture - paper_color(picture)).max(axis=2) > PAPER_RADIUS
    painted = (off_paper & (picture.max(axis=2) > INK_LIMIT)).astype(np.uint8)
    reach = 2 * (min(picture.shape[:2]) // EDGE_SHARE) + 1
    inside = cv2.erode(painted, np.ones((reach, reach), np.uint8))
    wanted = next((mask for mask in (inside, painted) if mask.any()), np.ones_like(painted))
    return np.asarray(wanted, dtype=np.bool_)


def _drawn_box(lineart: Array) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in shares of width and height, of the box that holds all ink."""
    rows, columns = np.nonzero(clean(lineart) < 128)
    if not len(rows):
        return 0.0, 0.0, 1.0, 1.0
    height, width = lineart.shape[:2]
    return columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height


def save_hints(path: Path, hints: Hints) -> None:
    """Write hints as JSON: {sha256: [[x, y, [r, g, b]], …]}; atomically."""
    write_json(path, {key: [[h.x, h.y, list(h.color)] for h in value] for key, value in hints.items()})


def load_hints(path: Path) -> dict[str, tuple[Hint, ...]]:
    """Read what `save_hints` wrote. Raises InputError for anything else."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        return {k: tuple(_checked(x, y, color) for x, y, color in v) for k, v in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} holds no hints: {error}; expected {{id: [[x, y, [r, g, b]], …]}}"
        ) from error


def _checked(x: float, y: float, color: list[int]) -> Hint:
    red, green, blue = (int(v) for v in color)
    if not (0 <= x < 1 and 0 <= y < 1 and all(0 <= v <= 255 for v in (red, green, blue))):
        raise ValueError(f"hint ({x}, {y}, {color}) is out of range")
    return Hint(float(x), float(y), (red, green, blue))
