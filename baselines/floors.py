"""Floors: what any model must beat. No learning; a line art and hints in, colours out."""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.hints import Hint
from lacbench.images import Array
from lacbench.regions import regions

Floor = Callable[[Array, Sequence[Hint]], Array]
"""Line art uint8 (H, W), 0 ink, 255 paper, and hints → uint8 (H, W, 3) RGB."""

PAPER = (255, 255, 255)


def grey(line_art: Array, hints: Sequence[Hint]) -> Array:
    """The line art itself: nothing coloured, hints ignored."""
    return _inked(np.full((*line_art.shape, 3), PAPER, np.float64), line_art)


def mean_hint(line_art: Array, hints: Sequence[Hint]) -> Array:
    """The whole picture in the mean of the hints' colours."""
    color = np.mean([h.color for h in hints], axis=0) if hints else np.array(PAPER)
    return _inked(np.broadcast_to(color, (*line_art.shape, 3)), line_art)


def nearest_hint(line_art: Array, hints: Sequence[Hint]) -> Array:
    """Every pixel in the colour of the hint nearest to it, in pixels; the first of equally near ones."""
    if not hints:
        return grey(line_art, hints)
    rows, columns = np.ogrid[: line_art.shape[0], : line_art.shape[1]]
    distance = np.full(line_art.shape, np.iinfo(np.int64).max)
    nearest = np.zeros(line_art.shape, np.int64)
    for number, (r, c) in enumerate(h.pixel(*line_art.shape) for h in hints):  # strokes are thousands of dabs
        to_hint = (rows - r) ** 2 + (columns - c) ** 2
        nearer = to_hint < distance
        distance[nearer], nearest[nearer] = to_hint[nearer], number
    colors = np.array([h.color for h in hints], np.float64)
    return _inked(colors[nearest], line_art)


def flood_fill(line_art: Array, hints: Sequence[Hint]) -> Array:
    """Every region that lines enclose in the mean colour of the hints in it; white where there is none."""
    labels = regions(line_art)
    places = [h.pixel(*line_art.shape) for h in hints]
    palette = np.full((labels.max() + 1, 3), PAPER, np.float64)
    for label in {int(labels[place]) for place in places} - {0}:
        inside = [h.color for h, place in zip(hints, places, strict=True) if labels[place] == label]
        palette[label] = np.mean(inside, axis=0)
    return _inked(_spread(palette[labels], labels), line_art)


def _spread(colors: NDArray[np.float64], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Let the regions' colours run under the lines, so that soft line edges show no white seam."""
    spread = cv2.dilate(np.where(labels[..., None] > 0, 255 - colors, 0), np.ones((3, 3), np.uint8))
    return np.where(labels[..., None] > 0, colors, 255 - spread)


def _inked(colors: NDArray[np.float64], line_art: Array) -> Array:
    """Colours (H, W, 3) under the line art: multiplied, so that lines stay lines."""
    return np.rint(colors * (line_art[..., None] / 255)).astype(np.uint8)


FLOORS: Mapping[str, Floor] = {
    "grey": grey,
    "mean-hint": mean_hint,
    "nearest-hint": nearest_hint,
    "flood-fill": flood_fill,
}
"""Every floor by the name that `lacbench colorize` takes."""
