"""XDoG of batches, on any device of Torch: for pairs that are drawn while a model trains."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from lacbench.errors import InputError
from lacbench.xdog import MAX_SIGMA, Step, gaussian_kernel, reflected

GREY = (9798, 19235, 3735)
"""Weights of R, G and B in OpenCV's luma of uint8 pictures, in 2⁻¹⁵."""


def xdog_batch(
    images: Tensor,
    sigma: float | Iterable[float],
    *,
    tau: float = 0.95,
    k: float = 4.5,
    epsilon: float = 0.0,
) -> Tensor:
    """Draw the lines of a batch of pictures with a hard step; what `lacbench.xdog.xdog` draws, bit for bit.

    The filters are sums of shifted pictures, tap by tap in float32: no convolution of a library's, which may
    take TF32, bfloat16 or another order of sums from run to run. Pixels within rounding of the threshold are
    looked at again in float64, on the CPU, so that the drawing is the same on every device.

    Args:
        images: uint8 (N, H, W) grey or (N, 3, H, W) RGB, 0–255, on any device.
        sigma: standard deviation of the inner Gaussian in pixels: one, or one a picture, (N,). Pictures of
            the same are filtered together.
        tau: weight of the outer Gaussian.
        k: outer standard deviation over the inner one.
        epsilon: threshold on D, in 0–1 intensities.

    Returns:
        uint8 (N, H, W) on the same device: 0 ink, 255 paper.

    Raises:
        InputError: images of another shape or type, another number of sigmas, or one of them
            or of k · sigma not between 0 and MAX_SIGMA.
    """
    if images.dtype != torch.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[1] == 3)):
        raise InputError(
            f"xdog_batch takes uint8 (N, H, W) or (N, 3, H, W) RGB, got {images.dtype} {tuple(images.shape)}"
        )
    sigmas = [float(sigma)] * len(images) if isinstance(sigma, float | int) else [float(s) for s in sigma]
    if len(sigmas) != len(images):
        raise InputError(f"xdog_batch takes one sigma or {len(images)}, one a picture, got {len(sigmas)}")
    if not all(0 < s < MAX_SIGMA and 0 < k * s < MAX_SIGMA for s in sigmas):
        raise InputError(
            f"xdog_batch takes sigmas and k · sigma between 0 and {MAX_SIGMA:,} pixels, got {sigma}, k = {k}"
        )
    grey = _to_grey(images)
    drawings = torch.empty_like(grey)
    for one in sorted(set(sigmas)):
        of_one = torch.tensor([s == one for s in sigmas], device=images.device)
        drawings[of_one] = _draw(grey[of_one], Step(one, k * one, tau, 255 * epsilon))
    return drawings


def _to_grey(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) RGB → (N, H, W), as `lacbench.images.to_grey` does; grey stays grey."""
    if images.ndim == 3:
        return images
    red, green, blue = (images[:, channel].int() * weight for channel, weight in enumerate(GREY))
    return ((red + green + blue + 2**14) >> 15).to(torch.uint8)


def _draw(grey: Tensor, step: Step) -> Tensor:
    """The hard step of uint8 (N, H, W): float32 where its side is safe, float64 elsewhere."""
    narrow, wide = _blur(grey, step.inner), _blur(grey, step.outer)
    lines = [[float(number) for number in step.line(sign)] for sign in (-1, 1)]
    above, sure = (narrow >= wide * slope + intercept for slope, intercept in lines)
    doubtful = torch.nonzero(above != sure)
    offsets = np.arange(-step.reach, step.reach + 1)
    for places in doubtful.split(max(1, 2**20 // len(offsets) ** 2)):  # bounds the memory
        number, row, column = places.unbind(1)
        rows, columns = (
            torch.from_numpy(reflected(place.cpu().numpy()[:, None] + offsets, length)).to(grey.device)
            for place, length in ((row, grey.shape[1]), (column, grey.shape[2]))
        )
        windows = grey[number[:, None, None], rows[:, :, None], columns[:, None, :]]
        above[number, row, column] = torch.from_numpy(step.is_paper(windows.cpu().numpy())).to(grey.device)
    return above.to(torch.uint8) * 255


def _blur(grey: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of uint8 (N, H, W) in float32; outside the edge pixel is repeated, SciPy's `reflect`."""
    weights = [float(weight) for weight in gaussian_kernel(sigma)]
    blurred, radius = grey, len(weights) // 2
    for dim in (1, 2):
        length = grey.shape[dim]
        places = reflected(np.arange(-radius, length + radius), length)
        padded = blurred.index_select(dim, torch.from_numpy(places).to(grey.device)).float()
        blurred = padded.narrow(dim, radius, length) * weights[radius]
        for offset in range(1, radius + 1):
            for start in (radius - offset, radius + offset):
                blurred.add_(padded.narrow(dim, start, length), alpha=weights[radius + offset])
    return blurred
