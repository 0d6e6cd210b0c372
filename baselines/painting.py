"""From line arts and hints to what networks take, and from what they give to pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lacbench.baselines.tiles import Floats, Tiling, tiled
from lacbench.errors import InputError
from lacbench.hints import Hint
from lacbench.images import Array

MULTIPLE = 16
"""Height and width that networks are given are multiples of this, in pixels."""

Paint = Callable[[Sequence[Array], Sequence[Sequence[Hint]]], list[Array]]
"""Line arts of one size, uint8 (H, W), 0 ink, 255 paper, and the hints of each → uint8 (H, W, 3) RGB each."""


@dataclass(frozen=True)
class Painter:
    """A model, ready to colour."""

    digest: str
    """SHA-256 of the model's file, or a floor's name."""
    size: int
    """Shortest side, in pixels, that it was made for."""
    paint: Paint
    """Colours line arts of one size."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of weights that it takes from elsewhere, by their name."""
    tile: int | None = None
    """Side of the tiles that it cuts large pictures into, in pixels; None where it cuts none."""
    hints: Literal["taken", "needed", "ignored"] = "taken"
    """Whether it can use hints, colours nothing without them, or takes no notice of them."""


@dataclass(frozen=True)
class Network:
    """A network that colours, whatever runs it."""

    run: Callable[[Floats, Floats], Floats]
    """x (N, 1, H, W) in [-1, 1] and H (N, 4, H/4, W/4) → (N, 3, H, W) RGB in [-1, 1]; float32."""
    size: int
    """Shortest side, in pixels, that it was trained at."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the frozen weights in it, by their name."""


def paint_with(network: Network, tiling: Tiling, name: str) -> Paint:
    """A function that colours with a network; see `Paint`. Its InputErrors name the model by `name`."""

    def paint(line_arts: Sequence[Array], hints: Sequence[Sequence[Hint]]) -> list[Array]:
        height, width = line_arts[0].shape
        margin = [(0, 0), *((0, -side % MULTIPLE) for side in (height, width))]
        padded = np.pad(np.stack(line_arts), margin, constant_values=255)
        told = np.stack([hint_map(h, (height, width), padded.shape[1:]) for h in hints])
        x = (padded.astype(np.float32) / np.float32(127.5) - 1)[:, None]
        colored = tiled(network.run, tiling, x, told)
        if colored.shape != (len(padded), 3, *padded.shape[1:]):
            raise InputError(
                f"{name} made {colored.shape} of line arts {x.shape}; expected RGB of the same height and "
                "width; take a model that keeps them"
            )
        if not np.isfinite(colored).all():
            raise InputError(f"{name} made numbers that are not finite; expected colours in [-1, 1]")
        levels = np.rint((colored + 1) * np.float32(127.5)).clip(0, 255).astype(np.uint8)
        return [np.ascontiguousarray(c.transpose(1, 2, 0)[:height, :width]) for c in levels]

    return paint


def hint_map(hints: Sequence[Hint], shape: tuple[int, ...], padded: tuple[int, ...]) -> Floats:
    """H: float32 (4, H/4, W/4) of the padded picture, RGB in [-1, 1] times the mask, and the mask in {0, 1}.

    A dab sets one pixel at quarter resolution; `shape` is the picture's (H, W) before it was padded.
    """
    told = np.zeros((4, padded[0] // 4, padded[1] // 4), np.float32)
    for hint in hints:
        row, column = hint.pixel(shape[0], shape[1])
        told[:3, row // 4, column // 4] = np.array(hint.color, np.float32) / 127.5 - 1
        told[3, row // 4, column // 4] = 1
    return told
