"""Training batches. Every random number follows from the seed and a counter, never from what came before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.examples import Example
from lacbench.errors import InputError
from lacbench.images import Array

Mask = NDArray[np.bool_]

SAMPLES: Final = 0
"""Stream of random numbers that make a sample, counted by samples."""
MIXES: Final = 1
"""Stream of the gradient penalty's α, counted by steps."""


@dataclass(frozen=True)
class Batch:
    """What one step is given."""

    color: Tensor
    """y: (N, 3, crop, crop) RGB in [-1, 1]."""
    line_art: Tensor
    """x: (N, 1, crop, crop) in [-1, 1], ink to paper."""
    hint: Tensor
    """H: (N, 4, crop/4, crop/4), RGB in [-1, 1] times the mask, and the mask in {0, 1}."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.color.to(device), self.line_art.to(device), self.hint.to(device))


@dataclass(frozen=True)
class Crops:
    """A batch before it becomes numbers: a quarter of its bytes, so this is what is sent to a device."""

    color: Tensor
    """uint8 (N, crop, crop, 3) RGB."""
    lines: Tensor
    """uint8 (N, crop, crop), 0 ink, 255 paper."""
    ink: Tensor
    """float32 (N,): λ, the strength of the ink."""
    hint_color: Tensor
    """uint8 (N, crop/4, crop/4, 3) RGB; anything where the mask is not."""
    mask: Tensor
    """bool (N, crop/4, crop/4): where there are hints."""

    def pinned(self) -> "Crops":
        """The same in memory that a CUDA device copies from while the processor goes on."""
        return Crops(*(getattr(self, f.name).pin_memory() for f in fields(self)))

    def to(self, device: torch.device) -> "Crops":
        """The same on another device; pinned memory is copied from without waiting."""
        return Crops(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))

    def batch(self) -> Batch:
        """The networks' numbers, made where these tensors are: on every device the same to the bit."""
        ink = self.ink[:, None, None, None] * (1 - _divided(self.lines[:, None].float(), 255))
        hint = torch.where(self.mask[:, None], _signed(self.hint_color), 0.0)
        return Batch(_signed(self.color), 1 - 2 * ink, torch.cat([hint, self.mask[:, None].float()], dim=1))


class Shaped(Protocol):
    """A picture with drawings, wherever it lies."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, and how many drawings."""
        ...


@dataclass(frozen=True)
class Draw:
    """What chance decides about a sample."""

    picture: int
    """Number of the example."""
    drawing: int
    """Number of its drawing."""
    window: tuple[slice, slice]
    """Rows and columns of the picture that are trained on."""
    flip: bool
    """Whether left and right are swapped."""
    ink: float
    """λ, the strength of the ink."""
    hints: tuple[slice, slice] | None
    """Rows and columns of the window that the hints' colours are read in; None for a sample without hints."""
    mask: Mask
    """(crop/4, crop/4): where there are hints, after the flip."""


def make_batch(
    examples: Sequence[Example], config: Config, number: int, rank: int = 0, world: int = 1
) -> Batch:
    """Batch `number` of the run on the CPU, or process `rank`'s share of it; see `make_crops`."""
    return make_crops(examples, config, number, rank, world).batch()


def make_crops(
    examples: Sequence[Example], config: Config, number: int, rank: int = 0, world: int = 1
) -> Crops:
    """Batch `number` of the run, B = `config.batch`: samples number·B to number·B + B − 1.

    Process `rank` of `world` gets the samples from rank·B/world to (rank + 1)·B/world of them. Raises
    InputError where B cannot be shared like that.
    """
    first, side = number * config.batch, config.crop
    indices = [first + i for i in share(config.batch, rank, world)]
    color = np.empty((len(indices), side, side, 3), np.uint8)
    lines = np.empty((len(indices), side, side), np.uint8)
    hint_color = np.zeros((len(indices), side // 4, side // 4, 3), np.uint8)
    draws = [draw_sample(examples, config, index) for index in indices]
    for i, draw in enumerate(draws):
        example = examples[draw.picture]
        crop = example.color[draw.window]
        _lay(crop, draw.flip, color[i])
        _lay(example.lines[draw.drawing][draw.window], draw.flip, lines[i])
        if draw.hints:
            small = cv2.resize(crop[draw.hints], draw.mask.shape, interpolation=cv2.INTER_AREA)
            _lay(np.asarray(small, np.uint8), draw.flip, hint_color[i])
    return Crops(
        torch.from_numpy(color),
        torch.from_numpy(lines),
        inks(draws),
        torch.from_numpy(hint_color),
        masks(draws),
    )


def share(batch: int, rank: int, world: int) -> range:
    """Places in a batch that process `rank` of `world` works on. Raises InputError for a broken share."""
    if batch % world:
        step = math.lcm(2, world)  # a configuration's batch is even
        raise InputError(
            f"a batch of {batch} cannot be shared equally by {world} processes; "
            f"choose a multiple: --set batch={-(-batch // step) * step}"
        )
    return range(rank * batch // world, (rank + 1) * batch // world)


def inks(draws: Sequence[Draw]) -> Tensor:
    """λ of each sample: float32 (N,)."""
    return torch.tensor([draw.ink for draw in draws], dtype=torch.float32)


def masks(draws: Sequence[Draw]) -> Tensor:
    """Hint masks of each sample: bool (N, crop/4, crop/4)."""
    return torch.from_numpy(np.stack([draw.mask for draw in draws]))


def random_stream(seed: int, stream: int, number: int) -> np.random.Generator:
    """Random numbers for one purpose: the same (seed, stream, number), the same numbers."""
    # The stream goes to the counter's top word: no draw is long enough to reach the next stream.
    return np.random.Generator(np.random.Philox(key=[seed, number], counter=[0, 0, 0, stream]))


def draw_sample(examples: Sequence[Shaped], config: Config, index: int) -> Draw:
    """What chance decides about sample `index` of the run. A share `config.hinted` of them has hints."""
    random, side = random_stream(config.seed, SAMPLES, index), config.crop // 4
    picture = int(random.integers(len(examples)))
    height, width, drawings = examples[picture].shape
    drawing = int(random.integers(drawings))
    window, flip = _window((height, width), config.crop, random), bool(random.random() < 0.5)
    ink = random.uniform(*config.ink)
    if math.floor((index + 1) * config.hinted) == math.floor(index * config.hinted):
        return Draw(picture, drawing, window, flip, ink, None, np.zeros((side, side), np.bool_))
    mask = hint_mask(side, config.hint_spread, random)
    aligned = config.hint_image == "aligned"
    hints = (slice(None), slice(None)) if aligned else _random_sized(config.crop, random)
    return Draw(picture, drawing, window, flip, ink, hints, mask)


def hint_mask(side: int, spread: float, random: np.random.Generator) -> Mask:
    """M = [u ≥ t] for u ~ U(0, 1) a pixel and t ~ N(1, spread) truncated to [0, 1]: (side, side).

    Source: Zhang et al. (2017) as changed by arXiv:1808.03240, section 3.4.
    """
    threshold = max(0.0, 1 - abs(random.normal(0.0, spread)))
    return np.asarray(random.random((side, side)) >= threshold)


def mixing(config: Config, step: int) -> Tensor:
    """α ~ U(0, 1) of each sample of a step's gradient penalty: float32 (batch, 1, 1, 1)."""
    alpha = random_stream(config.seed, MIXES, step).random((config.batch, 1, 1, 1), dtype=np.float32)
    return torch.from_numpy(alpha)


def _lay(image: Array, flip: bool, place: Array) -> None:
    """Copy a picture to its place, left and right swapped or not."""
    if flip:
        cv2.flip(image, 1, dst=place)  # NumPy takes thirty times as long
    else:
        place[:] = image


def _signed(image: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) in 0–255 → float32 (N, 3, H, W) in [-1, 1], contiguous."""
    return _divided(image.permute(0, 3, 1, 2).contiguous().float(), 127.5) - 1


def _divided(values: Tensor, by: float) -> Tensor:
    # A plain number would be multiplied by its inverse on a GPU, and give other last bits.
    return values / torch.full((), by, device=values.device)


def _window(shape: tuple[int, int], side: int, random: np.random.Generator) -> tuple[slice, slice]:
    """A random square of `side` pixels."""
    top, left = (int(random.integers(length - side + 1)) for length in shape)
    return slice(top, top + side), slice(left, left + side)


def _random_sized(side: int, random: np.random.Generator) -> tuple[slice, slice]:
    """A random part of a square: 0.9–1 of its area, aspect 7/8–8/7, as the published code takes it."""
    area = random.uniform(0.9, 1.0) * side * side
    aspect = math.exp(random.uniform(math.log(7 / 8), math.log(8 / 7)))
    h, w = min(side, round(math.sqrt(area / aspect))), min(side, round(math.sqrt(area * aspect)))
    top, left = int(random.integers(side - h + 1)), int(random.integers(side - w + 1))
    return slice(top, top + h), slice(left, left + w)
