"""A loss that is not finite stops the run, before it spoils the weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from lacbench.baselines.alacgan.data import Batch
from lacbench.errors import LacbenchError
from lacbench.files import write_bytes


class NonFinite(LacbenchError):  # noqa: N818  (named for what it is)
    """A loss or a gradient that is not finite; carries the batch it came of."""

    def __init__(self, step: int, names: Sequence[str], batch: Batch) -> None:
        super().__init__(
            f"iteration {step} gave a loss or gradient that is not finite ({', '.join(names)}); the last "
            "checkpoint is whole; lower the rate: --set learning_rate=…"
        )
        self.step, self.names, self.batch = step, tuple(names), batch


def save_batch(path: Path, batch: Batch) -> None:
    """Write a batch's tensors, by their names, as one safetensors file. Raises OutputError."""
    write_bytes(path, save({name: value.cpu().contiguous() for name, value in vars(batch).items()}))


class Watch:
    """Looks at each step's losses and gradients, without waiting for the device where that costs.

    A CPU's are looked at at once, before the optimizer's step. A GPU's verdict stays there until `verdict` is
    asked for: waiting each step would leave it idle. Meanwhile a fused Adam does not touch the weights any
    more (`found` is its `found_inf`); another one goes on, and only the last checkpoint is whole.
    """

    def __init__(self, device: torch.device, *, lags: bool) -> None:
        self.lags = lags
        self.found = torch.zeros((), device=device)
        """1 once something was not finite, else 0; stays."""
        self.good = torch.zeros((), dtype=torch.int64, device=device)
        """Iterations done before that; counted where this lags."""

    def look(self, values: Mapping[str, Tensor], step: int, batch: Batch) -> None:
        """Look at scalars; raises NonFinite, where this watch does not lag behind."""
        finite = torch.isfinite(torch.stack([*values.values()]))
        if self.lags:
            self.found.copy_(torch.maximum(self.found, (~finite.all()).float()))
        elif not finite.all():
            names = [name for name, fine in zip(values, finite.tolist(), strict=True) if not fine]
            raise NonFinite(step, names, batch)

    def count(self) -> None:
        """An iteration has ended."""
        if self.lags:
            self.good += (1 - self.found).long()

    def reset(self, done: int) -> None:
        """Begin anew after `done` iterations."""
        self.found.zero_()
        self.good.fill_(done)

    def verdict(self) -> int | None:
        """How many iterations were good, if one was not; waits for the device."""
        return int(self.good) if self.found else None
