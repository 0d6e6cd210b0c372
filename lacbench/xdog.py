"""XDoG: line drawings from pictures (Winnemöller, Kyprianidis and Olsen, 2012)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.images import Array, to_grey

SIGMAS = (0.3, 0.4, 0.5)
"""Line thicknesses of the paper (arXiv:1808.03240, section 3.4), in pixels at the training resolution."""

HARD_STEP = 1e6
"""From this φ on, the soft threshold is a step in every value that an 8-bit picture can give."""

MAX_SIGMA = 1024
"""Standard deviations of Gaussians are below this, in pixels: wider ones see no lines."""

TILE = 512
"""Side in pixels of the tiles that pictures are filtered in: what filters read and write stays in cache."""

Window = tuple[slice, slice]
Places = NDArray[np.int64]


def xdog(
    image: Array,
    sigma: float,
    *,
    tau: float = 0.95,
    k: float = 4.5,
    epsilon: float = 0.0,
    phi: float = 1e9,
) -> Array:
    """Draw the lines of a picture.

    D = G_σ * I − τ · G_{kσ} * I on I in 0–1; paper where D ≥ ε, else 1 + tanh(φ (D − ε)).
    Gaussians are truncated at 4 standard deviations, the edge pixel is repeated outside. With the
    defaults (the paper's preset) the drawing is bilevel and equals the same formula in float64, bit for bit.
    Kernels are in pixels: resize first, draw then.

    Args:
        image: uint8 (H, W, 3) RGB or (H, W) grey, 0–255.
        sigma: standard deviation of the inner Gaussian, in pixels.
        tau: weight of the outer Gaussian.
        k: outer standard deviation over the inner one.
        epsilon: threshold on D, in 0–1 intensities; negative thins lines out.
        phi: slope of the soft threshold; from 1e6 on a hard step.

    Returns:
        uint8 (H, W): 0 ink, 255 paper.

    Raises:
        InputError: an image of another shape or type, or sigma or k · sigma not in 0 to MAX_SIGMA.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise InputError(f"xdog takes uint8 (H, W) or (H, W, 3) RGB, got {image.dtype} {image.shape}")
    if not (0 < sigma < MAX_SIGMA and 0 < k * sigma < MAX_SIGMA):
        raise InputError(
            f"xdog takes a sigma and k · sigma between 0 and {MAX_SIGMA:,} pixels, got {sigma} and k = {k}"
        )
    grey = to_grey(image)
    if phi >= HARD_STEP:
        return _drawing(grey, Step(sigma, k * sigma, tau, 255 * epsilon))
    difference = _blur(grey, sigma).astype(np.float64) - tau * _blur(grey, k * sigma)
    tone = 1 + np.tanh(phi * np.minimum(difference / 255 - epsilon, 0))
    return np.asarray(np.rint(255 * tone), dtype=np.uint8)


@dataclass(frozen=True)
class Step:
    """The hard step on I in 0–255: paper where G_inner * I − τ · G_outer * I ≥ threshold."""

    inner: float
    """Standard deviation of the inner Gaussian, in pixels."""
    outer: float
    """That of the outer one."""
    tau: float
    """Weight of the outer Gaussian."""
    threshold: float
    """In 0–255 intensities."""

    @property
    def reach(self) -> int:
        """How far from a pixel the step looks, in pixels."""
        return max(len(gaussian_kernel(sigma)) // 2 for sigma in (self.inner, self.outer))

    def line(self, sign: int) -> tuple[np.float32, np.float32]:
        """Slope and intercept of G_inner * I ≥ slope · G_outer * I + intercept, to the safe side of the step.

        In float32, all paper is above the line of sign −1, and all that is above that of sign +1 is paper,
        whatever order the sums are taken in: a sum of n terms, none negative, is off by less than n · 2⁻²⁴
        of itself (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). What lies between
        is for `is_paper`.
        """
        terms = 2 * (len(gaussian_kernel(self.inner)) + len(gaussian_kernel(self.outer))) + 16
        slack = sign * terms * 2.0**-24
        return (
            np.float32(self.tau + abs(self.tau) * slack),
            np.float32(self.threshold + abs(self.threshold) * slack),
        )

    def is_paper(self, windows: Array) -> NDArray[np.bool_]:
        """The step in float64 at the middle of each of uint8 (P, 2 · reach + 1, 2 · reach + 1)."""
        blurred = []
        for kernel in (gaussian_kernel(self.inner), gaussian_kernel(self.outer)):
            margin = (windows.shape[1] - len(kernel)) // 2
            middle = slice(margin, margin + len(kernel))
            # Not by @: for a few windows BLAS would wake its threads.
            blurred.append(np.einsum("pij,i,j->p", windows[:, middle, middle], kernel, kernel))
        paper: NDArray[np.bool_] = blurred[0] - self.tau * blurred[1] >= self.threshold
        return paper


def _drawing(grey: Array, step: Step) -> Array:
    """The hard step of uint8 (H, W): float32 where its side is safe, float64 elsewhere."""
    paper = np.empty(grey.shape, np.bool_)
    for tile, part, inside in _tiles(grey.shape, step.reach):
        narrow, wide = _blur(grey[part], step.inner), _blur(grey[part], step.outer)
        above, sure = (narrow >= _limit(wide, *step.line(sign)) for sign in (-1, 1))
        paper[tile] = above[inside]
        if np.count_nonzero(above) != np.count_nonzero(sure):  # what is sure is above
            doubtful = (above != sure)[inside]
            rows, columns = np.divmod(np.flatnonzero(doubtful), doubtful.shape[1])
            rows, columns = rows + tile[0].start, columns + tile[1].start
            paper[rows, columns] = _exact(grey, rows, columns, step)
    return np.negative(paper.view(np.int8)).view(np.uint8)  # −1 is 255


def _limit(wide: NDArray[np.float32], slope: np.float32, intercept: np.float32) -> NDArray[np.float32]:
    limit = wide * slope
    if intercept:
        limit += intercept
    return limit


def _tiles(shape: tuple[int, ...], reach: int) -> Iterator[tuple[Window, Window, Window]]:
    """Cut a picture: a tile, the part of the picture that its pixels see, and the tile's place in that part.

    At the picture's edges filters repeat it as they should; what they get wrong at a part's other edges is
    no farther in than they reach, and so outside the tile. Stops beyond the picture end with it.
    """
    side = max(TILE, 8 * reach)
    for top, left in product(*(range(0, length, side) for length in shape)):
        above, before = min(top, reach), min(left, reach)
        tile = slice(top, top + side), slice(left, left + side)
        part = slice(top - above, top + side + reach), slice(left - before, left + side + reach)
        yield tile, part, (slice(above, above + side), slice(before, before + side))


def _blur(grey: Array, sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of uint8 (H, W) in float32: uint8 in and float32 out is OpenCV's fastest path."""
    kernel = gaussian_kernel(sigma)
    blurred = cv2.sepFilter2D(grey, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def _exact(grey: Array, rows: Places, columns: Places, step: Step) -> NDArray[np.bool_]:
    """The step in float64 at some places only: (P,) from P rows and P columns."""
    offsets = np.arange(-step.reach, step.reach + 1)
    blocks = 1 + len(rows) * len(offsets) ** 2 // 2**20  # bounds the memory
    paper = []
    for r, c in zip(np.array_split(rows, blocks), np.array_split(columns, blocks), strict=True):
        r, c = reflected(r[:, None] + offsets, grey.shape[0]), reflected(c[:, None] + offsets, grey.shape[1])
        paper.append(step.is_paper(grey[r[:, :, None], c[:, None, :]]))
    return np.concatenate(paper)


def reflected(places: Places, length: int) -> Places:
    """Which of `length` pixels stands at places, also outside: d c b a | a b c d | d c b a."""
    folded = places % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


@lru_cache(maxsize=32)
def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Sampled Gaussian, normalised, of radius round(4σ): what `scipy.ndimage.gaussian_filter` uses."""
    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    kernel: NDArray[np.float64] = weights / weights.sum()
    kernel.setflags(write=False)  # shared by all callers through the cache
    return kernel
