"""Bytes → checked uint8 (H, W, 3) sRGB pictures, and back."""

import importlib
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lacbench import svg
from lacbench.errors import ImageError, MissingError
from lacbench.files import write_bytes

Array = NDArray[np.uint8]

MAX_BYTES = 64 * 2**20
"""Files beyond this are refused unread."""
MAX_PIXELS = 64 * 10**6
"""Pictures beyond this are refused before they are decoded: a bomb costs nothing."""
MAX_SVG_BYTES = 2 * 2**20
"""Vector pictures beyond this are refused unparsed: they take many times their size."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Containers that are read, as Pillow names them; told from the bytes, never from the name."""
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif", "TIFF": ".tif"}
"""File name suffix of each format, as the store writes it."""

# OpenCV's own threads fight with the process pool's workers.
cv2.setNumThreads(1)
# glibc hands freed arrays of a picture's size back to the system, and the next picture waits for new pages.
# Once it has seen a piece freed it keeps up to twice its size; the pages of this piece are never touched.
np.empty(16 * 2**20, np.uint8)


@dataclass(frozen=True)
class Picture:
    """A decoded picture, and what its container tells beside the pixels."""

    image: Array
    """uint8 (H, W, 3), RGB, sRGB values in 0–255, transparency laid on white."""
    format: str
    """Container, as Pillow names it."""
    frames: int
    """Pictures in the file; 1 is still."""
    transparency: float
    """Area that is not opaque, 0–1: one minus the mean of alpha."""


def read(path: Path) -> Array:
    """Read a picture from a file; see `decode`. The error names the file."""
    return decode(read_bytes(path), str(path))


def read_bytes(path: Path, name: str = "") -> bytes:
    """A file's bytes, refused unread above MAX_BYTES; an ImageError names `name`, or else the path."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageError(
                f"{name or path} has {size:,} bytes; expected at most {MAX_BYTES:,}; leave it out"
            )
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{name or path} cannot be read: {error.strerror or error}") from error


def decode(data: bytes, name: str = "the picture") -> Array:
    """Decode a picture as everything but the FID protocols sees it.

    The EXIF orientation is applied, transparency is laid on white, palettes, grey, 16 bits and CMYK
    become RGB; of an animation the first frame is taken. ICC profiles are ignored: values count as sRGB.

    Returns uint8 (H, W, 3), RGB, sRGB values in 0–255. Raises ImageError for bytes that are no
    picture, a format not in FORMATS, truncation, or more than MAX_PIXELS.
    """
    return decode_picture(data, name).image


def decode_picture(data: bytes, name: str = "the picture") -> Picture:
    """As `decode`, with format, number of frames and transparency; decodes once. Raises ImageError."""
    with _open(data, name) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # broken metadata does not make a broken picture
                # A GIF's frames are counted before its pixels are read, which ends at the first frame.
                frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
                ImageOps.exif_transpose(image, in_place=True)  # else it copies pictures that are upright, too
                pixels, transparency = _on_white(image)
                return Picture(pixels, _format(image), frames, transparency)
        except Exception as error:  # Pillow has no closed set of errors: broken metadata can raise anything
            told = _told(error)
            raise ImageError(f"{name} cannot be decoded: {told}; replace it or leave it out") from error


def read_rgba(path: Path) -> Array:
    """Read a picture with transparency, upright: uint8 (H, W, 4) RGBA, not premultiplied.

    Raises ImageError as `decode` does, and for a picture that has no transparency.
    """
    with _open(read_bytes(path), str(path)) as image:
        try:
            upright = ImageOps.exif_transpose(image)
            transparent = upright.has_transparency_data
            pixels = np.asarray(upright.convert("RGBA"), dtype=np.uint8)
        except Exception as error:  # as in decode_picture
            raise ImageError(f"{path} cannot be decoded: {_told(error)}; replace it") from error
    if not transparent:
        raise ImageError(f"{path} has no transparency; expected a picture with alpha, such as an RGBA PNG")
    return pixels


def identify(data: bytes, name: str = "the picture") -> tuple[str, int, int]:
    """Format, width and height in pixels, from the header alone. Raises ImageError as `decode` does."""
    with _open(data, name) as image:
        return _format(image), image.width, image.height


def looks_like_svg(data: bytes) -> bool:
    """Whether the bytes start as an SVG does: told from the bytes, as every type is."""
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") and b"<svg" in start


def render_svg(data: bytes, size: int, name: str = "the picture") -> bytes:
    """Render a vector picture on white, its shortest side `size` pixels; returns PNG bytes.

    Raises ImageError for bytes that are no SVG, one beyond the limits, or one that the renderer cannot draw
    in svg.DEADLINE seconds; MissingError where the renderer is not installed. Threads take turns.
    """
    try:
        importlib.import_module("resvg_py")
    except ImportError as error:
        raise MissingError(f"{name} is an SVG; to render it run: pip install 'lacbench[packages]'") from error
    if len(data) > MAX_SVG_BYTES:
        raise ImageError(
            f"{name} is an SVG of {len(data):,} bytes; expected at most {MAX_SVG_BYTES:,}; leave it out"
        )
    try:
        return svg.RENDERER.draw(data, size, MAX_PIXELS)
    except ValueError as error:
        raise ImageError(f"{name} cannot be rendered: {error}; leave it out") from error


def encode_png(image: Array, *, bilevel: bool = False) -> bytes:
    """Encode uint8 (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey as PNG without metadata; `bilevel` makes it
    1-bit."""
    picture = Image.fromarray(image)
    if bilevel:
        picture = picture.convert("1", dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_png(path: Path, image: Array, *, bilevel: bool = False) -> None:
    """Write `image` as PNG, atomically; see `encode_png`. Raises OutputError."""
    write_bytes(path, encode_png(image, bilevel=bilevel))


def contact_sheet(images: Sequence[Array], side: int, columns: int) -> Array:
    """Lay pictures, uint8 (H, W, 3) RGB each, small in rows on grey; returns uint8 (rows · side, …, 3).

    Each is shrunk as `thumbnail` does; who has many shrinks them as they are read.
    """
    rows = math.ceil(len(images) / columns)
    sheet = np.full((max(rows, 1) * side, columns * side, 3), 235, np.uint8)
    for number, image in enumerate(images):
        small = thumbnail(image, side)
        height, width = small.shape[:2]
        top = number // columns * side + (side - height) // 2
        left = number % columns * side + (side - width) // 2
        sheet[top : top + height, left : left + width] = small
    return sheet


def thumbnail(image: Array, side: int) -> Array:
    """Shrink uint8 (H, W, 3) so that its longest side has at most `side` less a margin of 8 pixels."""
    scale = min(1.0, (side - 8) / max(image.shape[:2]))
    width, height = (max(1, round(length * scale)) for length in (image.shape[1], image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode_jpeg(image: Array, quality: int = 85) -> bytes:
    """Encode uint8 (H, W, 3) RGB as JPEG without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def to_grey(image: Array) -> Array:
    """Grey of uint8 (H, W, 3) RGB or (H, W): OpenCV's Rec. 601 luma in fixed point, uint8 (H, W)."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def resize_shortest(image: Array, size: int) -> Array:
    """Resize so that the shortest side has `size` pixels, keeping the aspect.

    Area averaging down, bicubic up. Takes and returns uint8 (H, W) or (H, W, 3). A picture of that size
    already is returned as it is. Raises ImageError where the result would have more than MAX_PIXELS.
    """
    height, width = resized_shape(image.shape[0], image.shape[1], size)
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"a picture of {image.shape[1]} × {image.shape[0]} pixels would have {width} × {height} with a "
            f"shortest side of {size}; expected at most {MAX_PIXELS:,} in all; leave it out"
        )
    return resize(image, height, width)


def resize(image: Array, height: int, width: int) -> Array:
    """Resize uint8 (H, W) or (H, W, 3) to a shape: area averaging down, bicubic up."""
    if (height, width) == image.shape[:2]:
        return image
    method = cv2.INTER_AREA if min(image.shape[:2]) > min(height, width) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in pixels that `resize_shortest` gives."""
    shortest = min(height, width)
    return max(size, round(height * size / shortest)), max(size, round(width * size / shortest))


def _open(data: bytes, name: str) -> Image.Image:
    """Open lazily and check the header: format and pixel count."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own pixel limit is the stricter one
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no picture: expected {', '.join(FORMATS)}; leave it out") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} has far too many pixels; expected at most {MAX_PIXELS:,}; leave it out"
        ) from error
    except Exception as error:  # as in decode_picture
        raise ImageError(f"{name} cannot be opened: {_told(error)}; leave it out") from error
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(f"{name} has {pixels:,} pixels; expected at most {MAX_PIXELS:,}; leave it out")
    return image


def _told(error: Exception) -> str:
    """What an error says, on one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _format(image: Image.Image) -> str:
    """Container; a camera's MPO is a JPEG with a second view behind it, which is not read."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def _on_white(image: Image.Image) -> tuple[Array, float]:
    """RGB of any mode, with transparency laid on white, and one minus the mean of alpha, 0–1."""
    transparency = 0.0
    if image.mode.startswith(("I", "F")):
        # Pillow clips 16-bit grey at 255 when it converts; scale it instead.
        levels = np.asarray(image, dtype=np.float64) * (1.0 if image.mode == "F" else 255 / 65535)
        image = Image.fromarray(np.clip(levels.round(), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        transparency = 1 - float(np.asarray(coloured.getchannel("A")).mean()) / 255
        paper = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, coloured)
    if image.mode != "RGB":
        image = image.convert("RGB")  # of RGB it would make a copy
    return np.asarray(image, dtype=np.uint8), transparency
