"""Which pictures are the same: exact near-duplicate search, groups, one keeper each."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lacbench.errors import InputError
from lacbench.hashing import to_array
from lacbench.recipe import DedupeSpec
from lacbench.records import LedgerEntry, Record, Set, Verdict

TILE = 2048
"""Rows compared at a time: bounds the memory to TILE² distances."""


def near_pairs(hashes: NDArray[np.uint8], threshold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of hashes within a Hamming distance, exactly.

    Args:
        hashes: uint8 (N, B), B a multiple of 8 bytes.
        threshold: largest distance, in bits.

    Returns:
        int64 (P, 2) index pairs i < j in lexical order, and int64 (P,) distances.
    """
    pairs, distances = cross_pairs(hashes, hashes, threshold)
    once = pairs[:, 0] < pairs[:, 1]
    return pairs[once], distances[once]


def cross_pairs(
    a: NDArray[np.uint8], b: NDArray[np.uint8], threshold: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (i of a, j of b) within a Hamming distance: int64 (P, 2) in lexical order, and (P,) bits."""
    words_a, words_b = _words(a), _words(b)
    found: list[NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
    for top in range(0, len(a), TILE):
        for left in range(0, len(b), TILE):
            tile = _distances(words_a[top : top + TILE], words_b[left : left + TILE])
            i, j = np.nonzero(tile <= threshold)
            found.append(np.stack([i + top, j + left, tile[i, j].astype(np.int64)], axis=1))
    table = np.concatenate(found)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return table[:, :2], table[:, 2]


def drop_repeats(
    records: list[Record], name: Set, spec: DedupeSpec, sources: list[str]
) -> tuple[list[Record], list[LedgerEntry]]:
    """Keep one record of each duplicate group of one set.

    The keeper is a member of a true pair if there is one, then the largest picture, then of the source named
    first in `sources`, then of the least id.
    """
    chosen = [r for r in records if r.candidate.set == name]
    rank = {source: i for i, source in enumerate(sources)}

    def best_first(record: Record) -> tuple[bool, int, int, str, str]:
        candidate = record.candidate
        return not candidate.pair, -record.area, rank[candidate.source], record.sha256, candidate.key

    ordered = sorted(chosen, key=best_first)
    keepers: dict[int, Record] = {}
    dropped = []
    for record, group in zip(ordered, groups(ordered, getattr(spec, name)).tolist(), strict=True):
        keeper = keepers.setdefault(group, record)
        if keeper is not record:
            dropped.append(_repeat(record, keeper))
    return list(keepers.values()), dropped


def drop_leaks(
    illustrations: list[Record], linearts: list[Record], spec: DedupeSpec
) -> tuple[list[Record], list[LedgerEntry]]:
    """Drop illustrations whose drawing is one of the line arts: they would leak the test set into training.

    Those that the source declares a true pair stay: the splits hold them back together.
    """
    held = {r.candidate.pair for r in linearts} - {""}
    free = [r for r in illustrations if r.candidate.pair not in held]
    pairs, bits = cross_pairs(
        to_array([r.statistics.ink_hash for r in free]),
        to_array([r.statistics.ink_hash for r in linearts]),
        spec.across,
    )
    leaks: dict[int, tuple[int, int]] = {}
    for (i, j), bit in zip(pairs.tolist(), bits.tolist(), strict=True):
        if not (free[i].statistics.sparse or linearts[j].statistics.sparse):
            leaks[i] = min(leaks.get(i, (bit, j)), (bit, j))
    dropped = [
        LedgerEntry(
            free[i].candidate,
            Verdict(False, "leak", f"drawing of a kept line art, {bit} of 256 ink bits differ",
                    keeper=linearts[j].sha256, distance=bit),
            free[i].sha256,
            free[i].statistics,
        )
        for i, (bit, j) in leaks.items()
    ]  # fmt: skip
    gone = {id(free[i]) for i in leaks}
    return [r for r in illustrations if id(r) not in gone], dropped


def groups(records: list[Record], threshold: int) -> NDArray[np.int64]:
    """Label (N,) of each record's group: equal bytes, or a chain of hashes within `threshold` bits.

    Records whose hash says little (`sparse`) join by equal bytes only.
    """
    ids = np.unique([r.sha256 for r in records], return_inverse=True)[1]
    first = {label: i for i, label in reversed(list(enumerate(ids.tolist())))}
    same = np.array([[first[label], i] for i, label in enumerate(ids.tolist())], np.int64).reshape(-1, 2)
    told = np.array([i for i, r in enumerate(records) if not r.statistics.sparse], np.int64)
    pairs, _ = near_pairs(to_array([records[i].statistics.phash for i in told]), threshold)
    edges = np.concatenate([same, told[pairs]]) if len(told) else same
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(records),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def distance(a: bytes, b: bytes) -> int:
    """Hamming distance of two hashes, in bits."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _repeat(record: Record, keeper: Record) -> LedgerEntry:
    bits = distance(record.statistics.phash, keeper.statistics.phash)
    same = record.sha256 == keeper.sha256
    detail = "the same bytes" if same else f"{bits} of 256 bits differ"
    verdict = Verdict(False, "duplicate", detail, keeper=keeper.sha256, distance=bits)
    return LedgerEntry(record.candidate, verdict, record.sha256, record.statistics)


def _words(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    if hashes.ndim != 2 or hashes.dtype != np.uint8 or hashes.shape[1] % 8:
        raise InputError(
            f"hashes must be uint8 (N, B) with B a multiple of 8, got {hashes.dtype} {hashes.shape}"
        )
    return np.ascontiguousarray(hashes).view(np.uint64)


def _distances(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Hamming distances (len(a), len(b)) of hashes given as (N, W) 64-bit words."""
    total = np.zeros((len(a), len(b)), np.int64)
    for word in range(a.shape[1]):
        total += np.bitwise_count(a[:, None, word] ^ b[None, :, word])
    return total
