"""Bleeding: do colours stay behind the lines that bound them?"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array
from lacbench.metrics.claims import Floats, Mean, Pictures, aligned, lab, mean, over
from lacbench.progress import Progress
from lacbench.regions import to_ink

EDGE_TONE = 224
"""Pixels darker than this, 0–255, belong to a line: its soft edges too."""
WIDEST = 16
"""Lines wider than so many pixels, at a shortest side of 512, are fills: nothing is measured across them."""
BESIDE = 8
"""The strip beside a line where colours that bleed are looked for, in pixels at 512."""
BEYOND = 4
"""The strip behind it, which tells the colours that belong there."""
CONTRAST = 0.3
"""Colours differ across a line when they do by this part of the picture's 90th percentile …"""
LEAST = 2.0
"""… and by this much, in units of a*b*."""
STARTS = 30000
"""Places beside lines, at most, that crossings are looked for from, evenly spread."""
FEWEST = 30
"""Fewer crossings than this tell nothing of a picture."""
SMOOTH = 1.5
"""Standard deviation in pixels, at 512, of the blur that smooths a line's stairs for its direction."""
FREE = 0.7
"""A pixel is free of other lines when the nearest one is no nearer than this part of its way from its own."""


@dataclass(frozen=True)
class Bleeding:
    """How far an output's colours run over its lines."""

    value: float | None
    """0 where colours stop at lines, 1 where they run BESIDE pixels or more over them; lower is better.
    None where two colours meet at a line in fewer than FEWEST places, as in a grey output."""
    crossings: int
    """Places that it was measured at."""


def bleeding(output: Array, line_art: Array) -> Bleeding:
    """Measure how much of the colour contrast across lines is missing just beside them.

    Lines are crossed at right angles. With c(t) the difference between the a*b* of both sides, t pixels off
    the line on each, d = the mean of c over BEYOND and û = d / |d|:
    bleeding = 1 − Σ mean_{t in BESIDE} c(t)·û / Σ |d|, over places where d is not small, within 0–1.
    It is a ratio: pale and vivid colours bleed alike. Only sides that are free of other lines count.

    Args:
        output: uint8 (H, W, 3) RGB.
        line_art: uint8 (H', W') of the same aspect, 0 ink, 255 paper (`lineart.clean`).

    Raises:
        InputError: see `aligned`.
    """
    output, line_art = aligned(output, line_art)
    sides = _crossed(line_art < EDGE_TONE)
    chroma = lab(output)[..., 1:]
    across = chroma[sides[0]] - chroma[sides[1]]
    beside, beyond = across[:BESIDE].mean(axis=0), across[BESIDE:].mean(axis=0)
    contrast = np.hypot(beyond[:, 0], beyond[:, 1])
    strong = float(np.quantile(contrast, 0.9)) if len(contrast) else 0.0
    counts = contrast > max(LEAST, CONTRAST * strong)
    if counts.sum() < FEWEST:
        return Bleeding(None, int(counts.sum()))
    kept = (beside * beyond).sum(axis=1)[counts] / contrast[counts]
    value = 1 - float(kept.sum() / contrast[counts].sum())
    return Bleeding(min(max(value, 0.0), 1.0), int(counts.sum()))


def bleeding_of(outputs: Pictures, linearts: Pictures, progress: Progress | None = None) -> Mean:
    """The bleeding of a submission: files by the line art's id. Raises as `over` and `bleeding` do."""
    results = over(outputs, linearts, lambda _, output, line: bleeding(output, line), "bleeding", progress)
    return mean(result.value for result in results.values())


Places = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns, each (BESIDE + BEYOND, crossings), from the line outwards."""


def _crossed(ink: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Where lines (H, W) are crossed at right angles: pixels on this side, and on the other."""
    room = to_ink(ink)
    starts = np.argwhere((room >= 1) & (room < 2))
    starts = starts[:: max(1, -(-len(starts) // STARTS))]
    outward = _normals(ink, starts)
    inked = _looked_up(
        ink, np.rint(starts - np.arange(WIDEST + 2)[:, None, None] * outward).astype(np.intp), True
    )
    left = np.logical_or.accumulate(inked, axis=0) & ~inked  # through the line, and out of it again
    wide, fits = left.argmax(axis=0)[:, None], left.any(axis=0)
    steps = np.arange(BESIDE + BEYOND)[:, None, None]
    sides = [
        np.rint(p).astype(np.intp) for p in (starts + steps * outward, starts - (wide + steps) * outward)
    ]
    for side in sides:
        away = _looked_up(room, side, 0)
        fits &= (away >= np.maximum(1, FREE * steps[..., 0])).all(axis=0)
    here, there = ((side[:, fits, 0], side[:, fits, 1]) for side in sides)
    return here, there


def _normals(ink: NDArray[np.bool_], places: NDArray[np.intp]) -> Floats:
    """Unit vectors (P, 2), row and column, that lead away from the line at places (P, 2)."""
    signed = cv2.GaussianBlur(to_ink(ink) - to_ink(~ink), (0, 0), SMOOTH)
    slope = np.stack([along[tuple(places.T)] for along in np.gradient(signed)], axis=1).astype(np.float64)
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6), np.float64)


def _looked_up(values: NDArray[Any], places: NDArray[np.intp], outside: float) -> NDArray[Any]:
    """Values (H, W) at places (…, 2), row and column; `outside` beyond the picture."""
    height, width = values.shape
    rows, columns = places[..., 0], places[..., 1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.where(inside, values[rows.clip(0, height - 1), columns.clip(0, width - 1)], outside)
