"""The networks that are trained: generator and critic.

φ is LeakyReLU(0.2). No network has a normalisation layer. Architecture: arXiv:1808.03240, section 3.2
and figure 4, with the numbers of the published code where the paper is silent.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.config import LONG, MIDDLE, SHORT, Config

LOCAL_CHANNELS: Final = 512
"""Channels of the local features, whichever network they come from."""


def phi(x: Tensor) -> Tensor:
    """φ: LeakyReLU with slope 0.2."""
    return functional.leaky_relu(x, 0.2)


class Block(nn.Module):
    """x + C φ(B φ(A x)): a ResNeXt block without biases, and no activation after the sum.

    A is 1×1 to half the channels, B 3×3 with groups and dilation, C 1×1 back. With `down`, B is 4×4 with
    stride 2, the skip is a 2×2 average pool, and the result has half the size.
    """

    def __init__(self, channels: int, groups: int, dilation: int = 1, *, down: bool = False) -> None:
        super().__init__()
        half, self.down = channels // 2, down
        self.reduce = nn.Conv2d(channels, half, 1, bias=False)
        self.spatial = (
            nn.Conv2d(half, half, 4, stride=2, padding=1, groups=groups, bias=False)
            if down
            else nn.Conv2d(half, half, 3, padding=dilation, dilation=dilation, groups=groups, bias=False)
        )
        self.expand = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same, or (N, C, H/2, W/2) with `down`."""
        skip = functional.avg_pool2d(x, 2) if self.down else x
        return torch.as_tensor(skip + self.expand(phi(self.spatial(phi(self.reduce(x))))))


class Stage(nn.Module):
    """One of the decoder's: 3×3 fuse, φ, blocks, 3×3 to four times the outputs, pixel shuffle, φ."""

    def __init__(self, inputs: int, width: int, outputs: int, groups: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(inputs, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width, groups, dilation) for dilation in dilations))
        self.grow = nn.Conv2d(width, 4 * outputs, 3, padding=1)

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps of (N, ·, H, W), together `inputs` channels → (N, outputs, 2H, 2W)."""
        x = self.blocks(phi(self.fuse(torch.cat(maps, 1))))
        return phi(functional.pixel_shuffle(self.grow(x), 2))


class Generator(nn.Module):
    """Line art, hint and local features → colour."""

    def __init__(
        self,
        width: int = 32,
        groups: Sequence[int] = (32, 32, 32, 16),
        dilations: Sequence[Sequence[int]] = (LONG, MIDDLE, MIDDLE, SHORT),
        local_channels: int = LOCAL_CHANNELS,
    ) -> None:
        super().__init__()
        c0, c1, c2, c3, c4 = (width * 2**level for level in range(5))
        self.hint = nn.Conv2d(4, c1, 7, padding=3)
        self.encode0 = nn.Conv2d(1, c0, 3, padding=1)
        self.encode1 = nn.Conv2d(c0, c1, 4, stride=2, padding=1)
        self.encode2 = nn.Conv2d(c1, c2, 4, stride=2, padding=1)
        self.encode3 = nn.Conv2d(c2 + c1, c3, 4, stride=2, padding=1)
        self.encode4 = nn.Conv2d(c3, c4, 4, stride=2, padding=1)
        self.decode4 = Stage(c4 + local_channels, c4, c3, groups[0], dilations[0])
        self.decode3 = Stage(2 * c3, c3, c2, groups[1], dilations[1])
        self.decode2 = Stage(2 * c2, c2, c1, groups[2], dilations[2])
        self.decode1 = Stage(2 * c1, c1, c0, groups[3], dilations[3])
        self.output = nn.Conv2d(2 * c0, 3, 3, padding=1)

    def forward(self, line_art: Tensor, hint: Tensor, local_features: Tensor | None = None) -> Tensor:
        """Colour a line art.

        Args:
            line_art: (N, 1, H, W) in [-1, 1], ink to paper; H and W multiples of 16.
            hint: (N, 4, H/4, W/4), RGB in [-1, 1] times the mask, and the mask in {0, 1}.
            local_features: (N, 512, H/16, W/16), or None where the generator was made without.

        Returns:
            (N, 3, H, W) RGB in [-1, 1].
        """
        e0 = phi(self.encode0(line_art))
        e1 = phi(self.encode1(e0))
        e2 = phi(self.encode2(e1))
        e3 = phi(self.encode3(torch.cat([e2, phi(self.hint(hint))], 1)))
        e4 = phi(self.encode4(e3))
        x = self.decode4(e4) if local_features is None else self.decode4(e4, local_features)
        x = self.decode1(self.decode2(self.decode3(x, e3), e2), e1)
        return torch.tanh(self.output(torch.cat([x, e0], 1)))


class Activation(nn.Module):
    """φ as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape → the same."""
        return phi(x)


class Critic(nn.Module):
    """Colour, given its line art's local features → how real it looks: a number without bounds.

    Without local features it is given the line art itself, beside the colour.
    """

    def __init__(
        self, width: int = 64, groups: int = 8, crop: int = 512, local_channels: int = LOCAL_CHANNELS
    ) -> None:
        super().__init__()
        self.conditioned_late = local_channels > 0
        deep = 8 * width
        self.look = nn.Sequential(
            *_convolution(3 if local_channels else 4, width, 7, padding=3),
            *_convolution(width, width, 4, stride=2, padding=1),
            *_halving(width, groups),
            *_convolution(width, 2 * width, 1),
            *_halving(2 * width, groups),
            *_convolution(2 * width, 4 * width, 1),
            *_halving(4 * width, groups),
        )
        halvings = int(math.log2(crop // 64))  # from crop / 16 down to 4 × 4
        self.judge = nn.Sequential(
            *_convolution(4 * width + local_channels, deep, 3, padding=1),
            *(layer for _ in range(halvings) for layer in _halving(deep, groups)),
            Block(deep, groups),
            *_convolution(deep, deep, 4),
            nn.Flatten(),
            nn.Linear(deep, 1),
        )

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Judge images.

        Args:
            image: (N, 3, crop, crop) RGB in [-1, 1].
            condition: (N, 512, crop/16, crop/16) local features; without them the line art,
                (N, 1, crop, crop) in [-1, 1].

        Returns:
            (N, 1).
        """
        if self.conditioned_late:
            score = self.judge(torch.cat([self.look(image), condition], 1))
        else:
            score = self.judge(self.look(torch.cat([image, condition], 1)))
        return torch.as_tensor(score)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), Activation()]


def _halving(channels: int, groups: int) -> list[nn.Module]:
    return [Block(channels, groups), Block(channels, groups, down=True)]


def initialize(network: nn.Module, random: torch.Generator, rule: str = "pytorch-0.4") -> None:
    """Draw all weights: uniform within ±1/√(C_in·k²).

    By the rule `pytorch-0.4`, which the published code was trained with, C_in ignores groups; by `pytorch`,
    today's, it is the channels of one group, so grouped convolutions get √groups times more.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            ignored = module.groups if isinstance(module, nn.Conv2d) and rule == "pytorch-0.4" else 1
            bound = 1 / math.sqrt(module.weight[0].numel() * ignored)
            for parameter in module.parameters(recurse=False):
                nn.init.uniform_(parameter, -bound, bound, generator=random)


def make_generator(config: Config) -> Generator:
    """The configuration's generator, with PyTorch's own initial weights."""
    channels = 0 if config.local_features == "none" else LOCAL_CHANNELS
    return Generator(config.generator_width, config.groups, config.dilations, channels)


def make_critic(config: Config) -> Critic:
    """The configuration's critic, with PyTorch's own initial weights."""
    channels = 0 if config.local_features == "none" else LOCAL_CHANNELS
    return Critic(config.critic_width, config.critic_groups, config.crop, channels)


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network is made of."""
    return sum(parameter.numel() for parameter in network.parameters())
