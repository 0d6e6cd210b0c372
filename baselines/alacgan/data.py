"""Training batches. Every random number follows from the seed and a counter, never from what came before."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacbench.baselines.alacgan.config import Config
from lacbench.errors import InputError
from lacbench.files import sha256_json
from lacbench.images import Array, read, resize_shortest, to_grey
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair

Floats = NDArray[np.float32]

SAMPLES: Final = 0
"""Stream of random numbers that make a sample, counted by samples."""
MIXES: Final = 1
"""Stream of the gradient penalty's α, counted by steps."""


@dataclass(frozen=True)
class Example:
    """A picture to learn from, and its line drawings."""

    color: Array
    """uint8 (H, W, 3) RGB."""
    lines: tuple[Array, ...]
    """Drawings of each thickness, thinnest first: uint8 (H, W), 0 ink, 255 paper."""


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


def choose_pairs(dataset: Dataset, pairs: Iterable[Pair], size: int) -> dict[str, list[Pair]]:
    """The training pictures' pairs drawn at `size`, by picture, thinnest first.

    Raises InputError where there are none.
    """
    training = {m.record.sha256 for m in dataset.illustrations if m.split == "train"}
    usable = [pair for pair in pairs if pair.sha256 in training]
    chosen: dict[str, list[Pair]] = {}
    for pair in sorted(usable, key=lambda pair: (pair.sha256, pair.sigma)):
        if pair.size == size:
            chosen.setdefault(pair.sha256, []).append(pair)
    if not training:
        raise InputError(
            f"{dataset.folder} has no illustrations to train on: none has the split `train`; "
            "add some, or lower the shares of the recipe's [splits]"
        )
    if chosen and (missing := len(training - chosen.keys())):
        raise InputError(
            f"{dataset.folder} has {missing} training pictures without pairs at {size} pixels; "
            f"draw them with `lacbench pairs {dataset.folder} --size {size}`"
        )
    if not chosen:
        sizes = ", ".join(str(s) for s in sorted({pair.size for pair in usable})) or "no size at all"
        raise InputError(
            f"{dataset.folder} has no training pairs drawn at {size} pixels, but at {sizes}; "
            f"draw them with `lacbench pairs`, or choose another size with --set size=…"
        )
    return chosen


def data_digest(dataset: Dataset, chosen: Mapping[str, Sequence[Pair]]) -> str:
    """SHA-256 over what is trained on: the data set's digest, and the pairs chosen from it."""
    pairs = [[p.sha256, p.sigma, p.size] for group in chosen.values() for p in group]
    return sha256_json({"dataset": dataset.digest, "pairs": sorted(pairs)})


def load_examples(
    dataset: Dataset, chosen: Mapping[str, Sequence[Pair]], progress: Progress | None = None
) -> list[Example]:
    """Read the chosen pairs and their pictures into memory. Raises InputError where the two do not fit."""
    files = {m.record.sha256: dataset.file(m) for m in dataset.illustrations}
    examples = []
    for sha256, pairs in (progress or Silent()).track(chosen.items(), "read pictures", total=len(chosen)):
        color = resize_shortest(read(files[sha256]), pairs[0].size)
        lines = tuple(to_grey(read(dataset.folder / pair.path)) for pair in pairs)
        for pair, line in zip(pairs, lines, strict=True):
            if line.shape != color.shape[:2]:
                raise InputError(
                    f"{dataset.folder / pair.path} has shape {line.shape}; expected {color.shape[:2]}, its "
                    f"picture's at {pair.size} pixels; draw the pairs again with `lacbench pairs`"
                )
        examples.append(Example(color, lines))
    return examples


def random_stream(seed: int, stream: int, number: int) -> np.random.Generator:
    """Random numbers for one purpose: the same (seed, stream, number), the same numbers."""
    # The stream goes to the counter's top word: no draw is long enough to reach the next stream.
    return np.random.Generator(np.random.Philox(key=[seed, number], counter=[0, 0, 0, stream]))


def make_batch(examples: Sequence[Example], config: Config, number: int) -> Batch:
    """Batch `number` of the run: samples number·N to number·N + N − 1."""
    first = number * config.batch
    samples = [make_sample(examples, config, first + i) for i in range(config.batch)]
    color, line_art, hint = (np.stack(arrays) for arrays in zip(*samples, strict=True))
    return Batch(torch.from_numpy(color), torch.from_numpy(line_art), torch.from_numpy(hint))


def make_sample(examples: Sequence[Example], config: Config, index: int) -> tuple[Floats, Floats, Floats]:
    """Sample `index` of the run: y (3, H, W), x (1, H, W) and H (4, H/4, W/4), float32 in [-1, 1].

    Every second sample has no hints.
    """
    random = random_stream(config.seed, SAMPLES, index)
    example = examples[int(random.integers(len(examples)))]
    lines = example.lines[int(random.integers(len(example.lines)))]
    window, flip = _window(lines.shape, config.crop, random), bool(random.random() < 0.5)
    strength = random.uniform(*config.ink)
    hinted = math.floor((index + 1) * config.hinted) > math.floor(index * config.hinted)
    mask = hint_mask(config.crop // 4, config.hint_spread, random) * np.float32(hinted)
    source = example.color[window]
    if config.hint_image == "independent":
        source = _random_sized(source, random)
    colors = cv2.resize(np.ascontiguousarray(source), mask.shape, interpolation=cv2.INTER_AREA)
    color, line_art, hint_color = example.color[window], lines[window], np.asarray(colors, np.uint8)
    if flip:
        color, line_art, hint_color = color[:, ::-1], line_art[:, ::-1], hint_color[:, ::-1]
    ink = np.float32(strength) * (np.float32(1) - line_art.astype(np.float32) / np.float32(255))
    hint = np.concatenate([to_chw(hint_color) * mask, mask[None]])
    return to_chw(color), (np.float32(1) - np.float32(2) * ink)[None], hint


def hint_mask(side: int, spread: float, random: np.random.Generator) -> Floats:
    """M = 1[u ≥ t] for u ~ U(0, 1) a pixel and t ~ N(1, spread) truncated to [0, 1]: (side, side) in {0, 1}.

    Source: Zhang et al. (2017) as changed by arXiv:1808.03240, section 3.4.
    """
    threshold = max(0.0, 1 - abs(random.normal(0.0, spread)))
    return (random.random((side, side)) >= threshold).astype(np.float32)


def mixing(config: Config, step: int) -> Tensor:
    """α ~ U(0, 1) of each sample of a step's gradient penalty: (N, 1, 1, 1)."""
    alpha = random_stream(config.seed, MIXES, step).random((config.batch, 1, 1, 1), dtype=np.float32)
    return torch.from_numpy(alpha)


def to_chw(image: Array) -> Floats:
    """uint8 (H, W, 3) in 0–255 → float32 (3, H, W) in [-1, 1], contiguous."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(127.5) - 1


def _window(shape: tuple[int, ...], side: int, random: np.random.Generator) -> tuple[slice, slice]:
    """A random square of `side` pixels."""
    top, left = (int(random.integers(length - side + 1)) for length in shape[:2])
    return slice(top, top + side), slice(left, left + side)


def _random_sized(image: Array, random: np.random.Generator) -> Array:
    """A random crop of 0.9–1 of the picture's area and an aspect of 7/8–8/7, as the published code takes."""
    height, width = image.shape[:2]
    area = random.uniform(0.9, 1.0) * height * width
    aspect = math.exp(random.uniform(math.log(7 / 8), math.log(8 / 7)))
    h, w = min(height, round(math.sqrt(area / aspect))), min(width, round(math.sqrt(area * aspect)))
    top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
    return image[top : top + h, left : left + w]
