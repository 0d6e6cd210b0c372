"""Arrays, tensors and Pillow's images as 8-bit RGB, as a file would have them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lacbench.errors import InputError
from lacbench.images import Array

HALF = 0.5 / 255
"""Half a level: values up to so far outside of 0–1 are rounded to black and white, as all are rounded."""


def picture_of(given: object) -> Array:
    """A picture as uint8 (H, W, 3) RGB.

    Args:
        given: an array (H, W, 3), a Torch tensor (3, H, W) on any device, each RGB, uint8 in 0–255 or floats
            in 0–1, which are rounded (see `levels`); or an image of Pillow's without transparency.

    Raises:
        InputError: anything else.
    """
    if isinstance(given, Image.Image):
        if given.has_transparency_data:
            raise InputError("the picture has transparency; expected RGB; lay it on white")
        return np.asarray(given.convert("RGB"), dtype=np.uint8)
    tensor = is_tensor(given)
    expected = "a tensor (3, H, W)" if tensor else "an array (H, W, 3)"
    values = array_of(given) if tensor else given
    if isinstance(values, np.ndarray):
        pixels = np.moveaxis(values, 0, -1) if tensor and values.ndim == 3 else values
        if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size:
            return np.ascontiguousarray(pixels if pixels.dtype == np.uint8 else levels(pixels))
        told = f"{values.dtype} {values.shape}"
    else:
        told = type(given).__name__
    raise InputError(f"expected a picture as {expected}, RGB, got {told}; convert it")


def levels(values: NDArray[Any]) -> Array:
    """Floats in 0–1 as 0–255, rounded to the nearest (halves to the even one): 255 · value.

    Raises InputError for numbers that are not floats, not finite, or outside of 0–1.
    """
    check_unit(values)
    wide = values.astype(np.float32) if values.itemsize < 4 else values
    return np.asarray(np.rint(wide * wide.dtype.type(255)).clip(0, 255), dtype=np.uint8)


def check_unit(values: NDArray[Any]) -> None:
    """Raise InputError unless these are floats within 0–1, but for half a level."""
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"expected uint8 in 0–255 or floats in 0–1, got {values.dtype}; convert it")
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= -HALF and high <= 1 + HALF):  # nor NaN
        raise InputError(
            f"expected floats in 0–1, got {low:.4g} to {high:.4g}; map what lies in −1…1 by (x + 1) / 2, and "
            "clip what overshoots"
        )


def is_tensor(given: object) -> bool:
    """Whether it is a tensor of Torch's, which need not be installed."""
    return type(given).__module__.split(".")[0] == "torch" and hasattr(given, "detach")


def array_of(tensor: Any) -> NDArray[Any]:
    """The numbers of a Torch tensor, which may be on a device, be part of a graph, or of half precision."""
    plain = tensor.detach().cpu()
    half = plain.is_floating_point() and plain.itemsize < 4  # NumPy has no bfloat16
    return np.asarray((plain.float() if half else plain).numpy())
