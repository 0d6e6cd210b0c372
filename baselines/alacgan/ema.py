"""A moving average of the generator's weights: steadier than the weights of any one iteration."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan.checkpoint import check_shapes


class Ema:
    """The exponential moving average of a network's weights (Polyak averaging; Yazıcı et al., ICLR 2019)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the network's weights; `decay` in (0, 1) is what the average keeps of itself a step."""
        self.network, self.decay = network, decay
        self._average = [weights.detach().clone() for weights in network.state_dict().values()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after iteration `step`, counted from 1.

        The first averages are short, min(decay, (1 + step) / (10 + step)) as in TensorFlow's, so that the
        random weights of the start are soon forgotten.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, list(self.network.state_dict().values()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The average, under the network's names."""
        return dict(zip(self.network.state_dict(), self._average, strict=True))

    def load(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        """Go on from a checkpoint's average. Raises InputError where names or shapes differ."""
        held = self.tensors()
        check_shapes(tensors, held, path)
        for name, average in held.items():
            average.copy_(tensors[name])
