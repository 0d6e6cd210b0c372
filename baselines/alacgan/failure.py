"""What is left of an iteration whose loss was not finite, for those who look for the cause."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.step import Trainer
from lacbench.errors import LacbenchError
from lacbench.files import write_bytes

FAILED = "failed"
"""The folder in a run's folder for the batch and the state of such an iteration."""


class NonFinite(LacbenchError):  # noqa: N818  (named for what it is)
    """A loss that is not finite; carries the batch it came of."""

    def __init__(self, step: int, names: Sequence[str], batch: Batch) -> None:
        super().__init__(
            f"iteration {step} gave a loss that is not finite ({', '.join(names)}); the last checkpoint is "
            "whole; lower the rate: --set learning_rate=…"
        )
        self.step, self.names, self.batch = step, tuple(names), batch


def check_finite(terms: Mapping[str, Tensor], step: int, batch: Batch) -> None:
    """Raise NonFinite where a loss term of iteration `step` is not finite."""
    wrong = [name for name, value in terms.items() if not math.isfinite(float(value.detach()))]
    if wrong:
        raise NonFinite(step, wrong, batch)


def write_failed(
    out: Path, trainer: Trainer, batch: Batch, beside: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Write `failed/batch.safetensors` and `failed/state.safetensors`, a checkpoint, into a run's folder.

    Raises OutputError.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in vars(batch).items()}
    write_bytes(out / FAILED / "batch.safetensors", save(tensors))
    trainer.save(out / FAILED / "state.safetensors", beside)
