"""What is left of an iteration whose loss was not finite, for those who look for the cause."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.watch import save_batch

FAILED = "failed"
"""The folder in a run's folder for the batch and the state of such an iteration."""


def write_failed(
    out: Path, trainer: Trainer, batch: Batch, beside: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Write `failed/batch.safetensors` and `failed/state.safetensors`, a checkpoint, into a run's folder.

    Raises OutputError.
    """
    save_batch(out / FAILED / "batch.safetensors", batch)
    trainer.save(out / FAILED / "state.safetensors", beside)
