"""WebDataset's tar shards, byte for byte the same of the same content."""

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lacbench.files import atomic


@dataclass(frozen=True)
class File:
    """A file that goes into a tar."""

    size: int
    """Bytes."""
    read: Callable[[], bytes]
    """Gives them, when its turn comes."""


@dataclass(frozen=True)
class Sample:
    """Files of one key: what a training loop is handed at a time."""

    key: str
    """Without a dot: what comes after the first one is the file's kind."""
    files: Mapping[str, File]
    """By kind (`png`, `json`, `xdog-0.3.png`)."""

    @property
    def size(self) -> int:
        """Bytes that it takes in a tar: each file has a header, and fills whole blocks."""
        return sum(tarfile.BLOCKSIZE * (1 + -(-f.size // tarfile.BLOCKSIZE)) for f in self.files.values())


def plan_shards(samples: Iterable[Sample], most: int) -> list[list[Sample]]:
    """Part samples, in their order, into shards of at most `most` bytes; a larger sample is alone in one."""
    shards: list[list[Sample]] = []
    taken = 0
    for sample in samples:
        size = sample.size
        if not shards or _whole(taken + size) > most:
            shards.append([])
            taken = 0
        shards[-1].append(sample)
        taken += size
    return shards


def write_shard(path: Path, samples: Sequence[Sample]) -> None:
    """Write a shard, atomically: no times, owners or rights of this machine are in it.

    Raises OutputError where it cannot be written, and what reading its files raises.
    """
    with atomic(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in samples:
            for kind, file in sample.files.items():
                data = file.read()
                entry = tarfile.TarInfo(f"{sample.key}.{kind}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def _whole(size: int) -> int:
    """Bytes of a tar of such content: two empty blocks end it, and records are filled."""
    return -(-(size + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
