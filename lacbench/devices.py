"""What this machine has: cores, and places where networks run."""

import os
from typing import TYPE_CHECKING

from lacbench.errors import InputError, MissingError

if TYPE_CHECKING:
    import torch


def cores() -> int:
    """Cores that this process may use, where the system says; else all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_device(name: str) -> "torch.device":
    """The device of that name: `cpu`, `cuda` or `cuda:N`; `auto` is `cuda` where there is one, else `cpu`.

    Raises InputError for a name that is none, MissingError where this machine has no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"there is no device {name!r}; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MissingError(
            f"there is no CUDA device {name!r} here; use --device cpu (to train: --device cpu --preset tiny)"
        )
    return device
