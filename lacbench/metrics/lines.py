"""Line fidelity: do the drawn lines survive the colouring, and does it draw none of its own?"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array, to_grey
from lacbench.metrics.claims import Floats, Mean, Pictures, aligned, mean, over
from lacbench.progress import Progress
from lacbench.regions import INK_TONE, to_ink

TOLERANCE = 2
"""Lines that lie at most so far apart, in pixels at a shortest side of 512, are the same."""
NARROW, WIDE = 3.0, 16.0
"""Widths in pixels, at 512, that a line art's own lines are taken to have at least and at most."""
SIDES = 8.0
"""What is darker than both its sides within its line art's width of line and so many pixels is a line."""
FLOOR = 8.0
"""Added to greys, 0–255, before they are divided: in near black nothing is a line."""
SHARE = 0.5
"""A line is as deep as this part of the line art's own lines at least."""
FAINTEST = 0.1
"""Depth below which nothing is a line, 0–1: paper's grain."""


@dataclass(frozen=True)
class LineFidelity:
    """How well an output keeps its line art's lines; all 0–1, higher is better, 1 for the line art itself."""

    precision: float | None
    """Share of the output's lines that the line art has; None for an output without lines."""
    recall: float | None
    """Share of the line art's lines that the output keeps; None for a line art without lines."""

    @property
    def f(self) -> float | None:
        """The harmonic mean of both; 0 where all lines are lost; None for a line art without lines."""
        if self.recall is None:
            return None
        if self.precision is None or self.precision + self.recall == 0:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True)
class LineFidelities:
    """A submission's line fidelity."""

    f: Mean
    precision: Mean
    recall: Mean


def line_fidelity(output: Array, line_art: Array) -> LineFidelity:
    """Compare the lines of an output with its line art's.

    A line is a ridge of dark: `depth` finds what is darker than both of its sides, relative to them. A border
    between two colours has no such ridge, and a line keeps its depth on any colour that it is multiplied
    with. Lines of the output and of the line art match within TOLERANCE pixels (distance transform).

    Args:
        output: uint8 (H, W, 3) RGB.
        line_art: uint8 (H', W') of the same aspect, 0 ink, 255 paper (`lineart.clean`).

    Raises:
        InputError: see `aligned`.
    """
    output, line_art = aligned(output, line_art)
    wide = round(width(line_art) + SIDES) | 1
    drawn = depth(line_art, wide)
    marks = drawn[drawn > FAINTEST]
    deep = max(FAINTEST, SHARE * float(np.median(marks))) if len(marks) else FAINTEST
    wanted, found = drawn > deep, depth(to_grey(output), wide) > deep
    return LineFidelity(precision=_near(found, wanted), recall=_near(wanted, found))


def lines_of(outputs: Pictures, linearts: Pictures, progress: Progress | None = None) -> LineFidelities:
    """The line fidelity of a submission: files by the line art's id. Raises as `over` and `aligned` do."""
    results = over(outputs, linearts, lambda _, output, line: line_fidelity(output, line), "lines", progress)
    return LineFidelities(
        *(mean(getattr(r, name) for r in results.values()) for name in ("f", "precision", "recall"))
    )


def width(line_art: Array) -> float:
    """Width in pixels of the lines of uint8 (H, W), the median along them, within NARROW and WIDE."""
    inside = to_ink(line_art >= INK_TONE)
    middle = (inside > 0) & (inside == cv2.dilate(inside, np.ones((3, 3), np.uint8)))
    found = 2 * float(np.median(inside[middle])) - 1 if middle.any() else NARROW
    return min(max(found, NARROW), WIDE)


def depth(grey: Array, widest: int) -> Floats:
    """How much darker each pixel is than its surroundings, as a share of them: (H, W), 0 none, towards 1 ink.

    The surroundings' tone is the morphological closing of the grey, uint8 (H, W), by a disc of `widest`
    pixels: what is wider than it is no line but a fill.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (widest, widest))
    around = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, disc).astype(np.float64)
    return np.asarray(1 - (grey + FLOOR) / (around + FLOOR), dtype=np.float64)


def _near(lines: NDArray[np.bool_], others: NDArray[np.bool_]) -> float | None:
    """Share of the pixels of `lines` within TOLERANCE pixels of one of `others`; None without lines."""
    return float((to_ink(others)[lines] <= TOLERANCE).mean()) if lines.any() else None
