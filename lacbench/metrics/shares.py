"""Several processes that take features together, as `torchrun` starts them: each its share of the pictures.

They speak through the cache folder, which all of them must see: each writes the features of its share to a
file, and the first one puts these together. A share that an earlier run left is used again.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lacbench.errors import InputError, MissingError

PATIENCE = 3600.0
"""How long, in seconds, the first process waits for another's share once its own is done."""
PAUSE = 0.2
"""Seconds between two looks for it."""


@dataclass(frozen=True)
class Share:
    """Which of the processes this is."""

    rank: int = 0
    """Its number, from 0; the first one puts the features together."""
    world: int = 1
    """How many there are."""
    local: int = 0
    """Its number on its machine: its CUDA device."""

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world and self.local >= 0):
            raise InputError(
                f"process {self.rank} of {self.world} is none; expected RANK from 0 to WORLD_SIZE − 1, as "
                "torchrun sets them; start it by torchrun, or unset both"
            )

    @classmethod
    def of_environment(cls) -> "Share":
        """What `torchrun` told this process: RANK, WORLD_SIZE, LOCAL_RANK. Raises InputError for nonsense."""
        told = [os.environ.get(name, default) for name, default in _TOLD]
        if not all(value.isdecimal() for value in told):
            raise InputError(
                f"RANK, WORLD_SIZE and LOCAL_RANK are {', '.join(map(repr, told))}; expected numbers, as "
                "torchrun sets them; unset them"
            )
        rank, world, local = map(int, told)
        return cls(rank, world, local)

    def of(self, count: int, rank: int | None = None) -> slice:
        """The part of `count` pictures that is this process's, or another's; parts differ by one at most."""
        rank = self.rank if rank is None else rank
        return slice(count * rank // self.world, count * (rank + 1) // self.world)

    def file(self, path: Path, rank: int | None = None) -> Path:
        """Where the share of this process, or another's, of the features at `path` lies."""
        return path.with_suffix(f".{self.rank if rank is None else rank}-of-{self.world}.npy")

    def place(self, device: str) -> str:
        """The device of this process: of CUDA's each has the one of its number. Raises MissingError."""
        if self.world == 1 or device not in ("auto", "cuda"):
            return device
        import torch

        if device == "auto" and not torch.cuda.is_available():
            return "cpu"
        if self.local >= torch.cuda.device_count():
            raise MissingError(
                f"process {self.local} of this machine has no CUDA device of its own; there are "
                f"{torch.cuda.device_count()}: start as many with torchrun --nproc-per-node"
            )
        return f"cuda:{self.local}"

    def wait(self, path: Path, is_whole: Callable[[Path], bool]) -> None:
        """Wait for another process's file. Raises MissingError after an hour."""
        end = time.monotonic() + PATIENCE
        while not (path.exists() and is_whole(path)):
            if time.monotonic() > end:
                raise MissingError(
                    f"{path.name} did not appear in {path.parent} within {PATIENCE / 60:.0f} minutes; "
                    "expected all processes to run and to share that folder (LACBENCH_CACHE); start them "
                    "again"
                )
            time.sleep(PAUSE)


_TOLD = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
ALONE = Share()
"""One process, which takes everything."""
