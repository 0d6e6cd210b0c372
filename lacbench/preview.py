"""A sheet for people: illustrations beside their line drawings."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lacbench.images import Array, contact_sheet, encode_jpeg, read, resize_shortest
from lacbench.records import Dataset, Pair

SIDES = (128, 384)
"""Least and largest width in pixels of a column; larger pictures are shrunk."""
MARGIN = 8
"""Pixels between pictures, as `contact_sheet` leaves them."""
GROUND = (235, 235, 235)
"""RGB behind the labels, as `contact_sheet` has it behind pictures."""


def draw_preview(dataset: Dataset, pairs: Sequence[Pair], count: int) -> bytes:
    """The first `count` illustrations by id, a row each: the picture, then its drawings, thinnest first.

    Ids are digests, so the first are as good as drawn by lot, and the same whenever they are asked for.

    Args:
        dataset: a built data set.
        pairs: its drawings of one size and the same thicknesses, as `make_pairs` returns them.
        count: rows; fewer where there are fewer illustrations.

    Returns a JPEG. Raises ImageError for a picture or drawing that cannot be read.
    """
    members = {m.record.sha256: m for m in dataset.illustrations}
    chosen = {sha256: [p for p in pairs if p.sha256 == sha256] for sha256 in sorted(members)[:count]}
    longest = max(max(p.width, p.height) for drawings in chosen.values() for p in drawings)
    side = min(max(SIDES[0], longest), SIDES[1]) + MARGIN
    rows = []
    for sha256, drawings in chosen.items():
        drawings.sort(key=lambda pair: pair.sigma)
        color = resize_shortest(read(dataset.file(members[sha256])), drawings[0].size)
        rows.append(_row([color, *(read(dataset.folder / p.path) for p in drawings)], side))
    labels = ["illustration", *(f"sigma {p.sigma:g}" for p in drawings)]
    return encode_jpeg(np.concatenate([_labelled(labels, side), *rows]), quality=90)


def _row(images: list[Array], side: int) -> Array:
    """Pictures of one shape beside each other, without the empty ground above and below wide ones."""
    height, width = images[0].shape[:2]
    used = round(height * min(1.0, (side - MARGIN) / max(height, width))) + MARGIN
    top = (side - used) // 2
    return contact_sheet(images, side, len(images))[top : top + used]


def _labelled(labels: list[str], side: int) -> Array:
    """A label above the middle of each column: uint8 (40, columns · side, 3) RGB."""
    head = Image.new("RGB", (len(labels) * side, 40), GROUND)
    draw, font = ImageDraw.Draw(head), ImageFont.load_default(20)  # it has no σ
    for number, label in enumerate(labels):
        draw.text(((number + 0.5) * side, 20), label, fill=(0, 0, 0), font=font, anchor="mm")
    return np.asarray(head, dtype=np.uint8)
