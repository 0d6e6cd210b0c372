"""Where networks run."""

from typing import TYPE_CHECKING

from lacbench.errors import InputError, MissingError

if TYPE_CHECKING:
    import torch


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
        raise InputError(f"there is no device {name!r}; expected cpu, cuda, cuda:N or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MissingError(
            f"there is no CUDA device {name!r} here; use --device cpu (to train: with --preset tiny)"
        )
    return device
