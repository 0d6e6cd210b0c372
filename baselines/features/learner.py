"""The network that learns local features, with the head that its objective needs; and the objectives."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.checkpoint import adam_tensors, fill, fill_adam
from lacbench.baselines.alacgan.frozen import LocalFeatures
from lacbench.baselines.features.config import FeaturesConfig
from lacbench.baselines.features.views import Views

CHANNELS: Final = 512
"""Channels of the local features."""
PROJECTED: Final = 128
"""Numbers that the contrast compares."""
SCALE: Final = 128.0
"""While it learns the network sees its input divided by this; a power of two is taken in exactly."""


def contrast(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """InfoNCE between two views of N pictures, each (N, D): which belongs to which, asked both ways.

    Source: van den Oord et al. (2018), equation 4, with the cosines, temperature and head of Chen et al.
    (2020, SimCLR). It is log N where the features have collapsed, and so cannot be lowered by that.
    """
    cosines = functional.normalize(one) @ functional.normalize(other).T / temperature
    own = torch.arange(len(one), device=one.device)
    return (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)) / 2


def standardized(rows: Tensor) -> Tensor:
    """(N, D) with mean 0 and variance 1 in each column: a batch norm without memory, first in the head.

    The network has no normalisation, so that at first the pictures' features differ little from their mean.
    """
    return functional.batch_norm(rows, None, None, training=True)


def seen(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W) → what networks of local features take: float32 (N, 1, H, W) in [-1, 1]."""
    return pixels[:, None].float() / 127.5 - 1


class Learner:
    """Network, head and optimizer."""

    def __init__(self, config: FeaturesConfig, labels: Tensor | None, device: torch.device) -> None:
        """`labels`: float32 (pictures, tags) for the objective `tags`, None for `contrast`."""
        self.config, self.device, self.done = config, device, 0
        outputs = PROJECTED if labels is None else labels.shape[1]
        head = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, outputs))
        self.network, self.head = LocalFeatures(), head
        _initialize(self.network, self.head, config.seed)
        self.labels = None if labels is None else labels.to(device)
        self.network.to(device), self.head.to(device)
        parameters = [*self.network.parameters(), *self.head.parameters()]
        self.adam = torch.optim.Adam(parameters, config.learning_rate)

    def step(self, views: Views) -> Tensor:
        """One iteration; returns its loss, a scalar on the device."""
        views = views.to(self.device)
        rate = self.config.learning_rate * (1 + math.cos(math.pi * self.done / self.config.steps)) / 2
        self.adam.param_groups[0]["lr"] = rate
        loss = self._loss(views)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        self.done += 1
        return loss.detach()

    def _loss(self, views: Views) -> Tensor:
        described = self._described(seen(torch.cat([views.grey, views.drawn]))).chunk(2)
        grey, drawn = (self.head(standardized(rows)) for rows in described)
        if self.labels is None:
            return contrast(grey, drawn, self.config.temperature)
        wanted = self.labels[views.pictures].repeat(2, 1)
        return functional.binary_cross_entropy_with_logits(torch.cat([grey, drawn]), wanted)

    def _described(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) → each image's mean features: (N, 512)."""
        grey = (functional.avg_pool2d(images, 2) + 1) * 127.5
        features: Tensor = self.network.features((grey - self.network.mean) / SCALE)
        return features.mean(dim=(2, 3))

    def local_features(self) -> LocalFeatures:
        """The network as it is used: the same features, for input that is not divided."""
        network = LocalFeatures()
        network.load_state_dict(self.network.state_dict())
        with torch.no_grad():
            next(network.parameters()).div_(SCALE)  # the first layer's weights; its bias stays
        return network.requires_grad_(False).eval()

    def tensors(self) -> dict[str, Tensor]:
        """What a saved state holds, by name."""
        parts = {
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "adam": adam_tensors(self.adam),
        }
        return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}

    def load(self, parts: Mapping[str, Mapping[str, Tensor]], done: int, path: Path) -> None:
        """Go on from a saved state after `done` iterations. Raises InputError where it does not fit."""
        fill(self.network, parts["network"], path)
        fill(self.head, parts["head"], path)
        fill_adam(self.adam, parts["adam"], path)
        self.done = done


def _initialize(network: LocalFeatures, head: nn.Module, seed: int) -> None:
    """He et al. (2015) for ReLU: normal weights of variance 2 / inputs, biases 0; equal on every device."""
    random = torch.Generator().manual_seed(seed)
    for module in [*network.modules(), *head.modules()]:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
