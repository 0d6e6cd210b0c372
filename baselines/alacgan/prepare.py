"""Training pictures, resized once: uint8 in shards that are read as memory. Needs no PyTorch.

`prepared/<size>/` in a data set's folder has shards `00000.shard` … and `index.json`, written last. A shard
is a header of 4,096 bytes (a line of JSON: version, key), then of each of its pictures the colours (H, W, 3)
and the drawings at 1 bit a pixel (K, H, ⌈W/8⌉). All places follow from the pairs; the key is their digest.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lacbench.baselines.alacgan.examples import (
    Example,
    Packed,
    choose_pairs,
    data_digest,
    load_examples,
    pack,
    read_example,
)
from lacbench.engine import Engine, Local
from lacbench.errors import InputError, IntegrityError, LacbenchError
from lacbench.files import atomic, make_folder, output_errors, read_json, sha256_json, sweep, write_json
from lacbench.manifest import load_dataset
from lacbench.prepared import INDEX, PREPARED, drop_prepared
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair

VERSION = 1
"""Version of the shards; those of another one are made anew."""
PICTURES = 64
"""Pictures a shard, or more: what a killed run does again."""
MOST_SHARDS = 256
"""A shard stays open while it is read, and a process may open about a thousand files."""
HEADER = 4096
"""Bytes before the first picture."""

Group = tuple[Pair, ...]
"""A picture's pairs, thinnest first."""


@dataclass(frozen=True)
class Shard:
    """What one shard holds; everything about its bytes follows from it."""

    name: str
    """The file's."""
    groups: tuple[Group, ...]
    """Pairs of each of its pictures, in order."""
    paths: tuple[str, ...]
    """Path of each picture within the data set's folder."""

    @property
    def key(self) -> str:
        """SHA-256 over what is in it."""
        return sha256_json([[p.sha256, p.sigma, p.size, p.height, p.width] for g in self.groups for p in g])

    @property
    def header(self) -> bytes:
        """The first bytes of the file."""
        told = {"lacbench.shard": VERSION, "key": self.key}
        return json.dumps(told, sort_keys=True).encode().ljust(HEADER - 1) + b"\n"

    @property
    def bytes(self) -> int:
        """Length of the file."""
        return HEADER + sum(_color_bytes(g) + _lines_bytes(g) for g in self.groups)

    def examples(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Iterator[Example]:
        """The pictures, as views of the file's bytes."""
        start = HEADER
        for group in self.groups:
            height, width = group[0].height, group[0].width
            middle = start + _color_bytes(group)
            end = middle + _lines_bytes(group)
            lines = data[middle:end].reshape(len(group), height, -1)
            yield Example(data[start:middle].reshape(height, width, 3), Packed(lines, width))
            start = end


def prepare(
    dataset: Dataset,
    pairs: Sequence[Pair],
    size: int,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Path:
    """Resize the training pictures once, and pack them with their drawings: `prepared/<size>/`.

    Shards that are whole are kept, so a killed run goes on where it was, and changed pairs cost only the
    shards that they are in and those after. `train` takes the folder while it is of the same data.

    Args:
        dataset: the data set; its pictures whose split is `train` are taken.
        pairs: its pairs; those drawn at `size` are taken.
        size: shortest side, pixels.
        engine: where the work is done, one shard at a time; this machine's cores by default.
        progress: who listens.

    Returns:
        The folder.

    Raises:
        InputError: no such pairs, or some that do not fit their pictures; a data set that changed meanwhile.
        IntegrityError: a picture that is not the one its id names.
        OutputError: the shards cannot be written.
    """
    engine, progress = engine or Local(chunk=1), progress or Silent()
    chosen = choose_pairs(dataset, pairs, size)
    folder, shards = prepared_folder(dataset, size), plan_shards(dataset, chosen)
    index = _index(dataset, chosen, shards)
    missing = [shard for shard in shards if _fault(folder / shard.name, shard)]
    if not missing and read_json(folder / INDEX) == index:
        progress.say(f"prepare: {len(chosen)} pictures at {size} px are there already, in {folder}")
        return folder
    _clear(folder, {shard.name for shard in shards} - {shard.name for shard in missing})
    with engine.sharing(dataset.folder):
        made = engine.map(partial(_write_shard, dataset.folder.absolute(), size), missing, _unwritten)
        for _ in progress.track(made, "prepare", len(missing)):
            pass
    write_json(folder / INDEX, index)
    if load_dataset(dataset.folder).digest != dataset.digest:  # works may have been taken out for good
        drop_prepared(dataset.folder, chosen.keys())
        raise InputError(f"{dataset.folder} changed while it was being prepared; prepare it again")
    total = sum(shard.bytes for shard in shards)
    progress.say(f"prepare: {len(chosen)} pictures at {size} px, {total / 2**30:.2f} GiB, in {folder}")
    return folder


def open_examples(
    dataset: Dataset, chosen: Mapping[str, Sequence[Pair]], progress: Progress | None = None
) -> list[Example]:
    """The chosen pairs and their pictures: prepared ones where they are there, else read into memory.

    Both are the same to the byte. Raises IntegrityError for a shard that is not whole, and what
    `read_example` raises.
    """
    size = next(iter(chosen.values()))[0].size
    folder, shards = prepared_folder(dataset, size), plan_shards(dataset, chosen)
    told = read_json(folder / INDEX)
    if told == _index(dataset, chosen, shards):
        return [example for shard in shards for example in open_shard(folder / shard.name, shard)]
    if told is not None and progress:
        progress.say(
            f"train: {folder} is of other data or another version, and is not used; "
            f"make it anew with `lacbench prepare {dataset.folder} --size {size}`"
        )
    return load_examples(dataset, chosen, progress)


def prepared_folder(dataset: Dataset, size: int) -> Path:
    """Where a data set's prepared pictures of one size lie."""
    return dataset.folder / PREPARED / str(size)


def plan_shards(dataset: Dataset, chosen: Mapping[str, Sequence[Pair]]) -> list[Shard]:
    """What each shard holds, for pairs as `choose_pairs` gives them."""
    paths = {m.record.sha256: m.record.path for m in dataset.illustrations}
    number, ids = max(PICTURES, math.ceil(len(chosen) / MOST_SHARDS)), list(chosen)
    parts = [ids[i : i + number] for i in range(0, len(ids), number)]
    return [
        Shard(f"{i:05}.shard", tuple(tuple(chosen[s]) for s in part), tuple(paths[s] for s in part))
        for i, part in enumerate(parts)
    ]


def open_shard(path: Path, shard: Shard) -> Iterator[Example]:
    """A shard's pictures, read from the file when they are looked at. Raises IntegrityError."""
    if fault := _fault(path, shard):
        raise IntegrityError(f"{path} {fault}; make it anew: lacbench prepare")
    return shard.examples(np.asarray(np.memmap(path, np.uint8, "r")))


def _fault(path: Path, shard: Shard) -> str:
    """What is wrong with a shard's file; empty for nothing. Its pixels are not looked at: any byte is one."""
    try:
        with path.open("rb") as file:
            header, length = file.read(HEADER), path.stat().st_size
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if header != shard.header:
        return "is no shard, or one of other pairs or another version"
    if length != shard.bytes:
        return f"has {length:,} bytes, expected {shard.bytes:,}: it was cut short"
    return ""


def _write_shard(folder: Path, size: int, shard: Shard) -> None:
    with atomic(folder / PREPARED / str(size) / shard.name) as temporary, temporary.open("wb") as file:
        file.write(shard.header)
        for group, path in zip(shard.groups, shard.paths, strict=True):
            example = read_example(folder, path, group)
            file.write(example.color.tobytes())
            file.write(pack(example.lines).bits.tobytes())


def _unwritten(shard: Shard, reason: str) -> None:
    raise LacbenchError(f"{shard.name}, from {shard.paths[0]} on, {reason}; run it with more memory")


def _index(
    dataset: Dataset, chosen: Mapping[str, Sequence[Pair]], shards: Sequence[Shard]
) -> dict[str, object]:
    """What the finished folder says of itself."""
    return {
        "version": VERSION,
        "data": data_digest(dataset, chosen),
        "shards": {shard.name: shard.key for shard in shards},
        "pictures": list(chosen),
    }


def _clear(folder: Path, kept: set[str]) -> None:
    """Make the folder, and take away all in it but the shards that are kept: first what says it is whole."""
    make_folder(folder)
    with output_errors(folder):
        (folder / INDEX).unlink(missing_ok=True)
        sweep(folder)
        for path in folder.glob("*.shard"):
            if path.name not in kept:
                path.unlink()


def _color_bytes(group: Group) -> int:
    return group[0].height * group[0].width * 3


def _lines_bytes(group: Group) -> int:
    return len(group) * group[0].height * math.ceil(group[0].width / 8)
