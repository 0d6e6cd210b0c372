"""Bars along the edges of a picture: letterboxes, pillarboxes and frames."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array

TOLERANCE = 16
"""A pixel is in a bar's colour when no channel differs from it by more than this, in 0–255."""
UNIFORM = 0.99
"""Share of a row in the bar's colour, from which on the row belongs to the bar; JPEG leaves specks."""
STRAIGHT = 0.8
"""Share of the pixels along the bar's inner edge that must leave its colour at once."""


def border(image: Array) -> float:
    """Share of the area of uint8 (H, W, 3) RGB in uniform bars along opposite edges, 0–1.

    Bars come in pairs of one colour (top and bottom, left and right, or both: a frame), and end at a straight
    edge. The bare ground around a figure ends at its outline instead, and does not count; nor does a sky.
    """
    turned = np.asarray(cv2.transpose(image), dtype=np.uint8)
    (top, bottom), (left, right) = _margins(image), _margins(turned)
    rows, columns = slice(top, image.shape[0] - bottom), slice(left, image.shape[1] - right)
    barred_rows = top and _ends_straight(image[rows, columns], image[0])
    barred_columns = left and _ends_straight(turned[columns, rows], turned[0])
    inner = image[rows if barred_rows else slice(None), columns if barred_columns else slice(None)]
    return 1 - inner[..., 0].size / image[..., 0].size


def _margins(image: Array) -> tuple[int, int]:
    """Rows of one colour at the top and at the bottom; (0, 0) unless both have some, of like colours."""
    above, below = _color(image[0]), _color(image[-1])
    if np.abs(above.astype(int) - below).max() > TOLERANCE:
        return 0, 0
    if min(_share(image[:1], above)[0], _share(image[-1:], below)[0]) < UNIFORM:
        return 0, 0  # most pictures: nothing more to look at
    same = _share(image, above) >= UNIFORM
    return (0, 0) if same.all() else (int(np.argmin(same)), int(np.argmin(same[::-1])))


def _ends_straight(inner: Array, bar: Array) -> bool:
    """Whether a picture leaves the colour of its bars at once, at its top and at its bottom."""
    beyond = inner[[1, -2]] if len(inner) > 2 else inner  # shrinking mixes one row of bar and picture
    return bool(_share(beyond, _color(bar)).max() <= 1 - STRAIGHT)


def _color(row: Array) -> Array:
    """Median of uint8 (W, 3), channel by channel, rounded down."""
    middle = np.sort(row, axis=0)[[(len(row) - 1) // 2, len(row) // 2]]
    return np.asarray(middle.sum(axis=0, dtype=int) // 2, dtype=np.uint8)


def _share(image: Array, color: Array) -> NDArray[np.float64]:
    """Share of each row's pixels in a colour, 0–1."""
    low, high = (color.astype(float) + distance for distance in (-TOLERANCE, TOLERANCE))
    inside = cv2.inRange(np.ascontiguousarray(image), low, high)
    hits = cv2.reduce(inside, 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F)[:, 0]
    return np.asarray(hits / inside.shape[1] / 255, dtype=np.float64)
