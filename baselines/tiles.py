"""Large pictures, tile by tile: tiles overlap, and are blended so that no seam shows.

Near a tile's border a network sees padding where the picture goes on. So neighbours overlap; of each overlap
the middle RAMP pixels go smoothly from one tile to the other, and what lies nearer to a tile's border is not
used. Where (overlap − RAMP) / 2 is at least the radius of the network's receptive field, the result is the
untiled one but for rounding; below it, tiles may differ slightly, and the ramp hides it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RAMP = 64
"""Pixels over which one tile goes over into the next."""


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut where a side is longer than a tile."""

    side: int = 2048
    """Height and width of a tile, in pixels: a multiple of 32."""
    overlap: int = 512
    """Pixels that neighbours share at least: a multiple of 16, from RAMP to half of `side`."""

    @classmethod
    def of(cls, side: int) -> "Tiling":
        """Tiles of that side, rounded down to a multiple of 64, that overlap by a quarter."""
        side -= side % 64
        return cls(side, side // 4)


def tiled(network: Callable[..., Floats], tiling: Tiling, picture: Floats, *maps: Floats) -> Floats:
    """Run a network that keeps height and width over a picture of any size.

    Args:
        network: takes what follows, or windows of it, and returns (N, C, h, w) of the window's size.
        tiling: sides beyond `tiling.side` are cut.
        picture: (N, ·, H, W), H and W multiples of 16.
        maps: more inputs, (N, ·, H/k, W/k) for any k that divides 16.

    Returns:
        (N, C, H, W).
    """
    height, width = picture.shape[2:]
    if max(height, width) <= tiling.side:
        return network(picture, *maps)
    result: Floats | None = None
    for top, down in _spans(height, tiling):
        for left, right in _spans(width, tiling):
            window = [_window(m, height, (top, len(down)), (left, len(right))) for m in (picture, *maps)]
            colored = network(*window)
            if result is None:
                result = np.zeros((*colored.shape[:2], height, width), np.float32)
            share = down[:, None] * right
            result[:, :, top : top + len(down), left : left + len(right)] += colored * share
    assert result is not None  # there is at least one tile
    return result


def starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along a side of `length` pixels: evenly spread, multiples of 16."""
    if length <= tiling.side:
        return [0]
    count = math.ceil((length - tiling.overlap) / (tiling.side - tiling.overlap))
    last = length - tiling.side
    return [last * number // (count - 1) // 16 * 16 for number in range(count)]


def shares(begins: Sequence[int], length: int, side: int) -> list[Floats]:
    """Of each tile along a side, the weight (min(side, length),) of its pixels; weights add up to 1."""
    side = min(side, length)
    centres = np.arange(length) + 0.5
    passed = [np.ones(length)]  # how far each cut is passed, 0 to 1
    for one, two in pairwise(begins):
        linear = np.clip((centres - (one + two + side) / 2) / RAMP + 0.5, 0, 1)
        passed.append(linear * linear * (3 - 2 * linear))
    passed.append(np.zeros(length))
    weights = [one - two for one, two in pairwise(passed)]
    return [w[b : b + side].astype(np.float32) for w, b in zip(weights, begins, strict=True)]


def _spans(length: int, tiling: Tiling) -> list[tuple[int, Floats]]:
    begins = starts(length, tiling)
    return list(zip(begins, shares(begins, length, tiling.side), strict=True))


def _window(array: Floats, height: int, rows: tuple[int, int], columns: tuple[int, int]) -> Floats:
    """The part of (N, C, H/k, W/k) that lies under a tile, given by begin and length in the picture."""
    k = height // array.shape[2]
    (top, tall), (left, wide) = rows, columns
    return array[:, :, top // k : (top + tall) // k, left // k : (left + wide) // k]
