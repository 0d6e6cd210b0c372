"""Which pictures are the same: groups, one keeper each, and what a person should look at."""

from dataclasses import replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lacbench.crops import SecondKeys, crop_distance, crop_pairs
from lacbench.engine import Engine
from lacbench.hashing import to_array
from lacbench.recipe import DedupeSpec
from lacbench.records import SETS, LedgerEntry, Record, Set, Verdict
from lacbench.search import Found, cross_pairs, near_edges, near_pairs

__all__ = [
    "cross_pairs",
    "distance",
    "drawn_alike",
    "drop_leaks",
    "drop_repeats",
    "groups",
    "near_pairs",
    "review",
]

CROPPED = "a crop, padding or mirror"
"""How the ledger names the second key."""


def drop_repeats(
    records: list[Record],
    name: Set,
    spec: DedupeSpec,
    sources: list[str],
    engine: Engine | None = None,
    keys: SecondKeys | None = None,
) -> tuple[list[Record], list[LedgerEntry]]:
    """Keep one record of each duplicate group of one set; with `keys`, groups take in crops and mirrors.

    The keeper is a member of a true pair if there is one, then the largest picture, then of the source named
    first in `sources`, then of the least id.
    """
    chosen = [r for r in records if r.candidate.set == name]
    rank = {source: i for i, source in enumerate(sources)}

    def best_first(record: Record) -> tuple[bool, int, int, str, str]:
        candidate = record.candidate
        return not candidate.pair, -record.area, rank[candidate.source], record.sha256, candidate.key

    ordered = sorted(chosen, key=best_first)
    labels = groups(ordered, getattr(spec, name), engine).tolist()
    best: dict[int, Record] = {}
    for record, group in zip(ordered, labels, strict=True):
        best.setdefault(group, record)
    crops = _crops(list(best.values()), spec.cropped, keys) if keys else {}
    dropped = []
    for record, group in zip(ordered, labels, strict=True):
        cropped = crops.get(best[group].sha256)
        if cropped and record is best[group]:
            dropped.append(cropped)
        elif record is not best[group]:
            dropped.append(_repeat(record, best[group], cropped))
    return [record for record in best.values() if record.sha256 not in crops], dropped


def drop_leaks(
    illustrations: list[Record], linearts: list[Record], spec: DedupeSpec, keys: SecondKeys | None = None
) -> tuple[list[Record], list[LedgerEntry]]:
    """Drop illustrations whose drawing is one of the line arts: they would leak the test set into training.

    With `keys`, crops and mirrors of the drawing count too. Those that the source declares a true pair stay:
    the splits hold them back together.
    """
    held = {r.candidate.pair for r in linearts} - {""}
    free = [r for r in illustrations if r.candidate.pair not in held]
    found = [(drawn_alike(free, linearts, spec.across), "drawing")]
    if keys:
        (left, a), (right, b) = _told(free), _told(linearts)
        drawings = [keys.drawings([r.path for r in told]) for told in (left, right)]
        pairs, bits = crop_pairs(drawings[0], drawings[1], spec.cropped)
        found.append(((_renumbered(pairs, a, b), bits), f"drawing, or {CROPPED},"))
    leaks: dict[int, LedgerEntry] = {}
    for (pairs, bits), what in found:
        rows = zip(bits.tolist(), *pairs.T.tolist(), strict=True)
        for bit, i, j in sorted(rows, key=itemgetter(0, 2)):
            detail = f"{what} of a kept line art, {bit} of 256 ink bits differ"
            leaks.setdefault(i, _entry(free[i], linearts[j], "leak", bit, detail))
    gone = {id(free[i]) for i in leaks}
    return [r for r in illustrations if id(r) not in gone], list(leaks.values())


def drawn_alike(illustrations: list[Record], linearts: list[Record], limit: int) -> Found:
    """Pairs (illustration, line art) whose ink hashes lie within `limit` bits, in the form of `cross_pairs`.

    Hashes that say little are left out.
    """
    (left, a), (right, b) = _told(illustrations), _told(linearts)
    hashes = [to_array([r.statistics.ink_hash for r in told]) for told in (left, right)]
    pairs, bits = cross_pairs(hashes[0], hashes[1], limit)
    return _renumbered(pairs, a, b), bits


def review(records: list[Record], spec: DedupeSpec) -> list[tuple[str, str, int]]:
    """Kept records that are nearly duplicates or leaks: (lesser id, greater id, bits of 256), nearest first.

    Their distance lies above the threshold, up to its `review_…`: mostly different pictures, with crops and
    redrawings among them that only a person can tell. Hashes that say little are left out, and true pairs.
    """
    found = []
    sets = {name: [r for r in records if r.candidate.set == name] for name in SETS}
    for name in SETS:
        drop, look = getattr(spec, name), getattr(spec, f"review_{name}")
        told, _ = _told(sets[name])
        pairs, bits = near_pairs(to_array([r.statistics.phash for r in told]), look)
        for (i, j), bit in zip(pairs[bits > drop].tolist(), bits[bits > drop].tolist(), strict=True):
            found.append((*sorted([told[i].sha256, told[j].sha256]), bit))
    pairs, bits = drawn_alike(sets["illustrations"], sets["linearts"], spec.review_across)
    for (i, j), bit in zip(
        pairs[bits > spec.across].tolist(), bits[bits > spec.across].tolist(), strict=True
    ):
        one, other = sets["illustrations"][i], sets["linearts"][j]
        if not one.candidate.pair or one.candidate.pair != other.candidate.pair:
            found.append((*sorted([one.sha256, other.sha256]), bit))
    return sorted(found, key=lambda pair: (pair[2], pair))


def groups(records: list[Record], threshold: int, engine: Engine | None = None) -> NDArray[np.int64]:
    """Label (N,) of each record's group: equal bytes, or a chain of hashes within `threshold` bits.

    Records whose hash says little (`sparse`) join by equal bytes only. Very many are searched on the engine.
    """
    ids = np.unique([r.sha256 for r in records], return_inverse=True)[1]
    first = {label: i for i, label in reversed(list(enumerate(ids.tolist())))}
    same = np.array([[first[label], i] for i, label in enumerate(ids.tolist())], np.int64).reshape(-1, 2)
    told, rows = _told(records)
    near, _ = near_edges(to_array([r.statistics.phash for r in told]), threshold, engine)
    return _joined(np.concatenate([same, rows[near]]), len(records))


def distance(a: bytes, b: bytes) -> int:
    """Hamming distance of two hashes, in bits."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _crops(records: list[Record], limit: int, keys: SecondKeys) -> dict[str, LedgerEntry]:
    """Those of the records, which come best first, that repeat an earlier one by the second key, by id."""
    told, _ = _told(records)
    known = keys.pictures([r.path for r in told])
    pairs, _ = crop_pairs(known, known, limit)
    labels = _joined(pairs, len(told)).tolist()
    first = {label: i for i, label in reversed(list(enumerate(labels)))}
    dropped = {}
    for i, (record, label) in enumerate(zip(told, labels, strict=True)):
        if (keeper := first[label]) != i:
            bits = crop_distance(known[i], known[keeper])
            detail = f"{CROPPED}: {bits} of 256 bits of the second key differ"
            dropped[record.sha256] = _entry(record, told[keeper], "duplicate", bits, detail)
    return dropped


def _told(records: list[Record]) -> tuple[list[Record], NDArray[np.int64]]:
    """The records whose hash says something, and where they stand."""
    rows = [i for i, r in enumerate(records) if not r.statistics.sparse]
    return [records[i] for i in rows], np.array(rows, np.int64)


def _renumbered(pairs: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of places in a and b, as the numbers that stand there."""
    return np.column_stack([a[pairs[:, 0]], b[pairs[:, 1]]])


def _joined(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Label (count,) of each node's component."""
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _repeat(record: Record, best: Record, cropped: LedgerEntry | None) -> LedgerEntry:
    """The entry of a repeat of the best of its group; where that one is a crop, its keeper is the keeper."""
    bits = distance(record.statistics.phash, best.statistics.phash)
    detail = "the same bytes" if record.sha256 == best.sha256 else f"{bits} of 256 bits differ"
    entry = _entry(record, best, "duplicate", bits, detail)
    if not cropped:
        return entry
    told = replace(cropped.verdict, detail=f"{detail} from {best.sha256}, {cropped.verdict.detail}")
    return replace(entry, verdict=told)


def _entry(record: Record, keeper: Record, reason: str, bits: int, detail: str) -> LedgerEntry:
    verdict = Verdict(False, reason, detail, keeper=keeper.sha256, distance=bits)
    return LedgerEntry(record.candidate, verdict, record.sha256, record.statistics)
