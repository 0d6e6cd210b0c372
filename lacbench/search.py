"""Exact near-duplicate search by Hamming distance: multi-index hashing in NumPy.

Cut the bits into m bands. Two hashes that differ in at most t = a·m + r bits (0 ≤ r < m) differ in at most a
bits of one of the first r + 1 bands, or in at most a − 1 bits of one of the others: else they would differ in
more than t. So it is enough to look at those that share a band's bucket but for so few flips (M. Norouzi,
A. Punjani and D. J. Fleet, Fast search in Hamming space with multi-index hashing, CVPR 2012), and to count
bits there. How many bands pay is estimated on pairs drawn at random; where none do, one band of no bits puts
all into one bucket, and the search compares all with all in tiles.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, groupby, product
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from lacbench.engine import Engine
from lacbench.errors import InputError

Hashes = NDArray[np.uint8]
"""N hashes of B bytes, B a multiple of 8: uint8 (N, B)."""
Indices = NDArray[np.int64]
Words = NDArray[np.uint64]
"""Hashes word by word: uint64 (B / 8, N)."""
Found = tuple[Indices, Indices]
"""Pairs (P, 2) of rows and their distances (P,) in bits."""

MAX_PAIRS = 50_000_000
"""More pairs than this are refused: they take 24 bytes each, and thrice that while they are sorted."""
SHARDED = 500_000
"""From so many hashes on, an engine is worth its start."""
SHARDS = 16
"""Parts of a band, by rows, that an engine is given one at a time."""
ROWS = 1 << 16
"""Hashes looked up at a time."""
CANDIDATES = 1 << 16
"""Candidates checked at a time: their words stay in a core's cache."""
HEAVY = 128
"""Buckets of at least so many hashes are compared with each other in tiles."""
TILE = 256
"""Rows of a tile: bounds it to TILE² distances."""
WIDEST = 22
"""Bits of the widest band: its table of buckets takes 2**WIDEST entries of 8 bytes."""
LOOKUP, CHECK, COMPARE = 8.0, 6.0, 3.0
"""Nanoseconds to look up a bucket, to check a candidate, to compare two hashes in a tile; roughly."""
SAMPLE = 1 << 15
"""Pairs drawn at random to estimate how many candidates bands have."""


@dataclass(frozen=True)
class Band:
    """Some bits of every hash: two hashes that differ in at most `flips` of them are candidates."""

    low: int
    """First bit, from 0."""
    high: int
    """One past the last bit."""
    flips: int
    """Bits that may differ."""

    def keys(self, hashes: Hashes) -> Indices:
        """The band's bits of each hash, as a number: (N,)."""
        keys = np.zeros(len(hashes), np.int64)
        last = (self.high + 7) // 8
        for byte in range(self.low // 8, last):
            keys = keys << 8 | hashes[:, byte]
        return keys >> (8 * last - self.high) & ((1 << self.high - self.low) - 1)

    def masks(self) -> list[int]:
        """What to flip in a key, each way: none of its bits, then one, up to `flips`."""
        bits = [1 << n for n in range(self.high - self.low)]
        return [sum(flip) for n in range(self.flips + 1) for flip in combinations(bits, n)]


EVERYTHING = Band(0, 0, 0)
"""A band of no bits, by which every two hashes are candidates."""


def bands(bits: int, threshold: int, number: int) -> list[Band]:
    """Cut so many bits into so many bands, as even as can be: by one or another all near pairs are found."""
    flips, rest = divmod(threshold, number)
    cuts = [bits * n // number for n in range(number + 1)]
    found = [Band(cuts[n], cuts[n + 1], flips - (n > rest)) for n in range(number)]
    return [band for band in found if band.flips >= 0]


def plan(hashes: Hashes, threshold: int) -> list[Band]:
    """The bands by which the search should be quickest: as many as pay for these hashes."""
    count, bits = len(hashes), 8 * hashes.shape[1]
    if count * (count - 1) // 2 < SAMPLE or not 0 <= threshold < bits:
        return [EVERYTHING]
    random = np.random.default_rng(0)
    a, b = random.integers(0, count, (2, SAMPLE))
    apart = np.unpackbits(hashes[a] ^ hashes[b], axis=1)[a != b]
    until = np.zeros((len(apart), bits + 1), np.uint16)
    np.cumsum(apart, axis=1, out=until[:, 1:], dtype=np.uint16)

    def nanoseconds(choice: list[Band]) -> float:
        """Lookups of all masks; checks of as many candidates as the sample has, or uniform hashes would."""
        total = 0.0
        for band in choice:
            width = band.high - band.low
            masks = sum(comb(width, n) for n in range(band.flips + 1))
            sampled = float(np.mean(until[:, band.high] - until[:, band.low] <= band.flips))
            share = max(sampled, masks / 2**width)
            total += masks * count * LOOKUP / 2 + share * count**2 / 2 * (CHECK if width else COMPARE)
        return total

    numbers = range(-(-bits // WIDEST), bits // 8 + 1)
    return min([[EVERYTHING], *(bands(bits, threshold, n) for n in numbers)], key=nanoseconds)


def near_pairs(hashes: Hashes, threshold: int, engine: Engine | None = None) -> Found:
    """All pairs of hashes within a Hamming distance, exactly.

    Args:
        hashes: uint8 (N, B), B a multiple of 8 bytes.
        threshold: largest distance, in bits.
        engine: where to search when SHARDED or more hashes differ; this process, otherwise.

    Returns:
        int64 (P, 2) index pairs i < j in lexical order, and int64 (P,) distances.

    Raises:
        InputError: there are more than MAX_PAIRS; `near_edges` still groups such hashes.
    """
    unique, index = collapse(hashes)
    rows = _Rows(index)
    found, total = [_NONE], int((rows.sizes * (rows.sizes - 1) // 2).sum()) if threshold >= 0 else 0
    _refuse_more(total)
    for pairs, distances in _searched(_pairs, unique, threshold, engine):
        total += rows.count(pairs, rows)
        _refuse_more(total)
        found += _expand(pairs, distances, rows, rows)
    if threshold >= 0:
        found += rows.equal()
    return _sorted([(np.sort(pairs, axis=1), distances) for pairs, distances in found])


def cross_pairs(a: Hashes, b: Hashes, threshold: int) -> Found:
    """All pairs (i of a, j of b) within a Hamming distance: int64 (P, 2) in lexical order, and (P,) bits."""
    if a.shape[1:] != b.shape[1:]:
        raise InputError(f"both tables' hashes must be equally wide, got {a.shape} and {b.shape}")
    (unique_a, index_a), (unique_b, index_b) = collapse(a), collapse(b)
    rows_a, rows_b = _Rows(index_a), _Rows(index_b)
    found, total = [_NONE], 0
    choice = plan(np.concatenate([unique_a, unique_b]), threshold)
    for number, band in enumerate(choice):
        left, right = _Buckets(unique_a, band), _Buckets(unique_b, band)
        for pairs, distances in _hits(left, right, band, threshold, slice(0, len(unique_a))):
            new = ~_met(unique_a, unique_b, pairs, choice[:number])
            total += rows_a.count(pairs[new], rows_b)
            _refuse_more(total)
            found += _expand(pairs[new], distances[new], rows_a, rows_b)
    return _sorted(found)


def near_edges(hashes: Hashes, threshold: int, engine: Engine | None = None) -> Found:
    """So many of `near_pairs` that whatever a chain of them joins is still joined: fewer than N, in its form.

    Equal hashes are joined to the first of them: a million of them have a million edges, not 5 · 10¹¹ pairs.
    Which edges stand for a cluster depends on how the search went; what is joined does not.
    """
    unique, index = collapse(hashes)
    first = np.full(len(unique), len(hashes))
    np.minimum.at(first, index, np.arange(len(hashes)))
    forest = _Forest(len(unique))
    for pairs, distances in _searched(_edges, unique, threshold, engine):
        forest.add(pairs, distances)
    pairs, distances = forest.edges()
    repeats = np.flatnonzero(first[index] < np.arange(len(hashes))) if threshold >= 0 else index[:0]
    equal = np.stack([first[index[repeats]], repeats], axis=1)
    return _sorted([(np.sort(first[pairs], axis=1), distances), (equal, np.zeros(len(equal), np.int64))])


def band_pairs(hashes: Hashes, band: Band, threshold: int, before: Sequence[Band] = ()) -> Found:
    """Near pairs that a band finds, and none of `before`, in the form of `near_pairs`.

    With `before` the bands that come first, the bands of a `plan` find every pair once.
    """
    _words(hashes)
    return _sorted(
        [_pairs(hashes, _Buckets(hashes, band), [*before, band], threshold, slice(0, len(hashes)))]
    )


def collapse(hashes: Hashes) -> tuple[Hashes, Indices]:
    """The different hashes (U, B), in the order of their words, and which of them each is: int64 (N,)."""
    words = _words(hashes)
    order = np.lexsort(words[::-1])
    new = np.ones(len(hashes), np.bool_)
    new[1:] = np.any([word[order[1:]] != word[order[:-1]] for word in words], axis=0)
    index = np.empty(len(hashes), np.int64)
    index[order] = np.cumsum(new) - 1
    return hashes[order[new]], index


class _Buckets:
    """Hashes sorted by their key in a band; positions are those after sorting."""

    def __init__(self, hashes: Hashes, band: Band) -> None:
        keys = band.keys(hashes)
        self.hashes = hashes
        self.order = np.argsort(keys)
        self.keys = keys[self.order]
        self.sizes = np.bincount(keys, minlength=1 << band.high - band.low)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.large = np.flatnonzero(self.sizes >= HEAVY)
        self.heavy = (self.sizes >= HEAVY)[self.keys]
        self.words = np.ascontiguousarray(_words(hashes)[:, self.order])


class _Rows:
    """The rows of each of the different hashes that `collapse` tells."""

    def __init__(self, index: Indices) -> None:
        self.order = np.argsort(index, kind="stable")
        self.sizes = np.bincount(index)
        self.ends = np.cumsum(self.sizes)
        self.starts = self.ends - self.sizes

    def count(self, pairs: Indices, others: "_Rows") -> int:
        """Pairs of rows that pairs (of these hashes, of the others) stand for."""
        return int((self.sizes[pairs[:, 0]] * others.sizes[pairs[:, 1]]).sum())

    def equal(self) -> Iterator[Found]:
        """All pairs of rows whose hashes are equal."""
        place = np.arange(len(self.order))
        for i, j in _ranges(place, place + 1, np.repeat(self.ends, self.sizes) - place - 1):
            yield np.stack([self.order[i], self.order[j]], axis=1), np.zeros(len(i), np.int64)


class _Forest:
    """Edges that span what all edges so far join, among so many nodes."""

    def __init__(self, nodes: int) -> None:
        self.labels: NDArray[np.int32] = np.arange(nodes, dtype=np.int32)
        """Label (nodes,) of the component that each was found to be in."""
        self._kept = [_NONE]
        self._waiting = 0

    def add(self, pairs: Indices, distances: Indices) -> None:
        """Take in edges; those between what is known to be joined are forgotten."""
        apart = self.labels[pairs[:, 0]] != self.labels[pairs[:, 1]]
        self._kept.append((pairs[apart], distances[apart]))
        self._waiting += int(np.count_nonzero(apart))
        if self._waiting > len(self.labels):
            self.edges()

    def edges(self) -> Found:
        """So few of the edges that all that was joined still is, in the form of `near_pairs` but unsorted."""
        pairs, distances = _joined(self._kept)
        once = np.unique(pairs @ [len(self.labels), 1], return_index=True)[1]
        ends = pairs[once, 0], pairs[once, 1]
        graph = coo_matrix((distances[once], ends), shape=(len(self.labels),) * 2)
        tree = minimum_spanning_tree(graph.tocsr()).tocoo()
        self.labels = connected_components(tree, directed=False)[1]
        self._kept = [(np.stack([tree.row, tree.col], axis=1).astype(np.int64), tree.data.astype(np.int64))]
        self._waiting = 0
        return self._kept[0]


def _searched(search: "_Search", hashes: Hashes, threshold: int, engine: Engine | None) -> Iterator[Found]:
    """What a search finds by each band of the plan; by each shard of each, where an engine is worth it."""
    choice = plan(hashes, threshold)
    if engine is None or len(hashes) < SHARDED:
        for number, band in enumerate(choice):
            whole = slice(0, len(hashes))
            yield search(hashes, _Buckets(hashes, band), choice[: number + 1], threshold, whole)
        return
    with tempfile.TemporaryDirectory(dir=engine.scratch) as folder:
        file = Path(folder) / "hashes.npy"
        np.save(file, hashes)
        try:
            work = partial(_shard, search, file, choice, threshold)
            yield from engine.map(work, range(len(choice) * SHARDS))
        finally:
            _opened.cache_clear()


def _shard(search: "_Search", file: Path, choice: list[Band], threshold: int, number: int) -> Found:
    """One shard of one band; shards of a band follow each other, so that a worker mostly sorts it once."""
    band, part = divmod(number, SHARDS)
    buckets = _opened(file, choice[band])
    count = len(buckets.keys)
    rows = slice(count * part // SHARDS, count * (part + 1) // SHARDS)
    return search(buckets.hashes, buckets, choice[: band + 1], threshold, rows)


@lru_cache(maxsize=1)
def _opened(file: Path, band: Band) -> _Buckets:
    return _Buckets(np.load(file, mmap_mode="r"), band)


def _pairs(hashes: Hashes, buckets: _Buckets, choice: Sequence[Band], threshold: int, part: slice) -> Found:
    """Pairs i < j that the last of the bands finds, and none before it, for the positions of `part`."""
    found, total = [_NONE], 0
    for pairs, distances in _hits(buckets, buckets, choice[-1], threshold, part):
        new = ~_met(hashes, hashes, pairs, choice[:-1])
        total += int(np.count_nonzero(new))
        _refuse_more(total)
        found.append((np.sort(pairs[new], axis=1), distances[new]))
    return _joined(found)


def _edges(hashes: Hashes, buckets: _Buckets, choice: Sequence[Band], threshold: int, part: slice) -> Found:
    """Edges i < j that span what the last of the bands joins, for the positions of `part`."""
    forest = _Forest(len(hashes))
    for pairs, distances in _hits(buckets, buckets, choice[-1], threshold, part, forest):
        forest.add(np.sort(pairs, axis=1), distances)
    return forest.edges()


_Search = Callable[[Hashes, _Buckets, Sequence[Band], int, slice], Found]


def _hits(
    left: _Buckets, right: _Buckets, band: Band, threshold: int, part: slice, forest: _Forest | None = None
) -> Iterator[Found]:
    """Near pairs (row of left, row of right) by one band, for left's positions of `part`.

    Each comes once; where left is right, in one of its two orders. What a forest has joined is passed over.
    """
    for i, j in _candidates(left, right, band, part):
        i, j, distances = _checked(left.words, right.words, i, j, threshold)
        if len(i):
            yield np.stack([left.order[i], right.order[j]], axis=1), distances
    for rows, columns in _tiles(left, right, band, part):
        a, b = left.order[rows], right.order[columns]
        if forest and _one(forest.labels[a], forest.labels[b]):
            continue
        tile = _distances(left.words[:, rows], right.words[:, columns], threshold)
        i, j = np.nonzero(tile <= threshold)
        if left is right and rows.start == columns.start:
            i, j = i[i < j], j[i < j]
        if len(i):
            yield np.stack([a[i], b[j]], axis=1), tile[i, j].astype(np.int64)


def _candidates(
    left: _Buckets, right: _Buckets, band: Band, part: slice
) -> Iterator[tuple[Indices, Indices]]:
    """Positions (i of left, j of right) whose keys are equal but for the flips; no heavy pairs."""
    twice = left is right
    for top in range(part.start, part.stop, ROWS):
        every = np.arange(top, min(top + ROWS, part.stop))
        for bit, masks in groupby(sorted(band.masks()), int.bit_length):
            rows = every
            if twice and bit:  # of two buckets, the one without the mask's highest bit looks into the other
                rows = every[left.keys[every] >> (bit - 1) & 1 == 0]
            keys, heavy = left.keys[rows], left.heavy[rows]
            for mask in masks:
                count = right.sizes[keys ^ mask]
                if len(left.large):
                    count = np.where(heavy & (count >= HEAVY), 0, count)
                some = np.flatnonzero(count != 0)
                i, count = rows[some], count[some]
                first = right.starts[keys[some] ^ mask]
                if twice and not mask:
                    first, count = i + 1, first + count - i - 1
                yield from _ranges(i, first, count)


def _ranges(rows: Indices, first: Indices, count: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each row beside each of the `count` numbers from its `first` on, CANDIDATES at a time."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    for low in range(0, total, CANDIDATES):
        high = min(low + CANDIDATES, total)
        a, b = np.searchsorted(ends, low, "right"), np.searchsorted(ends, high, "left") + 1
        until = np.minimum(ends[a:b], high) - low
        sizes = np.diff(until, prepend=0)
        shift = first[a:b] - (ends[a:b] - count[a:b] - low)
        yield np.repeat(rows[a:b], sizes), np.arange(high - low) + np.repeat(shift, sizes)


def _tiles(left: _Buckets, right: _Buckets, band: Band, part: slice) -> Iterator[tuple[slice, slice]]:
    """Tiles of positions (of left, of right) that cover pairs of heavy buckets, equal but for flips."""
    for key, mask in product(left.large.tolist(), band.masks()):
        partner = key ^ mask
        first, last = right.starts[partner : partner + 2].tolist()
        start, stop = left.starts[key : key + 2].tolist()
        if last - first < HEAVY or (left is right and partner < key):
            continue
        for top in range(max(start, part.start), min(stop, part.stop), TILE):
            rows = slice(top, min(top + TILE, stop, part.stop))
            for side in range(top if left is right and not mask else first, last, TILE):
                yield rows, slice(side, min(side + TILE, last))


def _checked(a: Words, b: Words, i: Indices, j: Indices, threshold: int) -> tuple[Indices, Indices, Indices]:
    """Which of the candidates are near, and their distances; most are known to be far by two words."""
    distances = np.zeros(len(i), np.int64)
    for word in range(0, len(a), 2):
        bits = np.bitwise_count(a[word].take(i) ^ b[word].take(j))
        for other in range(word + 1, min(word + 2, len(a))):
            bits += np.bitwise_count(a[other].take(i) ^ b[other].take(j))
        near = np.flatnonzero(distances + bits <= threshold) if word else np.flatnonzero(bits <= threshold)
        i, j, distances = i[near], j[near], distances[near] + bits[near]
    return i, j, distances


def _distances(a: Words, b: Words, threshold: int) -> NDArray[np.uint16]:
    """Hamming distances (n, m) of hashes (W, n) and (W, m); not counted to the end where all are far."""
    total = np.zeros((a.shape[1], b.shape[1]), np.uint16)
    for word_a, word_b in zip(a, b, strict=True):
        total += np.bitwise_count(word_a[:, None] ^ word_b)
        if total.min(initial=len(a) * 64) > threshold:
            break
    return total


def _met(a: Hashes, b: Hashes, pairs: Indices, choice: Sequence[Band]) -> NDArray[np.bool_]:
    """Which pairs (i of a, j of b) some of the bands finds: (P,)."""
    met = np.zeros(len(pairs), np.bool_)
    left, right = a[pairs[:, 0]], b[pairs[:, 1]]
    for band in choice:
        met |= np.bitwise_count(band.keys(left) ^ band.keys(right)) <= band.flips
    return met


def _expand(pairs: Indices, distances: Indices, left: _Rows, right: _Rows) -> Iterator[Found]:
    """From pairs of different hashes to the pairs of all their rows."""
    u, v = pairs[:, 0], pairs[:, 1]
    each = np.arange(len(pairs))
    for of, i in _ranges(each, left.starts[u], left.sizes[u]):
        for at, j in _ranges(np.arange(len(of)), right.starts[v[of]], right.sizes[v[of]]):
            yield np.stack([left.order[i[at]], right.order[j]], axis=1), distances[of[at]]


def _one(a: NDArray[np.int32], b: NDArray[np.int32]) -> bool:
    """Whether all labels are one."""
    return bool((a == a[0]).all() and (b == a[0]).all())


def _joined(found: Sequence[Found]) -> Found:
    return np.concatenate([pairs for pairs, _ in found]), np.concatenate([bits for _, bits in found])


def _sorted(found: Sequence[Found]) -> Found:
    pairs, distances = _joined(found)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


def _refuse_more(total: int) -> None:
    if total > MAX_PAIRS:
        raise InputError(
            f"more than {MAX_PAIRS:,} pairs of hashes are so near; leave out repeats, lower the threshold, "
            "or group the hashes by near_edges"
        )


def _words(hashes: Hashes) -> Words:
    """The hashes word by word: (B / 8, N), a view."""
    if hashes.ndim != 2 or hashes.dtype != np.uint8 or hashes.shape[1] % 8 or not hashes.shape[1]:
        raise InputError(
            f"hashes must be uint8 (N, B) with B a multiple of 8, got {hashes.dtype} {hashes.shape}"
        )
    return np.ascontiguousarray(hashes).view(np.uint64).T


_NONE: Found = (np.empty((0, 2), np.int64), np.empty(0, np.int64))
