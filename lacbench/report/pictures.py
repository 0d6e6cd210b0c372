"""Pictures inside a page: small, and whole in it."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lacbench.images import Array, resize_shortest
from lacbench.metrics.decoding import read_on_white
from lacbench.records import Member
from lacbench.submission import File

SIDE = 176
"""Longest side of a picture on the page, in CSS pixels; stored at twice that."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    src: str
    """The whole file as a data: URI."""
    width: int
    """CSS pixels."""
    height: int
    """CSS pixels."""
    alt: str
    """What it shows, for those who cannot see it."""


def picture(path: File, side: int, alt: str, *, lines: bool = False) -> Picture:
    """A picture at twice `side` CSS pixels along its longest side, as WebP; `lines` stay sharp."""
    image = read_on_white(path)
    height, width = image.shape[:2]
    shrink = min(1.0, 2 * side / max(height, width))
    small = resize_shortest(image, max(1, round(min(height, width) * shrink)))
    shown = side / max(height, width)
    data = base64.b64encode(_webp(small, lines)).decode()
    size = (max(1, round(width * shown)), max(1, round(height * shown)))
    return Picture(f"data:image/webp;base64,{data}", *size, alt)


def _webp(image: Array, lossless: bool) -> bytes:
    if lossless:  # 16 tones are enough for lines, and halve their bytes
        image = ((image.astype("uint16") + 8) // 17 * 17).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=lossless, quality=80, method=4)
    return buffer.getvalue()


def title(member: Member) -> str:
    """What a picture is called on the page."""
    return f"{label(member.record.candidate.key)} ({member.record.candidate.source})"


def label(key: str) -> str:
    """The last part of a candidate's key, without its ending."""
    return Path(key).stem
