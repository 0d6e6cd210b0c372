"""All training pictures on the device, and crops taken there: the same batches, to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Crops, Draw, draw_sample, inks, masks, share
from lacbench.baselines.alacgan.examples import Example, Packed, pack
from lacbench.errors import MissingError

SPARE = 0.5
"""Share of the device's free memory that pictures may take: networks and their gradients need the rest."""


@dataclass(frozen=True)
class Held:
    """A picture and its drawings on the device."""

    color: Tensor
    """uint8 (H, W, 3) RGB."""
    bits: Tensor
    """uint8 (K, H, ⌈W/8⌉), as `Packed` has them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, and how many drawings: H, W, K."""
        return self.color.shape[0], self.color.shape[1], self.bits.shape[0]


class Resident:
    """A data set's training pictures on a device."""

    def __init__(self, examples: Sequence[Example], device: torch.device | str) -> None:
        """Copy them there. Raises MissingError where they do not fit."""
        self._device = torch.device(device)
        _check_room(examples, self._device)
        self._held = [self._hold(example) for example in examples]
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=self._device)

    def make_crops(self, config: Config, number: int, rank: int = 0, world: int = 1) -> Crops:
        """As `lacbench.baselines.alacgan.data.make_crops`, on the device."""
        first = number * config.batch
        draws = [draw_sample(self._held, config, first + i) for i in share(config.batch, rank, world)]
        parts = zip(*(self._sample(draw) for draw in draws), strict=True)
        color, lines, hint_color = (torch.stack(part) for part in parts)
        return Crops(
            color,
            lines,
            inks(draws).to(self._device, non_blocking=True),
            hint_color,
            masks(draws).to(self._device, non_blocking=True),
        )

    def _hold(self, example: Example) -> Held:
        packed = example.lines if isinstance(example.lines, Packed) else pack(example.lines)
        # Copied: PyTorch takes no memory that may not be written to.
        color, bits = torch.from_numpy(example.color.copy()), torch.from_numpy(packed.bits.copy())
        return Held(color.to(self._device), bits.to(self._device))

    def _sample(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Colour, lines and hint colours of one sample, as in `Crops`."""
        held, (rows, columns), side = self._held[draw.picture], draw.window, len(draw.mask)
        color = held.color[draw.window]
        packed = held.bits[draw.drawing, rows, columns.start // 8 : (columns.stop + 7) // 8]
        ones = ((packed[..., None] >> self._shifts) & 1).flatten(1)
        lines = ones[:, columns.start % 8 :][:, : columns.stop - columns.start] * 255
        hints = torch.zeros((side, side, 3), dtype=torch.uint8, device=self._device)
        if draw.hints:
            hints = shrink(color[draw.hints], side)
        if draw.flip:
            color, lines, hints = color.flip(1), lines.flip(1), hints.flip(1)
        return color, lines, hints


def shrink(image: Tensor, side: int) -> Tensor:
    """Shrink uint8 (H, W, C) to (side, side, C) by area averaging, on the image's device.

    For hints, which are 3.5–4 times smaller: the sums are those of OpenCV's INTER_AREA, in its order and in
    float32. So the bytes are its too, where its compiler fuses no multiplication with an addition, as on
    x86; elsewhere they may differ by 1 of 255.
    """
    narrow = _average(image.float().transpose(0, 1), side).transpose(0, 1)
    return _average(narrow, side).round().to(torch.uint8)


def _average(values: Tensor, side: int) -> Tensor:
    """Average float32 (L, …) to (side, …) along the first axis."""
    index, weight = _taps(len(values), side)
    ones = (1,) * (values.dim() - 1)
    terms = values[index.to(values.device)] * weight.to(values.device).view(*weight.shape, *ones)
    total = terms[0]
    for term in terms[1:]:  # one after the other: another order gives other last bits
        total = total + term
    return total


def _taps(length: int, side: int) -> tuple[Tensor, Tensor]:
    """What each of `side` averages is made of: indices into `length` values, and weights: (taps, side).

    Source: OpenCV's computeResizeAreaTab.
    """
    scale = length / side
    start = np.arange(side) * scale
    end, cell = start + scale, np.minimum(scale, length - start)
    last = np.minimum(np.floor(end), length - 1)
    first = np.minimum(np.ceil(start), last)
    index = (first - 1)[None] + np.arange(int((last - first).max()) + 2)[:, None]
    weight = np.where((index >= first) & (index < last), 1 / cell, 0.0)
    weight[0] = np.where(first - start > 1e-3, (first - start) / cell, 0.0)
    after = np.where(end - last > 1e-3, np.minimum(np.minimum(end - last, 1.0), cell) / cell, 0.0)
    weight = np.where(index == last, after, weight)
    inside = np.clip(index, 0, length - 1).astype(np.int64)
    return torch.from_numpy(inside), torch.from_numpy(weight.astype(np.float32))


def _check_room(examples: Sequence[Example], device: torch.device) -> None:
    if device.type != "cuda":
        return
    total = sum(h * w * 3 + k * h * ((w + 7) // 8) for h, w, k in (e.shape for e in examples))
    free, _ = torch.cuda.mem_get_info(device)
    if total > SPARE * free:
        raise MissingError(
            f"the training pictures have {total / 2**30:.1f} GiB; expected at most {SPARE:.0%} of the "
            f"{free / 2**30:.1f} GiB that {device} has free; train with --set resident=false --set loaders=4"
        )
