"""Pretrained weights that a test has at hand."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lacbench import weights
from lacbench.pretrained import Weights


@dataclass(frozen=True)
class Given:
    """A route to tensors that are at hand."""

    state: dict[str, torch.Tensor]
    origin: str = "the test"
    expected: str = "0"

    def download(self, folder: Path) -> Path:
        path = folder / "given"
        path.touch()
        return path

    def tensors(self, path: Path) -> dict[str, torch.Tensor]:
        return self.state


def keep(state: dict[str, torch.Tensor]) -> None:
    """Have the cache folder hold these weights as `inception`."""
    weights.fetch(Weights("inception", "tests", "CC0-1.0", "none", 0, (Given(state),)))
