"""An output against the picture that the line art was drawn for: PSNR, SSIM, MS-SSIM.

They are secondary: a line art allows many colourings, and these know one. Everything is measured at one size,
whatever size the output has.
"""

import math

import cv2
import numpy as np

from lacbench.errors import InputError
from lacbench.images import Array, resize_shortest
from lacbench.metrics.claims import ASPECT, SIZE, Floats, lab

CEILING = 100.0
"""PSNR, in dB, of equal pictures, which have none that is finite; unequal ones of 8 bits hardly reach it."""
WINDOW, SIGMA = 11, 1.5
"""Width of SSIM's Gaussian window and its standard deviation, in pixels."""
STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""SSIM's C₁ and C₂."""
SCALES = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333
"""MS-SSIM's exponents, from full resolution downwards; each scale has half the resolution of the last."""


def matched(output: Array, truth: Array, size: int = SIZE) -> tuple[Array, Array]:
    """Both at a shortest side of `size` pixels, equally large; uint8 (H, W, 3) RGB each.

    Raises InputError for pictures of another aspect.
    """
    small, true = resize_shortest(output, size), resize_shortest(truth, size)
    if any(abs(a - b) > max(1, ASPECT * b) for a, b in zip(small.shape, true.shape, strict=True)):
        sizes = [f"{picture.shape[1]} × {picture.shape[0]}" for picture in (output, truth)]
        raise InputError(
            f"the output has {sizes[0]} pixels, the true picture {sizes[1]}: expected the same aspect; "
            "colour the whole line art, without cropping or padding"
        )
    if small.shape != true.shape:
        height, width = true.shape[:2]
        small = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return small, true


def psnr(a: Array, b: Array) -> float:
    """Peak signal-to-noise ratio of uint8 (H, W, 3) RGB in dB: 10 log₁₀(255² / MSE), at most CEILING."""
    return _decibels(255.0, a.astype(np.float64) - b)


def psnr_lab(a: Array, b: Array) -> float:
    """The same in L*a*b*, where equal distances look alike, with the peak 100, the range of L*.

    MSE is the mean over the three channels, D65; takes uint8 (H, W, 3) RGB.
    """
    return _decibels(100.0, lab(a) - lab(b))


def ssim(a: Array, b: Array) -> float:
    """Structural similarity of uint8 (H, W, 3) RGB: −1 to 1, 1 for equal pictures.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP 2004:
    Gaussian window, only where it fits whole, at full resolution; the mean over the three channels.
    Raises InputError for pictures smaller than the window.
    """
    _at_least(a, WINDOW)
    return float(_structure(a.astype(np.float64), b.astype(np.float64))[0].mean())


def ms_ssim(a: Array, b: Array) -> float:
    """Multi-scale structural similarity of uint8 (H, W, 3) RGB: 0 to 1, 1 for equal pictures.

    Wang, Simoncelli and Bovik, Multiscale Structural Similarity for Image Quality Assessment, Asilomar 2003:
    contrast and structure at five scales, luminance at the last, by channel, then their mean. Scales are
    halved by the mean of 2 × 2 pixels, with the last row and column repeated where they are odd; negative
    terms, which have no power, count as 0. Raises InputError for a side of fewer than 161 pixels.
    """
    _at_least(a, (WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1)
    x, y = a.astype(np.float64), b.astype(np.float64)
    product = np.ones(3)
    for scale, exponent in enumerate(SCALES):
        whole, without_luminance = _structure(x, y)
        last = scale == len(SCALES) - 1
        product *= np.maximum(whole if last else without_luminance, 0) ** exponent
        x, y = _halved(x), _halved(y)
    return float(product.mean())


def _structure(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """SSIM by channel (3,), and its product of contrast and structure alone (3,)."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    variances = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    contrast = (2 * covariance + STABLE[1]) / (variances + STABLE[1])
    luminance = (2 * mean_x * mean_y + STABLE[0]) / (mean_x**2 + mean_y**2 + STABLE[0])
    return (luminance * contrast).mean(axis=(0, 1)), contrast.mean(axis=(0, 1))


def _windowed(values: Floats) -> Floats:
    """Weighted mean (H − 10, W − 10, 3) in each window of values (H, W, 3)."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    whole = slice(WINDOW // 2, -(WINDOW // 2))
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, weights, weights), np.float64)[whole, whole]


def _halved(values: Floats) -> Floats:
    """Values (H, W, 3) at half the resolution, rounded up."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.asarray(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3).mean(axis=(1, 3)))


def _decibels(peak: float, differences: Floats) -> float:
    error = float((differences**2).mean())
    return min(10 * math.log10(peak**2 / error), CEILING) if error else CEILING


def _at_least(picture: Array, side: int) -> None:
    if min(picture.shape[:2]) < side:
        height, width = picture.shape[:2]
        raise InputError(
            f"a picture of {width} × {height} pixels is too small: expected {side} or more a side; enlarge it"
        )
