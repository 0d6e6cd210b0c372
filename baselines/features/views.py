"""What local features are learned from: a window of a picture in grey, and the drawing of another window.

Only illustrations whose split is `train` are read here. Authentic line arts are the test set, and so are the
illustrations that belong to one.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import Tensor

from lacbench.baselines.alacgan.data import random_stream
from lacbench.baselines.features.config import FeaturesConfig, Objective
from lacbench.errors import InputError
from lacbench.files import sha256_json
from lacbench.images import Array, read, resize_shortest, to_grey
from lacbench.progress import Progress
from lacbench.records import Dataset, Member
from lacbench.xdog import xdog

BATCHES: Final = 2
"""Stream of random numbers that choose a batch's pictures, counted by steps; alacgan has 0 and 1."""
VIEWS: Final = 3
"""Stream of random numbers that make a picture's two views, counted by samples."""
TAGS: Final = 1539
"""At most so many tags are learned, the most frequent ones: as many as Illustration2Vec's."""
RARE, COMMON = 0.01, 0.9
"""A tag is learned if it is on at least RARE and at most COMMON of the training pictures."""
FEW: Final = 20
"""With fewer tags to learn, or more than half of the pictures without one of them, tags are no objective."""


@dataclass(frozen=True)
class Views:
    """A batch: each picture once in grey, once drawn."""

    pictures: Tensor
    """int64 (N,): numbers of the pictures, all different."""
    grey: Tensor
    """uint8 (N, size, size): windows of the pictures."""
    drawn: Tensor
    """uint8 (N, size, size), 0 ink, 255 paper: drawings of other windows of the same pictures."""

    def to(self, device: torch.device) -> "Views":
        """The same on another device."""
        return Views(self.pictures.to(device), self.grey.to(device), self.drawn.to(device))


def training_members(dataset: Dataset, batch: int) -> list[Member]:
    """The illustrations that are learned from. Raises InputError where they do not fill a batch."""
    members = [m for m in dataset.illustrations if m.split == "train"]
    if len(members) < batch:
        raise InputError(
            f"{dataset.folder} has {len(members)} illustrations to train on, expected at least a batch of "
            f"{batch}; add some, or lower --batch"
        )
    return members


def vocabulary(members: Sequence[Member]) -> list[str]:
    """The tags to learn, most frequent first."""
    counts = Counter(tag for m in members for tag in set(m.record.candidate.tags))
    low, high = max(2.0, RARE * len(members)), COMMON * len(members)
    usual = sorted(
        (tag for tag, n in counts.items() if low <= n <= high), key=lambda tag: (-counts[tag], tag)
    )
    return usual[:TAGS]


def choose_objective(members: Sequence[Member]) -> Objective:
    """`tags` where the sources gave enough of them, else `contrast`."""
    words = set(vocabulary(members))
    tagged = sum(not words.isdisjoint(m.record.candidate.tags) for m in members)
    return "tags" if len(words) >= FEW and 2 * tagged >= len(members) else "contrast"


def label(members: Sequence[Member], words: Sequence[str]) -> Tensor:
    """Which picture has which tag: float32 (pictures, tags) in {0, 1}."""
    held = [set(m.record.candidate.tags) for m in members]
    return torch.tensor([[float(word in tags) for word in words] for tags in held])


def data_digest(dataset: Dataset, members: Sequence[Member], objective: Objective) -> str:
    """SHA-256 over what is learned from: the data set's digest, and the tags where they are learned."""
    tags = [[m.record.sha256, *m.record.candidate.tags] for m in members if objective == "tags"]
    return sha256_json({"dataset": dataset.digest, "tags": tags})


def read_grey(dataset: Dataset, members: Sequence[Member], side: int, progress: Progress) -> list[Array]:
    """Pictures in grey with a shortest side of `side` pixels: uint8 (H, W) each. Raises ImageError."""
    todo = progress.track(members, "read pictures", len(members))
    return [to_grey(resize_shortest(read(dataset.file(m)), side)) for m in todo]


def make_views(
    pictures: Sequence[Array], config: FeaturesConfig, step: int, pool: ThreadPoolExecutor | None = None
) -> Views:
    """The batch of iteration `step`, counted from 0; the same for any pool."""
    chosen = random_stream(config.seed, BATCHES, step).choice(len(pictures), config.batch, replace=False)
    work = partial(_views, pictures, config)
    numbers = range(step * config.batch, (step + 1) * config.batch)
    made = [*(pool.map if pool else map)(work, chosen.tolist(), numbers)]
    grey, drawn = (torch.from_numpy(np.stack(side)) for side in zip(*made, strict=True))
    return Views(torch.from_numpy(chosen), grey, drawn)


def views_ahead(
    pictures: Sequence[Array], config: FeaturesConfig, steps: range, threads: int
) -> Generator[Views, None, None]:
    """The batches of these iterations, each made by threads while the one before is used."""
    with ThreadPoolExecutor(threads, "views") as pool, ThreadPoolExecutor(1, "batches") as ahead:
        later: Any = None
        for step in steps:
            views = later.result() if later else make_views(pictures, config, step, pool)
            if step + 1 < steps.stop:
                later = ahead.submit(make_views, pictures, config, step + 1, pool)
            yield views


def _views(
    pictures: Sequence[Array], config: FeaturesConfig, picture: int, number: int
) -> tuple[Array, Array]:
    """Sample `number`: a window of a picture, and the drawing of another one, each (size, size)."""
    random = random_stream(config.seed, VIEWS, number)
    grey, other = (_window(pictures[picture], config.size, random) for _ in range(2))
    drawing = xdog(other, random.uniform(*config.sigmas))
    return grey, fade(drawing, random.uniform(*config.ink))


def fade(drawing: Array, ink: float) -> Array:
    """Ink of strength λ on white paper: x' = 1 − λ (1 − x) on 0–1 (arXiv:1808.03240, section 3.4)."""
    return np.asarray(np.rint(255 - ink * (255.0 - drawing)), np.uint8)


def _window(grey: Array, size: int, random: np.random.Generator) -> Array:
    """A random square of size to 2 · size pixels, flipped or not, resized to `size`."""
    side = int(random.integers(size, min(grey.shape) + 1))
    top, left = (int(random.integers(length - side + 1)) for length in grey.shape)
    window = resize_shortest(grey[top : top + side, left : left + side], size)
    return np.asarray(cv2.flip(window, 1), np.uint8) if random.random() < 0.5 else window
