"""Which pictures are the same: groups, one keeper each, and what a person should look at."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lacbench.engine import Engine
from lacbench.hashing import to_array
from lacbench.recipe import DedupeSpec
from lacbench.records import SETS, LedgerEntry, Record, Set, Verdict
from lacbench.search import cross_pairs, near_edges, near_pairs

__all__ = ["cross_pairs", "distance", "drop_leaks", "drop_repeats", "groups", "near_pairs", "review"]


def drop_repeats(
    records: list[Record],
    name: Set,
    spec: DedupeSpec,
    sources: list[str],
    engine: Engine | None = None,
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
    labels = groups(ordered, getattr(spec, name), engine)
    keepers: dict[int, Record] = {}
    dropped = []
    for record, group in zip(ordered, labels.tolist(), strict=True):
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


def review(records: list[Record], spec: DedupeSpec) -> list[tuple[str, str, int]]:
    """Kept records of a set that are nearly duplicates: (lesser id, greater id, bits of 256), nearest first.

    Their distance lies above the set's threshold, up to its `review_…`: mostly different pictures, with
    crops and redrawings among them that only a person can tell. Hashes that say little are left out.
    """
    found = []
    for name in SETS:
        drop, look = getattr(spec, name), getattr(spec, f"review_{name}")
        told = [r for r in records if r.candidate.set == name and not r.statistics.sparse]
        pairs, bits = near_pairs(to_array([r.statistics.phash for r in told]), look)
        for (i, j), bit in zip(pairs[bits > drop].tolist(), bits[bits > drop].tolist(), strict=True):
            found.append((*sorted([told[i].sha256, told[j].sha256]), bit))
    return sorted(found, key=lambda pair: (pair[2], pair))


def groups(records: list[Record], threshold: int, engine: Engine | None = None) -> NDArray[np.int64]:
    """Label (N,) of each record's group: equal bytes, or a chain of hashes within `threshold` bits.

    Records whose hash says little (`sparse`) join by equal bytes only. Very many are searched on the engine.
    """
    ids = np.unique([r.sha256 for r in records], return_inverse=True)[1]
    first = {label: i for i, label in reversed(list(enumerate(ids.tolist())))}
    same = np.array([[first[label], i] for i, label in enumerate(ids.tolist())], np.int64).reshape(-1, 2)
    told = np.array([i for i, r in enumerate(records) if not r.statistics.sparse], np.int64)
    near, _ = near_edges(to_array([records[i].statistics.phash for i in told]), threshold, engine)
    edges = np.concatenate([same, told[near]])
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
