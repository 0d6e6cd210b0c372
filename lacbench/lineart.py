"""Line art on paper of any tint: find the paper, and make it white."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array, resize_shortest, to_grey

MEASURE_SIZE = 256
"""Shortest side, in pixels, at which a picture's colours are measured."""
PAPER_RADIUS = 24
"""A pixel is paper when no channel differs from the paper's colour by more than this, in 0–255."""
HUE_RADIUS = 28.0
"""A pixel is off the line from paper to ink when it lies further from it than this, in RGB 0–255."""

DARKEST = 0.01
"""Share of pixels, the darkest ones, whose mean is the ink's colour."""


@dataclass(frozen=True)
class Tones:
    """How a picture's colours lie towards its paper."""

    paper: float
    """Share of pixels in the paper's colour, 0–1."""
    ink: float
    """Share of pixels clearly darker than the paper, 0–1."""
    hues: float
    """Share of pixels off the straight line in RGB from paper to ink, 0–1: colours of their own."""


def for_measuring(image: Array) -> Array:
    """uint8 (H, W, 3), shrunk so that its shortest side has at most MEASURE_SIZE pixels."""
    return resize_shortest(image, MEASURE_SIZE) if min(image.shape[:2]) > MEASURE_SIZE else image


def paper_color(image: Array) -> NDArray[np.float64]:
    """Colour of the paper: the mean of the most frequent bin of 32³, RGB 0–255, (3,) float64."""
    pixels = image.reshape(-1, 3)
    bins = (pixels >> 3).astype(np.int64) @ np.array([1024, 32, 1])
    return np.asarray(pixels[bins == np.bincount(bins).argmax()].mean(axis=0), dtype=np.float64)


def tones(image: Array) -> Tones:
    """Measure uint8 (H, W, 3) RGB: a line art is mostly paper, some ink, and nothing off the line between."""
    small = for_measuring(image)
    pixels = small.reshape(-1, 3).astype(np.float64)
    paper = paper_color(small)
    offset = pixels - paper
    on_paper = np.abs(offset).max(axis=1) <= PAPER_RADIUS
    luma = offset @ np.array([0.299, 0.587, 0.114])
    is_ink = luma < -2 * PAPER_RADIUS
    # The darkest pixels are ink; a dark filling would pull a mean over all dark pixels onto itself.
    darkest = luma <= np.quantile(luma, DARKEST)
    axis = offset[darkest].mean(axis=0) if is_ink.any() else -paper
    length = float(np.linalg.norm(axis)) or 1.0
    along = (offset @ (axis / length))[:, None] * (axis / length)
    off_line = np.linalg.norm(offset - along, axis=1) > HUE_RADIUS
    return Tones(float(on_paper.mean()), float(is_ink.mean()), float(off_line.mean()))


def colorfulness(image: Array) -> float:
    """Colourfulness M of uint8 (H, W, 3) RGB (Hasler and Süsstrunk, 2003): 0 grey, 33 moderately colourful.

    M = √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²), with rg = R − G and yb = (R + G) / 2 − B.
    """
    red, green, blue = (image[..., c].astype(np.float64) for c in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def clean(image: Array) -> Array:
    """Put a line art on white paper, as every method is given it.

    The grey of uint8 (H, W, 3) RGB is scaled so that the paper's tone becomes 255; what is lighter than
    the paper becomes white too. Returns uint8 (H, W): 0 ink, 255 paper.
    """
    tone = int(to_grey(np.rint(paper_color(image)).astype(np.uint8).reshape(1, 1, 3))[0, 0])
    return np.asarray(cv2.convertScaleAbs(to_grey(image), alpha=255 / max(tone, 1)), dtype=np.uint8)
