"""pix2pix, a baseline: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (CVPR
2017, arXiv:1611.07004), on the same data and by the same trainer as the reference model.

A U-Net generator and a 70 × 70 PatchGAN critic, both given the line art and the hint map, learn by binary
cross-entropy and L1. Two choices:

- Normalisation is over each picture alone, in training and after it: the paper's batch normalisation by the
  statistics of the batch at hand, with one picture a batch (section 3.3). So no colour depends on another
  picture of a batch.
- Dropout, the paper's noise, is off when a trained model colours, where the paper leaves it on and observes
  "only minor stochasticity" (section 3.1): one line art has the same colours each time. In training its masks
  follow from (seed, step).
"""

from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch, random_stream
from lacbench.baselines.alacgan.fast import Calls, Terms
from lacbench.baselines.alacgan.frozen import Frozen
from lacbench.baselines.alacgan.step import Trainer, View
from lacbench.progress import Progress

CONDITION: Final = 5
"""Channels of what both networks are given: the line art, and the hint map at its size."""
DEEPEST: Final = 8
"""Halvings of the generator at most: 256 pixels, the paper's pictures, to one."""
DROPPED: Final = 3
"""Layers of the decoder, the first ones, with dropout; half of their values are dropped."""
DROPOUT: Final = 2
"""Stream of the dropout's random numbers, counted by steps; `alacgan.data` has the others."""


def condition(line_art: Tensor, hint: Tensor) -> Tensor:
    """Line art (N, 1, H, W) and hint (N, 4, H/4, W/4), enlarged to nearest pixels → (N, 5, H, W)."""
    return torch.cat([line_art, functional.interpolate(hint, scale_factor=4.0, mode="nearest")], 1)


def widths(width: int, depth: int) -> list[int]:
    """Channels after each halving: doubled until they are eight times the first's."""
    return [width * min(2**level, 8) for level in range(depth)]


class UNet(nn.Module):
    """Encoder and decoder with a skip between each two layers of one size (section 6.1.1 of the paper).

    Convolutions are 4 × 4 with stride 2. The encoder's outermost layer is not normalised, nor is the
    innermost: its one pixel would become zero (section 6.3).
    """

    def __init__(self, inputs: int = CONDITION, width: int = 64, depth: int = DEEPEST) -> None:
        super().__init__()
        channels = widths(width, depth)
        first = nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1, bias=False))
        inner = [_down(a, b, norm=level < depth - 2) for level, (a, b) in enumerate(pairwise(channels))]
        self.encode = nn.ModuleList([first, *inner])
        outputs = channels[-2::-1]
        given = [channels[-1], *(2 * c for c in outputs)]  # all but the innermost are given a skip too
        grow = [_up(a, b) for a, b in zip(given, outputs, strict=False)]
        last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(given[-1], 3, 4, 2, 1), nn.Tanh())
        self.decode = nn.ModuleList([*grow, last])

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Any picture → RGB in [-1, 1].

        Args:
            x: (N, inputs, H, W), H and W multiples of 2^depth.
            kept: (N, K) in {0, 1}: which values dropout leaves, layer by layer; None for no dropout.

        Returns:
            (N, 3, H, W).
        """
        skips: list[Tensor] = []
        for layer in self.encode:
            x = layer(x)
            skips.append(x)
        used = 0
        for number, layer in enumerate(self.decode):
            x = layer(x if number == 0 else torch.cat([x, skips[-1 - number]], 1))
            if kept is not None and number < DROPPED:
                values = x[0].numel()
                x = 2 * x * kept[:, used : used + values].view_as(x)
                used += values
        return x


class Generator(nn.Module):
    """Line art and hint → colour, at any size: paper is laid on at the right and below, then cut off."""

    def __init__(self, width: int = 64, depth: int = DEEPEST) -> None:
        super().__init__()
        self.multiple = 2**depth
        self.network = UNet(CONDITION, width, depth)

    def forward(self, line_art: Tensor, hint: Tensor, kept: Tensor | None = None) -> Tensor:
        """Colour a line art.

        Args:
            line_art: (N, 1, H, W) in [-1, 1], ink to paper; H and W multiples of 4.
            hint: (N, 4, H/4, W/4), RGB in [-1, 1] times the mask, and the mask in {0, 1}.
            kept: what dropout leaves, see `UNet.forward`; for sizes that need no paper only.

        Returns:
            (N, 3, H, W) RGB in [-1, 1].
        """
        height, width = line_art.shape[2:]
        rows, columns = -height % self.multiple, -width % self.multiple
        line_art = functional.pad(line_art, (0, columns, 0, rows), value=1.0)
        hint = functional.pad(hint, (0, columns // 4, 0, rows // 4))
        return torch.as_tensor(self.network(condition(line_art, hint), kept)[:, :, :height, :width])


class PatchCritic(nn.Module):
    """Colour, given line art and hint → how real each of its 70 × 70 patches looks (section 6.1.2)."""

    def __init__(self, inputs: int = 3 + CONDITION, width: int = 64) -> None:
        super().__init__()
        self.judge = nn.Sequential(
            nn.Conv2d(inputs, width, 4, 2, 1),
            *_down(width, 2 * width),
            *_down(2 * width, 4 * width),
            *_down(4 * width, 8 * width, stride=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Image (N, 3, H, W) and condition (N, 5, H, W) → log-odds (N, 1, H/8 − 2, W/8 − 2)."""
        return torch.as_tensor(self.judge(torch.cat([condition, image], 1)))


def _down(inputs: int, outputs: int, *, stride: int = 2, norm: bool = True) -> nn.Sequential:
    layers = [nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False)]
    return nn.Sequential(*layers, *([_norm(outputs)] if norm else []))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    grow = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    return nn.Sequential(nn.ReLU(), grow, _norm(outputs))


def _norm(channels: int) -> nn.Module:
    """Batch normalisation by the statistics of one picture."""
    return nn.InstanceNorm2d(channels, affine=True)


def initialize(network: nn.Module, random: torch.Generator) -> None:
    """Draw all weights: N(0, 0.02), normalisations' N(1, 0.02); biases are 0 (section 6.2)."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                nn.init.zeros_(parameter)
            else:
                mean = float(isinstance(module, nn.InstanceNorm2d))
                nn.init.normal_(parameter, mean, 0.02, generator=random)


def depth_of(config: Config) -> int:
    """Halvings of the configuration's generator: down to one pixel of a crop, or DEEPEST."""
    return min(DEEPEST, config.crop.bit_length() - 1)


def kept_values(config: Config, step: int) -> Tensor:
    """What dropout leaves in a step, half of the values: uint8 (batch, K) in {0, 1}; see `UNet.forward`."""
    depth = depth_of(config)
    channels = widths(config.generator_width, depth)[-2::-1][:DROPPED]
    sides = [config.crop >> (depth - 1 - layer) for layer in range(DROPPED)]
    values = config.batch * sum(c * side**2 for c, side in zip(channels, sides, strict=True))
    drawn = np.frombuffer(random_stream(config.seed, DROPOUT, step).bytes(-(-values // 8)), np.uint8)
    return torch.from_numpy(np.unpackbits(drawn, count=values).reshape(config.batch, -1))


class Pix2Pix(Trainer):
    """The trainer of pix2pix: what differs from the reference model's."""

    @staticmethod
    def load_frozen(config: Config, progress: Progress | None = None) -> Frozen:
        """No network: there are no local features, and L1 is the content loss."""
        return Frozen(nn.Identity(), None)

    @staticmethod
    def make_generator(config: Config) -> Generator:
        """The configuration's generator, with PyTorch's own initial weights."""
        return Generator(config.generator_width, depth_of(config))

    @staticmethod
    def make_critic(config: Config) -> PatchCritic:
        """The configuration's critic, with PyTorch's own initial weights."""
        return PatchCritic(width=config.critic_width)

    @staticmethod
    def initialize(network: nn.Module, random: torch.Generator, config: Config) -> None:
        """Draw a network's first weights."""
        initialize(network, random)

    @staticmethod
    def chance(config: Config, step: int) -> Tensor:
        """The random numbers of a step: what dropout leaves."""
        return kept_values(config, step)

    def _view(self, calls: Calls, batch: Batch, chance: Tensor) -> View:
        fake = calls.generator(batch.line_art, batch.hint, chance)
        return View(batch, condition(batch.line_art, batch.hint), fake)

    def _critic_step(self, calls: Calls, view: View, chance: Tensor) -> Terms:
        assert calls.critic is not None
        images = torch.cat([view.fake.detach(), view.batch.color])
        fakes, reals = calls.critic(images, torch.cat([view.condition] * 2)).chunk(2)
        terms = {
            "critic_fake": cross_entropy(fakes, real=False),
            "critic_real": cross_entropy(reals, real=True),
        }
        # Halved: the critic is to learn slowly beside the generator (section 3.3).
        total = (terms["critic_fake"] + terms["critic_real"]) / 2
        return self._descend("critic", total, terms, view.batch)

    def _generator_terms(self, calls: Calls, view: View) -> tuple[Tensor, Terms]:
        terms = {"pixel": functional.l1_loss(view.fake, view.batch.color)}
        total = self.config.pixel_weight * terms["pixel"]
        if calls.critic is not None:
            terms["adversarial"] = cross_entropy(calls.critic(view.fake, view.condition), real=True)
            total = total + self.config.adversarial_weight * terms["adversarial"]
        return total, terms


def cross_entropy(scores: Tensor, *, real: bool) -> Tensor:
    """Binary cross-entropy of log-odds, of any shape, that should say `real`; their mean, a scalar."""
    return functional.softplus(-scores if real else scores).mean()
