"""Bytes → checked uint8 (H, W, 3) sRGB pictures, and back."""

import io
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lacbench.errors import ImageError, MissingError
from lacbench.files import write_bytes

Array = NDArray[np.uint8]

MAX_BYTES = 64 * 2**20
"""Files beyond this are refused unread."""
MAX_PIXELS = 64 * 10**6
"""Pictures beyond this are refused before they are decoded: a bomb costs nothing."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Containers that are read, as Pillow names them; told from the bytes, never from the name."""
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif", "TIFF": ".tif"}
"""File name suffix of each format, as the store writes it."""

SVG_REFUSED = frozenset({"image", "filter", "foreignObject", "script"})
"""SVG elements, beside filter effects (`fe…`), that could read files or compute without end."""

# OpenCV's own threads fight with the process pool's workers.
cv2.setNumThreads(1)


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
    with _open(data, name) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # broken metadata does not make a broken picture
                return np.asarray(_on_white(ImageOps.exif_transpose(image)), dtype=np.uint8)
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
            raise ImageError(f"{name} cannot be decoded: {error}; replace it or leave it out") from error


def identify(data: bytes, name: str = "the picture") -> tuple[str, int, int]:
    """Format, width and height in pixels, from the header alone. Raises ImageError as `decode` does."""
    with _open(data, name) as image:
        return str(image.format), image.width, image.height


def render_svg(data: bytes, size: int, name: str = "the picture") -> bytes:
    """Render a vector picture on white, its shortest side `size` pixels; returns PNG bytes.

    Raises ImageError for bytes that are no SVG, MissingError where the renderer is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingError(f"{name} is an SVG; to render it run: pip install 'lacbench[packages]'") from error
    try:
        text = data.decode()
        width, height = _svg_shape(text, size)
        if width * height > MAX_PIXELS:
            raise ValueError(f"it is {width} × {height} pixels then, expected at most {MAX_PIXELS:,} in all")
        drawn = resvg_py.svg_to_bytes(
            svg_string=text,
            background="#ffffff",
            width=width,
            height=height,
            dpi=96.0,
            skip_system_fonts=True,  # the same picture on every machine, at the price of its text
        )
        return bytes(drawn)
    except ValueError as error:
        raise ImageError(f"{name} cannot be rendered: {error}; leave it out") from error


def encode_png(image: Array, *, bilevel: bool = False) -> bytes:
    """Encode uint8 (H, W, 3) RGB or (H, W) grey as PNG without metadata; `bilevel` makes it 1-bit."""
    picture = Image.fromarray(image)
    if bilevel:
        picture = picture.convert("1", dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_png(path: Path, image: Array, *, bilevel: bool = False) -> None:
    """Write `image` as PNG, atomically; see `encode_png`. Raises OutputError."""
    write_bytes(path, encode_png(image, bilevel=bilevel))


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
    if (height, width) == image.shape[:2]:
        return image
    method = cv2.INTER_AREA if min(image.shape[:2]) > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in pixels that `resize_shortest` gives."""
    shortest = min(height, width)
    return max(size, round(height * size / shortest)), max(size, round(width * size / shortest))


def _svg_shape(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of an SVG whose shortest side becomes `size`.

    The renderer aborts the process on a huge canvas, reads local files that a picture names, and computes
    filters without end, so it must not be asked. Raises ValueError for such pictures, and for no size.
    """
    if "<!ENTITY" in text:
        raise ValueError("it defines entities")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from error
    names = {str(element.tag).rpartition("}")[2] for element in root.iter()}
    if risky := sorted(n for n in names if n in SVG_REFUSED or n.startswith("fe")):
        raise ValueError(f"it uses <{risky[0]}>")
    width, height = _svg_size(root.attrib)
    shortest = min(width, height)
    return max(size, round(width / shortest * size)), max(size, round(height / shortest * size))


def _svg_size(told: Mapping[str, str]) -> tuple[float, float]:
    """Width and height in any one unit, from an SVG's root attributes; raises ValueError for none."""
    sides = [re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", told.get(key, "")) for key in ("width", "height")]
    if sides[0] and sides[1] and sides[0][2] == sides[1][2]:
        width, height = float(sides[0][1]), float(sides[1][1])
    else:
        box = [float(number) for number in re.split(r"[\s,]+", told.get("viewBox", "").strip()) if number]
        width, height = box[2:] if len(box) == 4 else (0.0, 0.0)
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ValueError("it has no size")
    return width, height


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
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} cannot be opened: {error}; leave it out") from error
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(f"{name} has {pixels:,} pixels; expected at most {MAX_PIXELS:,}; leave it out")
    return image


def _on_white(image: Image.Image) -> Image.Image:
    """RGB of any mode, with transparency laid on white."""
    if image.mode.startswith(("I", "F")):
        # Pillow clips 16-bit grey at 255 when it converts; scale it instead.
        levels = np.asarray(image, dtype=np.float64) * (1.0 if image.mode == "F" else 255 / 65535)
        image = Image.fromarray(np.clip(levels.round(), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, coloured)
    return image.convert("RGB")
