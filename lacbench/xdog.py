"""XDoG: line drawings from pictures (Winnemöller, Kyprianidis and Olsen, 2012)."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.images import Array, to_grey

SIGMAS = (0.3, 0.4, 0.5)
"""Line thicknesses of the paper (arXiv:1808.03240, section 3.4), in pixels at the training resolution."""

HARD_STEP = 1e6
"""From this φ on, the soft threshold is a step in every value that an 8-bit picture can give."""


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
        InputError: an image of another shape or type, or sigma or k not positive.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise InputError(f"xdog takes uint8 (H, W) or (H, W, 3) RGB, got {image.dtype} {image.shape}")
    if not (sigma > 0 and k > 0):
        raise InputError(f"xdog takes a positive sigma and k, got sigma = {sigma}, k = {k}")
    grey = to_grey(image)
    difference = _difference(grey, sigma, k * sigma, tau, 255 * epsilon)
    if phi >= HARD_STEP:
        return np.where(difference >= 255 * epsilon, 255, 0).astype(np.uint8)
    tone = 1 + np.tanh(phi * np.minimum(difference / 255 - epsilon, 0))
    return np.asarray(np.rint(255 * tone), dtype=np.uint8)


def _difference(grey: Array, inner: float, outer: float, tau: float, threshold: float) -> NDArray[np.float64]:
    """D of uint8 (H, W) in 0–255: float32 where its side of the threshold is safe, float64 elsewhere."""
    wide = _blur(grey, outer)
    difference = (_blur(grey, inner) - np.float32(tau) * wide).astype(np.float64)
    # Rounding reaches a few 2⁻²⁴ of the terms. Where they are zero (black paper) so is D, exactly.
    doubtful = np.nonzero((np.abs(difference - threshold) <= wide * 2.0**-19) & (wide > 0))
    if doubtful[0].size:
        difference[doubtful] = _exact(grey, doubtful, inner) - tau * _exact(grey, doubtful, outer)
    return difference


def _blur(grey: Array, sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of uint8 (H, W) in float32: uint8 in and float32 out is OpenCV's fastest path."""
    kernel = gaussian_kernel(sigma)
    blurred = cv2.sepFilter2D(grey, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def _exact(grey: Array, places: tuple[NDArray[np.intp], ...], sigma: float) -> NDArray[np.float64]:
    """Gaussian blur in float64 at some places only: (P,) from P rows and P columns."""
    kernel = gaussian_kernel(sigma)
    padded = np.pad(grey, len(kernel) // 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (len(kernel), len(kernel)))
    blocks = np.array_split(np.stack(places), 1 + len(places[0]) // 4096, axis=1)  # bounds the memory
    return np.concatenate([kernel @ windows[r, c].astype(np.float64) @ kernel for r, c in blocks])


@lru_cache(maxsize=32)
def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Sampled Gaussian, normalised, of radius round(4σ): what `scipy.ndimage.gaussian_filter` uses."""
    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    kernel: NDArray[np.float64] = weights / weights.sum()
    kernel.setflags(write=False)  # shared by all callers through the cache
    return kernel
