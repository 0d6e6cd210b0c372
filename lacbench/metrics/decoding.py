"""Bytes → pixels as the FID tools see them: Pillow's `.convert("RGB")`."""

import io
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from lacbench import images
from lacbench.errors import ImageError
from lacbench.metrics.archives import Entry

SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File names that pytorch-fid takes for pictures, here in either case."""


class Reader(Protocol):
    """Decodes a file, or an archive's entry, to uint8 (H, W, 3), RGB; raises ImageError."""

    __name__: str
    """Tells readers apart in the cache of features."""

    def __call__(self, path: Path | Entry, /) -> images.Array:
        """Read the picture."""
        ...


def read_rgb(path: Path | Entry) -> images.Array:
    """Read a picture as pytorch-fid does: Pillow's `.convert("RGB")`; transparency, EXIF and ICC are ignored.

    Returns uint8 (H, W, 3), RGB. Raises ImageError as `lacbench.images.read` does.
    """
    data = _bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on palettes and sizes
            with Image.open(io.BytesIO(data), formats=(*images.FORMATS, "PPM")) as image:
                if image.width * image.height > images.MAX_PIXELS:
                    raise ValueError(f"more than {images.MAX_PIXELS:,} pixels")
                return np.array(image.convert("RGB"))
    except Exception as error:  # Pillow has no closed set of errors
        raise ImageError(f"{path} cannot be decoded: {error}; replace it or leave it out") from error


def read_on_white(path: Path | Entry) -> images.Array:
    """Read a picture as data sets do: upright, transparency laid on white; see `lacbench.images.decode`."""
    return images.decode(_bytes(path), str(path))


def _bytes(path: Path | Entry) -> bytes:
    return images.read_bytes(path) if isinstance(path, Path) else path.read_bytes()
