"""Line art on paper of any tint: find the paper, and make it white."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array, resize_shortest, to_grey

MEASURE_SIZE = 256
"""Shortest side, in pixels, at which paper and lines are measured."""
HUE_SIZE, CHROMA_SIZE = 128, 64
"""The same for `hues` and `chroma`: JPEG smears colours over thin lines, and averaging mends it."""
PAPER_RADIUS = 24
"""A pixel is paper when no channel differs from the paper's colour by more than this, in 0–255."""
HUE_RADIUS = 28.0
"""A pixel is off the line from paper to ink when it lies further from it than this, in RGB 0–255."""

DARKEST = 0.01
"""Share of pixels, the darkest ones, whose mean is the ink's colour."""
LEVELS = 32
"""Steps of grey within which `chroma` compares colours."""
THICK = 0.05
"""Lines thinner than this share of the shortest side are closed; what is left is solid."""
INKED = 0.7
"""Tone from paper (0) to ink (1) from which on a solid is a spot of ink, and no shading."""
MARK = 0.15
"""Tone from paper (0) to ink (1) above which a pixel belongs to a mark: faint pencil counts."""


@dataclass(frozen=True)
class Tones:
    """How a picture's colours lie towards its paper."""

    paper: float
    """Share of pixels in the paper's colour, 0–1."""
    ink: float
    """Share of pixels clearly darker than the paper, 0–1."""
    hues: float
    """Share of pixels off the straight line in RGB from paper to ink, 0–1: colours of their own."""


@dataclass(frozen=True)
class Forms:
    """What shapes the marks on a picture's paper have."""

    solid: float
    """Share of pixels off the paper even after lines thinner than THICK are closed, 0–1."""
    shading: float
    """The part of it that is lighter than INKED, 0–1: filled, but not with ink."""
    reach: float
    """Mean shorter side of the connected marks' boxes, by area of ink, as a share of the shortest side."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A picture shrunk for measuring, with what its measures share, found once."""

    image: Array
    """uint8 (H, W, 3), RGB; the shortest side has at most MEASURE_SIZE pixels."""
    grey: Array
    """Its grey, uint8 (H, W)."""
    paper: NDArray[np.float64]
    """Colour of its paper, RGB 0–255, (3,); see `paper_color`."""
    tone: int
    """Grey of its paper, 0–255."""


def lay(image: Array) -> Sheet:
    """Lay uint8 (H, W, 3) RGB out for `tones` and `forms`."""
    small = for_measuring(image)
    paper = paper_color(small)
    return Sheet(small, to_grey(small), paper, _tone(paper))


def for_measuring(image: Array, size: int = MEASURE_SIZE) -> Array:
    """uint8 (H, W, 3), shrunk so that its shortest side has at most `size` pixels."""
    return resize_shortest(image, size) if min(image.shape[:2]) > size else image


def paper_color(image: Array) -> NDArray[np.float64]:
    """Colour of the paper: the mean of the most frequent bin of 32³, RGB 0–255, (3,) float64."""
    bins = cv2.cvtColor(image, cv2.COLOR_RGB2BGR555).view(np.uint16)[..., 0]  # 5 bits each, red the highest
    counts = np.bincount(bins.ravel())
    most = counts.argmax()
    chosen = cv2.bitwise_and(image, image, mask=(bins == most).view(np.uint8))
    return np.asarray(np.array(cv2.sumElems(chosen)[:3]) / counts[most], dtype=np.float64)


def tones(sheet: Sheet) -> Tones:
    """Measure its colours: a line art is mostly paper, some ink, and nothing off the line between."""
    is_ink = sheet.grey < sheet.tone - 2 * PAPER_RADIUS
    hues = _off_line(for_measuring(sheet.image, HUE_SIZE), sheet.paper)
    return Tones(_mean(_near(sheet.image, sheet.paper)), _mean(is_ink), hues)


def _off_line(image: Array, paper: NDArray[np.float64]) -> float:
    """Share of pixels of uint8 (H, W, 3) further than HUE_RADIUS from the line from paper to ink, 0–1."""
    # Plane by plane in float32: several times faster than rows of three, and free of BLAS's order.
    red, green, blue = (
        p.astype(np.float32) - np.float32(c) for p, c in zip(cv2.split(image), paper, strict=True)
    )
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    # The darkest pixels are ink; a dark filling would pull a mean over all dark pixels onto itself.
    darkest = luma <= np.quantile(luma, DARKEST)
    inked = luma.min() < -2 * PAPER_RADIUS
    axis = np.array([plane[darkest].mean() for plane in (red, green, blue)]) if inked else -paper
    x, y, z = (np.float32(c) for c in axis / (np.linalg.norm(axis) or 1.0))
    along = x * red + y * green + z * blue
    return float((red**2 + green**2 + blue**2 - along**2 > HUE_RADIUS**2).mean())


def forms(sheet: Sheet) -> Forms:
    """Measure the marks on its paper: a line art's are thin, and reach far."""
    width = max(3, round(min(sheet.grey.shape) * THICK))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    closed = np.asarray(cv2.morphologyEx(sheet.image, cv2.MORPH_CLOSE, disc), dtype=np.uint8)
    solid = ~_near(closed, sheet.paper)
    depth = max(sheet.tone - float(np.quantile(sheet.grey, DARKEST)), 1.0)
    shading = solid & (to_grey(closed) > sheet.tone - INKED * depth)
    marks = sheet.grey < sheet.tone - max(MARK * depth, 8)  # 8: the noise of a JPEG is no mark
    return Forms(_mean(solid), _mean(shading), _reach(marks))


def _near(image: Array, paper: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pixels of uint8 (H, W, 3) are in the paper's colour: bool (H, W)."""
    low, high = np.ceil(paper - PAPER_RADIUS), np.floor(paper + PAPER_RADIUS)
    return np.asarray(cv2.inRange(image, low, high) > 0)


def _reach(marks: NDArray[np.bool_]) -> float:
    """Mean over bool (H, W) marks, by their area, of the shorter side of each connected one's box, 0–1."""
    # Broken lines are joined sidewards only, so that the lines of a text stay apart.
    joined = cv2.dilate(marks.view(np.uint8), np.ones((1, 3), np.uint8))
    # Twice as fast as OpenCV's own choice where one thread works.
    _, _, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(joined, 8, cv2.CV_32S, cv2.CCL_BBDT)
    shorter = np.minimum(boxes[1:, cv2.CC_STAT_WIDTH], boxes[1:, cv2.CC_STAT_HEIGHT])
    area = boxes[1:, cv2.CC_STAT_AREA]
    return float(shorter @ area / max(area.sum(), 1) / min(marks.shape))


def chroma(image: Array) -> float:
    """Spread, in 0–255, of the colours of uint8 (H, W, 3) RGB that their tone does not explain.

    Opponent colours rg = R − G and yb = (R + G) / 2 − B as in `colorfulness`; at each of 32 levels of grey
    their mean is taken away, and √(σ_rg² + σ_yb²) remains. Whatever is printed in one ink on one paper has
    none: grey, sepia, a blue pencil on peach.
    """
    small = for_measuring(image, CHROMA_SIZE)
    red, green, blue = (plane.astype(np.float32) for plane in cv2.split(small))
    level = (to_grey(small) // (256 // LEVELS)).ravel()
    number = np.maximum(np.bincount(level, minlength=LEVELS), 1)
    variance = 0.0
    for opponent in (red - green, (red + green) / 2 - blue):
        mean = np.bincount(level, opponent.ravel(), LEVELS) / number
        variance += float(np.var(opponent.ravel() - mean[level]))
    return float(np.sqrt(variance))


def colorfulness(image: Array) -> float:
    """Colourfulness M of uint8 (H, W, 3) RGB (Hasler and Süsstrunk, 2003): 0 grey, 33 moderately colourful.

    M = √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²), with rg = R − G and yb = (R + G) / 2 − B.
    """
    red, green, blue = (plane.astype(np.int16) for plane in cv2.split(image))
    rg, yb = (red - green).astype(np.float64), (red + green - 2 * blue) * 0.5
    mean_rg, mean_yb = rg.mean(), yb.mean()
    spread = np.hypot(np.std(rg, mean=mean_rg), np.std(yb, mean=mean_yb))
    return float(spread + 0.3 * np.hypot(mean_rg, mean_yb))


def clean(image: Array) -> Array:
    """Put a line art on white paper, as every method is given it.

    The grey of uint8 (H, W, 3) RGB is scaled so that the paper's tone becomes 255; what is lighter than
    the paper becomes white too. Returns uint8 (H, W): 0 ink, 255 paper.
    """
    tone = _tone(paper_color(image))
    return np.asarray(cv2.convertScaleAbs(to_grey(image), alpha=255 / max(tone, 1)), dtype=np.uint8)


def _mean(mask: NDArray[np.bool_]) -> float:
    """Share of bool (H, W) that is true, 0–1."""
    return int(np.count_nonzero(mask)) / mask.size


def _tone(color: NDArray[np.float64]) -> int:
    """Grey, 0–255, of an RGB colour."""
    return int(to_grey(np.rint(color).astype(np.uint8).reshape(1, 1, 3))[0, 0])
