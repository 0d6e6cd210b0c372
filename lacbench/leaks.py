"""Do two collections share pictures, or drawings? Data sets, submissions, folders: any two."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacbench.crops import Keys, SecondKeys, crop_pairs
from lacbench.engine import Engine, Local
from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_bytes
from lacbench.filters.lineart import judge_drawing
from lacbench.hashing import to_array
from lacbench.images import (
    Array,
    contact_sheet,
    decode_picture,
    encode_jpeg,
    read_bytes,
    thumbnail,
)
from lacbench.manifest import load_dataset
from lacbench.progress import Progress, Silent
from lacbench.recipe import DedupeSpec, FilterSpec
from lacbench.records import Dataset, Statistics
from lacbench.search import Found, cross_pairs
from lacbench.sources.folder import all_pictures
from lacbench.store import prepared, read_prepared, statistics

SHOWN = 40
"""Pairs on the contact sheet at most."""
SIDE, COLUMNS = 160, 8
"""Of the contact sheet: largest side of a picture in pixels, pictures in a row; pairs stand side by side."""

Search = tuple[str, NDArray[np.int64], NDArray[np.int64]]
"""A key's name, its pairs (of the first, of the second) and their distances in bits."""


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
    """What is alike: `bytes`, `drawing` (ink hash; one of the two is line art), or `picture`; by the second
    key `crop` and `drawing crop`: one of the two is a crop, padding or mirror of the other."""


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

    A data set is known by its manifests, and by its files too where `spec.crops` asks for the second key; any
    other folder is read whole. Pictures whose hash says little count by equal bytes only. A folder against
    itself is searched for pictures that it has more than once.

    Returns the leaks, and the two files of each. Raises InputError for a folder without pictures.
    """
    spec, engine, progress = spec or DedupeSpec(), engine or Local(), progress or Silent()
    first = load_entries(a, engine, progress)
    second = first if a.resolve() == b.resolve() else load_entries(b, engine, progress)
    searches = [_searches(first, second, spec)]
    if spec.crops:
        searches.append(_crops(first, second, spec, SecondKeys(Path(), engine, progress)))
    ordered = _ordered(first, second, chain.from_iterable(searches))
    return tuple(leak for _, leak in ordered), [(first[i].file, second[j].file) for (i, j), _ in ordered]


def leaks_within(dataset: Dataset, spec: DedupeSpec) -> tuple[Leak, ...]:
    """What a data set has more than once, true pairs aside, nearest first; by its manifests alone.

    The second key is not looked at, whatever `spec.crops` says: no picture is read.
    """
    entries = _known(dataset)
    truths = {(m.record.sha256, t.record.sha256) for m in dataset.linearts if (t := dataset.truth(m))}
    found = _ordered(entries, entries, _searches(entries, entries, spec))
    return tuple(leak for _, leak in found if not {(leak.a, leak.b), (leak.b, leak.a)} & truths)


def _ordered(
    first: list[Entry], second: list[Entry], searches: Iterable[Search]
) -> list[tuple[tuple[int, int], Leak]]:
    """What the searches find, each pair once, nearest first, with its places."""
    leaks: dict[tuple[int, int], Leak] = {}
    for key, pairs, bits in searches:
        for (i, j), bit in zip(pairs.tolist(), bits.tolist(), strict=True):
            if first is not second or i < j:
                leaks.setdefault((i, j), Leak(first[i].name, second[j].name, bit, key))
    return sorted(leaks.items(), key=lambda item: (item[1].distance, item[0]))


def load_entries(folder: Path, engine: Engine, progress: Progress) -> list[Entry]:
    """A collection's pictures with their measures, sorted by name."""
    if (folder / "ledger.parquet").is_file():
        return _known(load_dataset(folder))
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}; name a data set, a submission or a folder of pictures"
        )
    files = sorted(
        {p.relative_to(folder) for glob in all_pictures() for p in folder.glob(glob) if p.is_file()}
    )
    measured = progress.track(
        engine.map(partial(_entry, folder.absolute()), files), f"measure {folder.name}", len(files)
    )
    told = list(measured)
    entries = [entry for entry in told if entry is not None]
    if not entries:
        raise InputError(f"{folder} holds no pictures that can be read, and no data set; name one that does")
    if left := [file.as_posix() for file, entry in zip(files, told, strict=True) if entry is None]:
        progress.say(
            f"{folder}: {len(left)} files are no pictures that can be measured; {left[0]} is the first"
        )
    return entries


def _known(dataset: Dataset) -> list[Entry]:
    """A data set's pictures as its manifests tell of them, sorted by name."""
    found = [
        Entry(m.record.sha256, dataset.file(m), m.record.sha256, m.record.statistics, drawn)
        for drawn, members in ((False, dataset.illustrations), (True, dataset.linearts))
        for m in members
    ]
    return sorted(found, key=lambda entry: entry.name)


def draw_leaks(files: Sequence[tuple[Path, Path]]) -> bytes:
    """A contact sheet of the first pairs of pictures as JPEG: each pair side by side."""
    images: list[Array] = []
    for one, other in files[:SHOWN]:
        try:
            images += [thumbnail(read_prepared(file), SIDE) for file in (one, other)]
        except ImageError:  # gone since it was looked at
            continue
    return encode_jpeg(contact_sheet(images, SIDE, COLUMNS))


def _searches(first: list[Entry], second: list[Entry], spec: DedupeSpec) -> Iterator[Search]:
    """Each key's pairs and distances: equal bytes, drawings across the kinds, pictures."""
    known = {entry.sha256: j for j, entry in reversed(list(enumerate(second)))}
    same = [(i, known[entry.sha256]) for i, entry in enumerate(first) if entry.sha256 in known]
    yield "bytes", np.array(same, np.int64).reshape(-1, 2), np.zeros(len(same), np.int64)
    pairs, bits = _near(first, second, _hashes("ink_hash"), cross_pairs, spec.across)
    yield "drawing", *_across(first, second, pairs, bits)
    pairs, bits = _near(first, second, _hashes("phash"), cross_pairs, max(spec.illustrations, spec.linearts))
    yield "picture", *_close(first, second, pairs, bits, spec)


def _crops(first: list[Entry], second: list[Entry], spec: DedupeSpec, keys: SecondKeys) -> Iterator[Search]:
    """The same by the second key."""

    def pictures(entries: list[Entry]) -> Keys:
        return keys.pictures([str(entry.file.absolute()) for entry in entries])

    def drawings(entries: list[Entry]) -> Keys:
        return keys.drawings([str(entry.file.absolute()) for entry in entries])

    yield "crop", *_near(first, second, pictures, crop_pairs, spec.cropped)
    pairs, bits = _near(first, second, drawings, crop_pairs, spec.cropped)
    yield "drawing crop", *_across(first, second, pairs, bits)


def _near(
    first: list[Entry],
    second: list[Entry],
    measure: Callable[[list[Entry]], NDArray[np.uint8]],
    search: Callable[[NDArray[np.uint8], NDArray[np.uint8], int], Found],
    limit: int,
) -> Found:
    """Pairs within `limit` bits by a key, and their distances, among entries whose hashes say something."""
    rows = [
        np.array([i for i, entry in enumerate(entries) if not entry.statistics.sparse], np.int64)
        for entries in (first, second)
    ]
    a, b = (
        measure([entries[i] for i in chosen]) for entries, chosen in zip((first, second), rows, strict=True)
    )
    pairs, bits = search(a, b, limit)
    return np.stack([rows[0][pairs[:, 0]], rows[1][pairs[:, 1]]], axis=1), bits


def _hashes(name: str) -> Callable[[list[Entry]], NDArray[np.uint8]]:
    return lambda entries: to_array([getattr(entry.statistics, name) for entry in entries])


def _drawn(first: list[Entry], second: list[Entry], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of each pair are line art: (P,)."""
    counts = [np.array([entry.drawn for entry in entries], np.int64) for entries in (first, second)]
    return np.asarray(counts[0][pairs[:, 0]] + counts[1][pairs[:, 1]], np.int64)


def _across(
    first: list[Entry], second: list[Entry], pairs: NDArray[np.int64], bits: NDArray[np.int64]
) -> Found:
    """Those pairs of which one is line art and the other is not."""
    across = _drawn(first, second, pairs) == 1
    return pairs[across], bits[across]


def _close(
    first: list[Entry],
    second: list[Entry],
    pairs: NDArray[np.int64],
    bits: NDArray[np.int64],
    spec: DedupeSpec,
) -> Found:
    """Those pairs that are near enough for what they are."""
    close = bits <= np.where(_drawn(first, second, pairs) == 2, spec.linearts, spec.illustrations)
    return pairs[close], bits[close]


def _entry(folder: Path, file: Path) -> Entry | None:
    """One picture of a folder, measured; None for what cannot be read. An SVG is rendered."""
    try:
        data = read_bytes(folder / file)
        told = statistics(decode_picture(prepared(data, str(file))[0], str(file)))
    except (ImageError, MemoryError):
        return None
    drawn = judge_drawing(told, FilterSpec()).kept
    return Entry(file.as_posix(), folder / file, sha256_bytes(data), told, drawn)
