"""What raters see: every picture by one encoder, without metadata, at one size for each line art."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lacbench.errors import StudyError
from lacbench.files import sha256_bytes, write_bytes
from lacbench.images import Array, encode_png, resize
from lacbench.metrics.decoding import read_on_white
from lacbench.submission import File

MEDIA = "media"
"""Folder of the pictures, in a study's folder."""
SLACK = 2
"""Pixels by which an output may be off its line art's aspect: networks round sizes."""


@dataclass(frozen=True)
class Sources:
    """The files of one line art, as they come."""

    name: str
    """The line art's id."""
    line_art: Path
    """Its file."""
    outputs: Mapping[str, File]
    """What is rated: a file for each method, or each gold picture."""


@dataclass(frozen=True)
class Media:
    """The pictures of one line art, as they are shown: SHA-256 of each."""

    name: str
    """The line art's id."""
    line_art: str
    """Its picture."""
    outputs: Mapping[str, str]
    """What is rated, by method or gold picture."""


def media_path(sha256: str) -> str:
    """Where a picture lies in the study's folder."""
    return f"{MEDIA}/{sha256[:2]}/{sha256}.png"


def shape_of(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in pixels of a picture whose longest side becomes `size`."""
    longest = max(height, width)
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def keep_media(folder: Path, size: int, sources: Sources) -> Media:
    """Re-encode a line art and its outputs into the study's folder, all of exactly one shape.

    Raises StudyError for an output of another aspect than its line art, ImageError for what is no picture,
    OutputError where the folder cannot be written to.
    """
    line_art = read_on_white(sources.line_art)
    height, width = shape_of(line_art.shape[0], line_art.shape[1], size)
    outputs = {}
    for method, path in sources.outputs.items():
        output = read_on_white(path)
        _check_aspect(output, line_art, f"{path} ({method})")
        outputs[method] = _keep(folder, resize(output, height, width))
    return Media(sources.name, _keep(folder, resize(line_art, height, width)), outputs)


def _keep(folder: Path, image: Array) -> str:
    data = encode_png(image)
    sha256 = sha256_bytes(data)
    path = folder / media_path(sha256)
    if not path.is_file():
        write_bytes(path, data)
    return sha256


def _check_aspect(output: Array, line_art: Array, name: str) -> None:
    (h, w), (height, width) = output.shape[:2], line_art.shape[:2]
    off = min(abs(h - w * height / width), abs(w - h * width / height))
    if off > SLACK:
        raise StudyError(
            f"{name} has {w} × {h} pixels, its line art {width} × {height}: that is another aspect; expected "
            "all outputs of a line art to be as wide to high as it is; colour it again without cropping"
        )
