"""Do two collections share pictures, or drawings? Data sets, submissions, folders: any two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacbench.engine import Engine, Local
from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_bytes
from lacbench.filters.lineart import judge_drawing
from lacbench.hashing import to_array
from lacbench.images import Array, contact_sheet, decode_picture, encode_jpeg, read, read_bytes
from lacbench.manifest import load_dataset
from lacbench.progress import Progress, Silent
from lacbench.recipe import DedupeSpec, FilterSpec
from lacbench.records import Statistics
from lacbench.search import cross_pairs
from lacbench.sources.folder import all_pictures
from lacbench.store import statistics

SHOWN = 40
"""Pairs on the contact sheet at most."""
SIDE, COLUMNS = 160, 8
"""Of the contact sheet: largest side of a picture in pixels, pictures in a row; pairs stand side by side."""


@dataclass(frozen=True)
class Leak:
    """A picture of one collection that the other has too."""

    a: str
    """In the first collection: a data set's id, or a path within a folder."""
    b: str
    """In the second one."""
    distance: int
    """Bits of 256 by which the hashes differ; 0 for the same bytes."""
    key: str
    """What is alike: `bytes`, `drawing` (ink hash; one of the two is line art), or `picture`."""


@dataclass(frozen=True)
class Entry:
    """A picture of a collection, measured."""

    name: str
    """A data set's id, or a path within a folder."""
    file: Path
    """Where it lies."""
    sha256: str
    """Of its bytes."""
    statistics: Statistics
    """Its measures."""
    drawn: bool
    """Whether it is line art."""


def find_leaks(
    a: Path,
    b: Path,
    spec: DedupeSpec | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Leak, ...], list[tuple[Path, Path]]]:
    """All pictures of `a` that `b` has too, exactly by the thresholds of `spec`, nearest first.

    A data set is known by its manifests; any other folder is read whole. Pictures whose hash says little
    count by equal bytes only. A folder against itself is searched for pictures that it has more than once.

    Returns the leaks, and the two files of each. Raises InputError for a folder without pictures.
    """
    spec, engine, progress = spec or DedupeSpec(), engine or Local(), progress or Silent()
    first = load_entries(a, engine, progress)
    second = first if a.resolve() == b.resolve() else load_entries(b, engine, progress)
    leaks: dict[tuple[int, int], Leak] = {}
    for key, pairs, bits in _searches(first, second, spec):
        for (i, j), bit in zip(pairs.tolist(), bits.tolist(), strict=True):
            if first is not second or i < j:
                leaks.setdefault((i, j), Leak(first[i].name, second[j].name, bit, key))
    ordered = sorted(leaks.items(), key=lambda item: (item[1].distance, item[0]))
    return tuple(leak for _, leak in ordered), [(first[i].file, second[j].file) for (i, j), _ in ordered]


def load_entries(folder: Path, engine: Engine, progress: Progress) -> list[Entry]:
    """A collection's pictures with their measures, sorted by name."""
    if (folder / "ledger.parquet").is_file():
        dataset = load_dataset(folder)
        found = [
            Entry(m.record.sha256, dataset.file(m), m.record.sha256, m.record.statistics, drawn)
            for drawn, members in ((False, dataset.illustrations), (True, dataset.linearts))
            for m in members
        ]
        return sorted(found, key=lambda entry: entry.name)
    files = sorted(
        {p.relative_to(folder) for glob in all_pictures() for p in folder.glob(glob) if p.is_file()}
    )
    measured = progress.track(
        engine.map(partial(_entry, folder.absolute()), files), f"measure {folder.name}", len(files)
    )
    entries = [entry for entry in measured if entry is not None]
    if not entries:
        raise InputError(f"{folder} holds no pictures that can be read, and no data set; name one that does")
    if len(entries) < len(files):
        progress.say(f"{folder}: {len(files) - len(entries)} files are no pictures that can be read")
    return entries


def draw_leaks(files: Sequence[tuple[Path, Path]]) -> bytes:
    """A contact sheet of the first pairs of pictures as JPEG: each pair side by side."""
    images: list[Array] = []
    for one, other in files[:SHOWN]:
        try:
            images += [read(one), read(other)]
        except ImageError:  # gone since it was looked at
            continue
    return encode_jpeg(contact_sheet(images, SIDE, COLUMNS))


def _searches(
    first: list[Entry], second: list[Entry], spec: DedupeSpec
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Each key's pairs and distances: equal bytes, drawings across the kinds, pictures."""
    known = {entry.sha256: j for j, entry in reversed(list(enumerate(second)))}
    same = [(i, known[entry.sha256]) for i, entry in enumerate(first) if entry.sha256 in known]
    yield "bytes", np.array(same, np.int64).reshape(-1, 2), np.zeros(len(same), np.int64)
    lines = [np.array([entry.drawn for entry in entries]) for entries in (first, second)]
    pairs, bits = _near(first, second, "ink_hash", spec.across)
    across = lines[0][pairs[:, 0]] != lines[1][pairs[:, 1]]
    yield "drawing", pairs[across], bits[across]
    pairs, bits = _near(first, second, "phash", max(spec.illustrations, spec.linearts))
    both = lines[0][pairs[:, 0]] & lines[1][pairs[:, 1]]
    close = bits <= np.where(both, spec.linearts, spec.illustrations)
    yield "picture", pairs[close], bits[close]


def _near(
    first: list[Entry], second: list[Entry], name: str, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs within `limit` bits of a hash, and their distances, among entries whose hashes say something."""
    rows = [
        np.array([i for i, entry in enumerate(entries) if not entry.statistics.sparse], np.int64)
        for entries in (first, second)
    ]
    hashes = [
        to_array([getattr(entries[i].statistics, name) for i in chosen])
        for entries, chosen in zip((first, second), rows, strict=True)
    ]
    pairs, bits = cross_pairs(hashes[0], hashes[1], limit)
    return np.stack([rows[0][pairs[:, 0]], rows[1][pairs[:, 1]]], axis=1), bits


def _entry(folder: Path, file: Path) -> Entry | None:
    """One picture of a folder, measured; None for what cannot be read."""
    try:
        data = read_bytes(folder / file)
        told = statistics(decode_picture(data, str(file)))
    except (ImageError, MemoryError):
        return None
    drawn = judge_drawing(told, FilterSpec()).kept
    return Entry(file.as_posix(), folder / file, sha256_bytes(data), told, drawn)
