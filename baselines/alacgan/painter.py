"""A trained generator, ready to colour whole line arts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, fill, generator_part, load_header, load_tensors
from lacbench.baselines.alacgan.frozen import load_local_of
from lacbench.baselines.alacgan.networks import make_generator
from lacbench.devices import choose_device
from lacbench.hints import Hint
from lacbench.images import Array

__all__ = ["CHECKPOINT", "hint_map", "open_painter"]

MULTIPLE = 16
"""Height and width that the networks take are multiples of this, in pixels."""


def open_painter(
    checkpoint: Path, device: str = "cpu"
) -> tuple[int, Callable[[Array, Sequence[Hint]], Array]]:
    """Load a checkpoint's generator; returns the size it was trained at and a function that colours.

    The function takes a line art, uint8 (H, W), 0 ink, 255 paper, and hints, and returns uint8 (H, W, 3) RGB.
    Raises InputError, IntegrityError for what is no whole checkpoint, MissingError for a missing device, and
    what `load_local_of` raises.
    """
    header, place = load_header(checkpoint), choose_device(device)
    generator = make_generator(header.config)
    fill(generator, load_tensors(checkpoint, generator_part(header.config)), checkpoint)
    generator.eval().requires_grad_(False).to(place)
    local = load_local_of(header, checkpoint)
    if local:
        local.to(place)

    def paint(line_art: Array, hints: Sequence[Hint]) -> Array:
        height, width = line_art.shape
        margin = [(0, -side % MULTIPLE) for side in (height, width)]
        padded = np.pad(line_art, margin, constant_values=255)
        x = torch.from_numpy(padded.astype(np.float32) / 127.5 - 1)[None, None].to(place)
        hint = torch.from_numpy(hint_map(hints, line_art.shape, padded.shape))[None].to(place)
        with torch.inference_mode():
            colored = generator(x, hint, local(x) if local else None)[0, :, :height, :width]
        return np.asarray(((colored.cpu() + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())

    return header.config.size, paint


def hint_map(hints: Sequence[Hint], shape: tuple[int, ...], padded: tuple[int, ...]) -> NDArray[np.float32]:
    """H: float32 (4, H/4, W/4) of the padded picture, RGB in [-1, 1] times the mask, and the mask in {0, 1}.

    A dab sets one pixel at quarter resolution; `shape` is the picture's (H, W) before it was padded.
    """
    told = np.zeros((4, padded[0] // 4, padded[1] // 4), np.float32)
    for hint in hints:
        row, column = hint.pixel(shape[0], shape[1])
        told[:3, row // 4, column // 4] = np.array(hint.color, np.float32) / 127.5 - 1
        told[3, row // 4, column // 4] = 1
    return told
