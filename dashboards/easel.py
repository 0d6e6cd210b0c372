"""What `lacbench try` paints on: line arts offered or brought, and strokes as a browser sends them."""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from lacbench.baselines.colorize import find_linearts
from lacbench.errors import ImageError, InputError
from lacbench.files import write_bytes
from lacbench.hints import CELL, Strokes
from lacbench.images import SUFFIXES, Array, decode, identify, read
from lacbench.lineart import clean
from lacbench.manifest import load_dataset

UPLOAD_MB = 20
"""Mebibytes of the largest file that a visitor can bring; strokes have the same limit."""
MOST_PIXELS = 16 * 10**6
"""Pixels of the largest line art that is painted on: phones' browsers have no larger canvas."""
LEAST_SIDE = 16
"""Pixels of the shortest side of a line art that is painted on."""
LONGEST_RATIO = 8
"""How many times longer than high, or higher than long, a line art may be."""
PNG_URL = "data:image/png;base64,"
"""How a browser begins a PNG that it sends as text."""


@dataclass(frozen=True)
class LineArt:
    """A line art to paint on."""

    id: str
    """The name that its output and strokes take, as `lacbench colorize` has it."""
    file: Path
    """The picture."""
    title: str
    """What people know it by."""


@dataclass(frozen=True)
class Brush:
    """Widths of a brush, in pixels of the line art."""

    least: int
    """Three cells of what the model is told of hints: of a thinner dab, in a corner, none might be left."""
    start: int
    """What a visitor begins with."""
    most: int
    """The widest."""


def offered(source: Path) -> dict[str, LineArt]:
    """The line arts of a data set, of a folder of pictures, or the one of a file, by id.

    Raises InputError where there are none.
    """
    if source.is_file():
        return {source.stem: LineArt(source.stem, source, source.name)}
    titles: dict[str, str] = {}
    if (source / "linearts.parquet").is_file():
        titles = {m.record.sha256: m.record.candidate.key for m in load_dataset(source).linearts}
    found = find_linearts(source)
    return {key: LineArt(key, file, titles.get(key, file.name)) for key, file in found.items()}


def bring(data: bytes, name: str, folder: Path) -> LineArt:
    """A visitor's own line art, checked and kept in `folder`, where it takes the place of the one before.

    The type is told from the bytes: vector pictures and everything else that is not in `images.FORMATS` is
    refused, whatever it is called. Raises ImageError.
    """
    if len(data) > UPLOAD_MB * 2**20:
        raise ImageError(f"{name} has {len(data):,} bytes; expected {UPLOAD_MB} MB at most; make it smaller")
    kind, width, height = identify(data, name)
    _check_size(height, width, name)
    decode(data, name)
    stem = re.sub(r"[^\w-]+", "_", Path(name).stem).strip("_")[:80] or "drawing"
    file = folder / f"brought{SUFFIXES[kind]}"
    write_bytes(file, data)
    return LineArt(stem, file, name)


def paper(line_art: LineArt) -> Array:
    """The line art as models are given it, at its own size: uint8 (H, W), 0 ink, 255 paper.

    Raises ImageError for one that cannot be read, or that is too large, small or long to be painted on.
    """
    picture = read(line_art.file)
    height, width = picture.shape[:2]
    _check_size(height, width, line_art.title)
    return clean(picture)


def brush_for(shape: tuple[int, ...], size: int) -> Brush:
    """A brush for a line art of `shape` (H, W) that is coloured with a shortest side of `size` pixels."""
    shortest = min(shape[:2])
    least = max(4, -(-3 * CELL * shortest // size))
    start = max(least, shortest * 3 // 100)
    return Brush(least, start, max(2 * start, shortest // 4))


def receive_strokes(text: str, shape: tuple[int, ...], folder: Path) -> Strokes:
    """Strokes as a browser sends them, a PNG as a data: URL, kept in `folder` byte by byte.

    Raises InputError for anything but a PNG of `shape` (H, W).
    """
    if not text.startswith(PNG_URL) or len(text) > 4 * UPLOAD_MB * 2**20 // 3:
        raise InputError(f"these are no strokes: expected a PNG of {UPLOAD_MB} MB at most; paint fewer")
    try:
        data = base64.b64decode(text.removeprefix(PNG_URL), validate=True)
    except binascii.Error as error:
        raise InputError(f"these are no strokes: {error}; expected a PNG; load the page anew") from error
    kind, width, height = identify(data, "the strokes' file")
    if kind != "PNG" or (height, width) != shape[:2]:
        raise InputError(
            f"the strokes are a {kind} of {width} × {height} pixels; expected a PNG of {shape[1]} × "
            f"{shape[0]}, as the line art; load the page anew"
        )
    write_bytes(folder / "strokes.png", data)
    return Strokes(folder / "strokes.png")


def _check_size(height: int, width: int, name: str) -> None:
    short, long = sorted((height, width))
    if short < LEAST_SIDE or long > LONGEST_RATIO * short or height * width > MOST_PIXELS:
        raise ImageError(
            f"{name} has {width} × {height} pixels; expected at least {LEAST_SIDE} a side, at most "
            f"{MOST_PIXELS:,} in all, and no side {LONGEST_RATIO} times longer than the other; resize it"
        )
