"""Colour hints: what a user dabs or paints on a line art to say which colour goes where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.files import sha256_file, write_json
from lacbench.images import Array, identify, read, read_bytes, read_rgba
from lacbench.lineart import PAPER_RADIUS, clean, paper_color
from lacbench.records import Dataset, Member

EDGE_SHARE = 64
"""A dab keeps this part of the picture's shortest side away from the edge of what it dabs."""
INK_LIMIT = 48
"""A pixel none of whose channels is brighter than this, in 0–255, is ink."""
CELL = 4
"""Networks are told of hints at a quarter of the resolution: one cell of so many pixels a side."""
PAINTED = 128
"""Alpha, 0–255, from which on a pixel of a stroke counts: soft edges do not."""


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


@dataclass(frozen=True)
class Strokes:
    """What a user painted over a line art: a picture with transparency, as large as the line art."""

    file: Path
    """The picture, such as an RGBA PNG."""

    def dabs(self, height: int, width: int) -> tuple[Hint, ...]:
        """The strokes as dabs on the line art resized to `height` × `width` pixels.

        The picture is max-pooled to quarter resolution: a cell is hinted where alpha reaches PAINTED in it,
        in the colour of its most opaque pixel, the first of several. Then every second cell is taken away, as
        on a checkerboard whose first field stays (arXiv:1808.03240: "with an interval of 1"): a stroke that
        must tell is wider than one cell. Raises ImageError.
        """
        strokes = read_rgba(self.file)
        if strokes.shape[0] < height or strokes.shape[1] < width:
            strokes = cv2.resize(strokes, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        colors, mask = _pooled(strokes, height, width)
        cells = ((r, c) for r, c in np.argwhere(mask).tolist() if (r + c) % 2 == 0)
        # Half a pixel into its cell: inside of the picture also where that ends within the cell.
        return tuple(
            Hint((CELL * c + 0.5) / width, (CELL * r + 0.5) / height, tuple(colors[r, c].tolist()))
            for r, c in cells
        )

    def check_fits(self, lineart: Path) -> None:
        """Raise InputError unless the strokes are as large as the line art, and painted."""
        sizes = [identify(read_bytes(file), str(file))[1:] for file in (self.file, lineart)]
        strokes = read_rgba(self.file)
        if sizes[0] != sizes[1] and strokes.shape[:2] != read(lineart).shape[:2]:  # one may lie on its side
            got, expected = (f"{width} × {height}" for width, height in sizes)
            raise InputError(
                f"{self.file} has {got} pixels; expected {expected}, as its line art {lineart} has; paint "
                "over the line art itself"
            )
        alpha = strokes[..., 3]
        if alpha.any() and alpha.max() < PAINTED:
            raise InputError(
                f"{self.file} is painted too thinly: its most opaque pixel has alpha {alpha.max()} of 255, "
                f"expected {PAINTED} or more; paint with an opaque brush"
            )


def _pooled(strokes: Array, height: int, width: int) -> tuple[Array, NDArray[np.bool_]]:
    """Colour (h, w, 3) and mask (h, w) at quarter resolution of `height` × `width`, of RGBA (H, W, 4)."""
    shape = -(-height // CELL), -(-width // CELL)
    colors, mask = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_)
    rows, columns = np.nonzero(strokes[..., 3] >= PAINTED)
    opaque_last = np.argsort(strokes[rows, columns, 3][::-1], kind="stable")  # and earlier ones after later
    rows, columns = rows[::-1][opaque_last], columns[::-1][opaque_last]
    sides = zip((rows, columns), (height, width), strokes.shape[:2], strict=True)
    cells = tuple((2 * index + 1) * new // (2 * old) // CELL for index, new, old in sides)
    colors[cells], mask[cells] = strokes[rows, columns, :3], True  # of several, the last one stays
    return colors, mask


Given = Sequence[Hint] | Strokes
"""What a model is told of one line art's colours: dabs, or strokes painted over it."""
AnyHints = Mapping[str, Given]
"""Dabs or strokes of each line art, by the line art's sha256."""


def dabs_of(given: Given, height: int, width: int) -> Sequence[Hint]:
    """What is given, as dabs on the line art resized to `height` × `width` pixels. Raises ImageError."""
    return given.dabs(height, width) if isinstance(given, Strokes) else given


def told_of(given: Given) -> object:
    """What a digest of hints is taken of: the dabs, or the SHA-256 of the strokes' file."""
    return sha256_file(given.file) if isinstance(given, Strokes) else [asdict(hint) for hint in given]


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
    random = np.random.Generator(chance(seed, lineart))
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


def chance(seed: int, lineart: Member) -> np.random.Philox:
    """A line art's random bits. Counter-based: they do not depend on which other line arts there are."""
    return np.random.Philox(key=np.array([seed, int(lineart.record.sha256[:16], 16)], np.uint64))


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
    write_json(path, hints_json(hints))


def hints_json(hints: Hints) -> dict[str, list[list[Any]]]:
    """Hints as they are written."""
    return {key: [[h.x, h.y, list(h.color)] for h in value] for key, value in hints.items()}


def load_hints(path: Path) -> dict[str, tuple[Hint, ...]]:
    """Read what `save_hints` wrote. Raises InputError for anything else."""
    if not path.exists():
        raise InputError(f"{path} is not there; expected a file of hints (`lacbench hints`), or strokes")
    try:
        raw = json.loads(path.read_text("utf-8"))
        return {k: tuple(_checked(x, y, color) for x, y, color in v) for k, v in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} holds no hints: {error}; expected {{id: [[x, y, [r, g, b]], …]}}"
        ) from error


def load_strokes(folder: Path) -> dict[str, Strokes]:
    """The strokes in a folder, `<id>.png` each, by the line art's id. Raises InputError if none."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise InputError(
            f"{folder} holds no strokes: expected <id>.png for a line art, RGBA and of its size; paint some"
        )
    return {file.stem: Strokes(file) for file in files}


def load_given(path: Path) -> AnyHints:
    """The strokes in a folder, or the dabs in a file. Raises InputError for neither."""
    return load_strokes(path) if path.is_dir() else load_hints(path)


def _checked(x: float, y: float, color: list[int]) -> Hint:
    red, green, blue = (int(v) for v in color)
    if not (0 <= x < 1 and 0 <= y < 1 and all(0 <= v <= 255 for v in (red, green, blue))):
        raise ValueError(f"hint ({x}, {y}, {color}) is out of range")
    return Hint(float(x), float(y), (red, green, blue))
