"""Colour hints: what a user dabs on a line art to say which colour goes where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacbench.errors import InputError
from lacbench.files import write_json
from lacbench.images import Array, read
from lacbench.records import Dataset


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

    The colour is that of the line art's true coloured version where the data set has one; else of an
    illustration chosen by the seed, a stand-in for a user's whim. The same seed gives the same hints.
    """
    if not dataset.illustrations:
        raise InputError(f"{dataset.folder} has no illustrations to take hint colours from")
    truths = {m.record.candidate.pair: m for m in dataset.illustrations}
    drawn = {}
    for lineart in dataset.linearts:
        sha256, pair = lineart.record.sha256, lineart.record.candidate.pair
        # Counter-based: a line art's hints do not depend on which others there are.
        random = np.random.Generator(np.random.Philox(key=[seed, int(sha256[:16], 16)]))
        whim = dataset.illustrations[int(random.integers(len(dataset.illustrations)))]
        picture = read(dataset.file(truths.get(pair, whim) if pair else whim))
        drawn[sha256] = tuple(_sample(picture, x, y) for x, y in random.random((count, 2)).tolist())
    return drawn


def _sample(picture: Array, x: float, y: float) -> Hint:
    height, width = picture.shape[:2]
    red, green, blue = (int(v) for v in picture[int(y * height), int(x * width)])
    return Hint(x, y, (red, green, blue))


def save_hints(path: Path, hints: Hints) -> None:
    """Write hints as JSON: {sha256: [[x, y, [r, g, b]], …]}; atomically."""
    write_json(path, {key: [[h.x, h.y, list(h.color)] for h in value] for key, value in hints.items()})


def load_hints(path: Path) -> dict[str, tuple[Hint, ...]]:
    """Read what `save_hints` wrote. Raises InputError for anything else."""
    try:
        raw = json.loads(path.read_text())
        return {k: tuple(_checked(x, y, color) for x, y, color in v) for k, v in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} holds no hints: {error}; expected {{id: [[x, y, [r, g, b]], …]}}"
        ) from error


def _checked(x: float, y: float, color: list[int]) -> Hint:
    red, green, blue = (int(v) for v in color)
    if not (0 <= x < 1 and 0 <= y < 1 and all(0 <= v <= 255 for v in (red, green, blue))):
        raise ValueError(f"hint ({x}, {y}, {color}) is out of range")
    return Hint(float(x), float(y), (red, green, blue))
