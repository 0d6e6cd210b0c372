"""Several processes that train one model, as `torchrun` starts them: each has its share of every batch.

Gradients are averaged by one all-reduce a network and step, of all of them in one flat tensor. Hooks that
reduce while a backward pass runs, as DistributedDataParallel's, would go wrong here without an error: the
critic is differentiated several times a step.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as processes

from lacbench.baselines.alacgan import data
from lacbench.errors import MissingError

PATIENCE = timedelta(hours=2)
"""How long processes wait for another, which may be at a validation."""


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes that `torchrun` started, if it did; lends the device of this one.

    Of several processes on one machine each takes the CUDA device of its number there (LOCAL_RANK). They
    speak through NCCL on CUDA and through Gloo on CPUs. Raises MissingError where there are too few devices.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or processes.is_initialized():
        yield device
        return
    if device.type == "cuda":
        number = int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise MissingError(
                f"process {number} of this machine has no CUDA device of its own; there are "
                f"{torch.cuda.device_count()}: start as many with torchrun --nproc-per-node"
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    processes.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield device
        with suppress(RuntimeError):  # another one failed; it says why
            processes.barrier()  # nobody leaves while another still talks
    finally:
        processes.destroy_process_group()


def rank() -> int:
    """This process's number, from 0."""
    return processes.get_rank() if processes.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return processes.get_world_size() if processes.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process is here."""
    if world() > 1:
        processes.barrier()


def any_of(told: bool, device: torch.device) -> bool:
    """Whether any of the processes says so; all of them must ask."""
    flag = torch.tensor([float(told)], device=device)
    average([flag])
    return bool(flag)


def share(batch: int) -> slice:
    """The samples of a batch of that many that are this process's.

    Raises InputError where they cannot be shared equally.
    """
    part = data.share(batch, rank(), world())
    return slice(part.start, part.stop)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, by one all-reduce. All of one dtype and device."""
    if world() == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    processes.all_reduce(flat)
    flat /= world()
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def mean(values: Tensor) -> Tensor:
    """The mean over all processes' values, as many of each; a scalar.

    Its gradient is that of this process's own mean, so that averaged gradients of what follows are right.
    """
    own = values.mean()
    if world() == 1:
        return own
    whole = own.detach().clone()
    average([whole])
    return own + (whole - own.detach())
