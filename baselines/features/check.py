"""How well local features know a drawing's picture again: the check figures of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.frozen import load_local
from lacbench.baselines.features.config import FeaturesConfig
from lacbench.baselines.features.learner import seen
from lacbench.baselines.features.views import read_grey
from lacbench.errors import FetchError
from lacbench.images import Array
from lacbench.progress import Progress
from lacbench.records import Dataset, Member
from lacbench.xdog import xdog

MOST: Final = 1000
"""At most so many pictures are looked among, spread evenly over the ids."""
AT_ONCE: Final = 8
"""Pictures that a network looks at together."""


@dataclass(frozen=True)
class Retrieval:
    """Each of n drawings is asked for its picture among the n pictures they belong to."""

    n: int
    """Drawings, and pictures."""
    chance: float
    """Share of right answers of one who guesses, 0–1."""
    top1: Mapping[str, float]
    """Share of drawings whose nearest picture is their own, 0–1, by network."""
    rank: Mapping[str, float]
    """How many directions the pictures' features fill, by network: 1 where they have collapsed, at most n."""


def check(
    networks: Mapping[str, nn.Module],
    dataset: Dataset,
    config: FeaturesConfig,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """The check figures of some networks, on pictures that none of them was trained on.

    `synthetic`: held-out illustrations, drawn by XDoG at `config.unseen_sigma`. `authentic`: the line arts of
    true pairs, and their coloured versions. Each is there if the data set has two pairs of its kind. Of a
    picture the middle square is taken, 2 · size pixels wide; `retrieve` says how drawing and picture are
    compared.
    """
    side = 2 * config.size
    held_out = _spread([m for m in dataset.illustrations if m.split != "train"])
    pairs = [(m, truth) for m in _spread(dataset.linearts) if (truth := dataset.truth(m))]
    figures: dict[str, Any] = {}
    if len(held_out) > 1:
        pictures = _squares(dataset, held_out, side, progress)
        drawings = [xdog(picture, config.unseen_sigma) for picture in pictures]
        figures["synthetic"] = asdict(retrieve(networks, drawings, pictures, device))
    if len(pairs) > 1:
        drawings, pictures = (
            _squares(dataset, members, side, progress) for members in zip(*pairs, strict=True)
        )
        figures["authentic"] = asdict(retrieve(networks, drawings, pictures, device))
    return figures


def compared(random: nn.Module, progress: Progress) -> dict[str, nn.Module]:
    """What a network is compared with: weights that have learned nothing, and VGG16 where it can be had."""
    try:
        vgg, _ = load_local("vgg16", progress=progress)
    except FetchError as error:
        progress.say(f"train-features: not compared with VGG16: {error}")
        return {"random": random}
    return {"random": random} if vgg is None else {"random": random, "vgg16": vgg}


def retrieve(
    networks: Mapping[str, nn.Module],
    drawings: Sequence[Array],
    pictures: Sequence[Array],
    device: torch.device,
) -> Retrieval:
    """Ask each of n drawings for its picture, by every network; uint8 (H, W) each, of one size.

    What is compared is the features' mean over all places, by cosine. Each side, drawings and pictures, is
    standardized by itself: what only tells drawings from pictures finds nothing, and every channel counts
    the same, since whoever uses features weighs channels anew.
    """
    top1, rank = {}, {}
    for name, network in networks.items():
        lines, colors = (_described(network.to(device), images, device) for images in (drawings, pictures))
        top1[name], rank[name] = share_found(lines, colors), effective_rank(colors)
    return Retrieval(len(pictures), 1 / len(pictures), top1, rank)


def share_found(queries: Tensor, gallery: Tensor) -> float:
    """Share of queries whose nearest of the gallery, by cosine of standardized rows, is theirs: (N, D)."""
    one, other = (functional.normalize(_standardized(rows.double())) for rows in (queries, gallery))
    found = (one @ other.T).argmax(dim=1)
    return float((found == torch.arange(len(queries))).double().mean())


def _standardized(rows: Tensor) -> Tensor:
    """(N, D) with mean 0 and spread 1 in each column, of whatever scale; constant columns become 0."""
    centred = rows - rows.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    return centred / spread.clamp_min(1e-6 * float(spread.max()) + 1e-12)


def effective_rank(rows: Tensor) -> float:
    """exp of the entropy of the centred rows' singular values, (N, D) → 1 to min(N, D).

    Source: Roy and Vetterli (2007); as a sign of collapse Garrido et al. (2023, RankMe), who do not centre.
    """
    values = torch.linalg.svdvals((rows - rows.mean(dim=0)).double())
    if not values.any():
        return 1.0
    shares = values / values.sum()
    return float(torch.exp(torch.special.entr(shares).sum()))


def _described(network: nn.Module, images: Sequence[Array], device: torch.device) -> Tensor:
    """Mean features of pictures of one size: float32 (N, 512) on the CPU."""
    rows = []
    with torch.no_grad():
        for start in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.stack(images[start : start + AT_ONCE])).to(device)
            rows.append(network(seen(batch)).mean(dim=(2, 3)).cpu())
    return torch.cat(rows)


def _squares(dataset: Dataset, members: Sequence[Member], side: int, progress: Progress) -> list[Array]:
    """The middle squares of pictures in grey: uint8 (side, side) each."""
    squares = []
    for grey in read_grey(dataset, members, side, progress):
        top, left = ((length - side) // 2 for length in grey.shape)
        squares.append(np.ascontiguousarray(grey[top : top + side, left : left + side]))
    return squares


def _spread(members: Sequence[Member]) -> list[Member]:
    """At most MOST of them, evenly spread."""
    number = min(MOST, len(members))
    return [members[i * len(members) // number] for i in range(number)]
