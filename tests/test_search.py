"""The search against brute force, on data that is bad for it; its shards; its refusals."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lacbench import dedupe, search
from lacbench.engine import Local
from lacbench.errors import InputError
from lacbench.search import EVERYTHING, band_pairs, bands, collapse, cross_pairs, near_edges, near_pairs, plan

KINDS = ("equal", "one bit", "clustered", "sorted", "few bytes differ", "random", "all there are")


def make(kind: str, count: int, width: int, seed: int) -> np.ndarray:
    """Hashes uint8 (count, width) of a distribution that is bad for bands, or of a plain one."""
    random = np.random.default_rng(seed)
    table = np.repeat(random.integers(0, 256, (1, width), dtype=np.uint8), count, axis=0)
    if kind == "one bit":
        table[np.arange(count), random.integers(width, size=count)] ^= np.uint8(1)
    elif kind == "clustered":
        centers = random.integers(0, 256, (3, width), dtype=np.uint8)
        noise = np.packbits(random.random((count, 8 * width)) < 0.05, axis=1)
        table = centers[random.integers(3, size=count)] ^ noise
    elif kind == "sorted":
        table[:, -2:] = np.arange(count, dtype=">u2").view(np.uint8).reshape(-1, 2)
    elif kind == "few bytes differ":
        table[:, :3] = random.integers(0, 4, (count, 3))
    elif kind in ("random", "all there are"):
        table = random.integers(0, 256, (count, width), dtype=np.uint8)
    if kind == "all there are" and count:
        table[count // 2 :] = ~table[: count - count // 2]
    return table


@st.composite
def hash_tables(draw: st.DrawFn, width: int = 0, most: int = 300) -> np.ndarray:
    """Such hashes of 8, 16 or 32 bytes."""
    width = width or draw(st.sampled_from([8, 16, 32]))
    kind, count = draw(st.sampled_from(KINDS)), draw(st.integers(0, most))
    return make(kind, count, width, draw(st.integers(0, 2**32)))


def brute(a: np.ndarray, b: np.ndarray, threshold: int) -> list[tuple[int, int, int]]:
    """(i of a, j of b, distance) of all pairs that are near, in order, bit by bit."""
    one, two = np.unpackbits(a, axis=1).astype(np.int64), np.unpackbits(b, axis=1).astype(np.int64)
    apart = one @ (1 - two.T) + (1 - one) @ two.T
    i, j = np.nonzero(apart <= threshold)
    return list(zip(i.tolist(), j.tolist(), apart[i, j].tolist(), strict=True))


def listed(found: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int, int]]:
    """What a search found, in the form of `brute`."""
    pairs, distances = found
    assert pairs.dtype == distances.dtype == np.int64
    return [(i, j, d) for (i, j), d in zip(pairs.tolist(), distances.tolist(), strict=True)]


def once(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    return [row for row in rows if row[0] < row[1]]


def components(edges: np.ndarray, count: int) -> list[int]:
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].tolist()


@pytest.fixture(params=["as it is", "small parts"])
def parts(request: pytest.FixtureRequest) -> Iterator[None]:
    """The limits as they are, and so small that small tables have heavy buckets, tiles and chunks."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small parts":
            for name, value in (("HEAVY", 5), ("TILE", 7), ("ROWS", 32), ("CANDIDATES", 50), ("SAMPLE", 64)):
                patch.setattr(search, name, value)
        yield


@pytest.mark.usefixtures("parts")
@given(hash_tables(), st.data())
@settings(max_examples=150)
def test_near_pairs_equals_brute_force(table: np.ndarray, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(-1, 8 * table.shape[1] + 1))
    assert listed(near_pairs(table, threshold)) == once(brute(table, table, threshold))


@pytest.mark.usefixtures("parts")
@given(st.sampled_from([8, 16, 32]), st.data())
@settings(max_examples=100)
def test_cross_pairs_equals_brute_force(width: int, data: st.DataObject) -> None:
    a, b = data.draw(hash_tables(width, 150)), data.draw(hash_tables(width, 150))
    if data.draw(st.booleans()):  # the two have much in common
        b = np.concatenate([b, a[::2]])
    threshold = data.draw(st.integers(-1, 8 * width + 1))
    assert listed(cross_pairs(a, b, threshold)) == brute(a, b, threshold)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [8, 16, 32])
def test_every_threshold(kind: str, width: int) -> None:
    table = make(kind, 40, width, 7)
    expected = once(brute(table, table, 8 * width))
    for threshold in range(8 * width + 1):
        assert listed(near_pairs(table, threshold)) == [row for row in expected if row[2] <= threshold]


@pytest.mark.usefixtures("parts")
@given(hash_tables(most=120), st.data())
@settings(max_examples=60)
def test_any_bands_find_every_pair_once(table: np.ndarray, data: st.DataObject) -> None:
    bits = 8 * table.shape[1]
    choice = bands(bits, data.draw(st.integers(0, bits // 8)), data.draw(st.integers(bits // 16, bits // 8)))
    threshold = sum(band.flips + 1 for band in choice) - 1
    found = [band_pairs(table, band, threshold, choice[:n]) for n, band in enumerate(choice)]
    assert sorted(row for part in found for row in listed(part)) == once(brute(table, table, threshold))


@pytest.mark.parametrize("bits", [64, 128, 256])
def test_bands_hold_the_pigeons(bits: int) -> None:
    for threshold in range(bits):
        for number in range(-(-bits // 22), bits // 8 + 1):
            choice = bands(bits, threshold, number)
            assert choice[0].low == 0
            assert all(a.high == b.low for a, b in pairwise(choice))
            # To escape every band, a pair must differ in one bit more than its flips in each.
            assert sum(band.flips + 1 for band in choice) == threshold + 1


def test_plans_fit_the_data() -> None:
    uniform = make("random", 20_000, 32, 1)
    assert len(plan(uniform, 24)) > 5
    assert plan(uniform, 120) == [EVERYTHING]
    assert plan(uniform[:50], 24) == [EVERYTHING]
    assert plan(make("one bit", 20_000, 32, 1), 24) == [EVERYTHING]


@pytest.mark.parametrize("kind", ["random", "clustered", "few bytes differ"])
def test_bands_find_what_tiles_find(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(kind, 3000, 32, 2)
    table[::5] = table[::-5] ^ np.packbits(np.random.default_rng(3).random((600, 256)) < 0.08, axis=1)
    expected = None
    for number in (0, 12, 16, 24):
        choice = bands(256, 30, number) if number else [EVERYTHING]
        monkeypatch.setattr(search, "plan", lambda *_, choice=choice: choice)
        found = near_pairs(table, 30)
        expected = expected or found
        assert len(found[0]) > 10
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@given(hash_tables(), st.integers(-1, 256))
@settings(max_examples=100)
def test_edges_span_the_pairs(table: np.ndarray, threshold: int) -> None:
    edges, distances = near_edges(table, threshold)
    everything = brute(table, table, threshold)
    assert set(listed((edges, distances))) <= set(once(everything))
    assert len(edges) < max(len(table), 1)
    assert components(edges, len(table)) == components(np.array(everything).reshape(-1, 3), len(table))


@dataclass(frozen=True)
class Backwards:
    """An engine that is done with the last shard first."""

    scratch = None

    def map(self, function, items):
        return iter([function(item) for item in reversed(list(items))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", [near_pairs, near_edges])
def test_shards_change_nothing(kind: str, look, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(kind, 300, 32, 4)
    for choice in ([EVERYTHING], bands(256, 31, 16)):
        monkeypatch.setattr(search, "plan", lambda *_, choice=choice: choice)
        whole = look(table, 31)
        monkeypatch.setattr(search, "SHARDED", 0)
        sharded = look(table, 31, Backwards())
        monkeypatch.undo()
        assert len(sharded[0]) == len(whole[0])
        assert components(sharded[0], 300) == components(whole[0], 300)
        if look is near_pairs:
            assert listed(sharded) == listed(whole)


def test_worker_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make("clustered", 1000, 32, 5)
    whole = near_pairs(table, 20)
    monkeypatch.setattr(search, "SHARDED", 0)
    assert listed(near_pairs(table, 20, Local(workers=2, chunk=1))) == listed(whole)


def test_small_tables_stay_in_this_process() -> None:
    table = make("clustered", 300, 8, 6)
    assert listed(near_pairs(table, 8, None)) == listed(near_pairs(table, 8, "no engine"))  # type: ignore


def test_a_million_equal_hashes() -> None:
    table = np.zeros((1_000_000, 32), np.uint8)
    unique, index = collapse(table)
    assert (len(unique), index.max()) == (1, 0)
    edges, distances = near_edges(table, 32)
    assert edges[:, 0].max() == distances.max() == 0
    assert np.array_equal(edges[:, 1], np.arange(1, 1_000_000))
    with pytest.raises(InputError, match="more than 50,000,000 pairs of hashes are so near; leave out"):
        near_pairs(table, 0)


@pytest.mark.parametrize("kind", ["equal", "one bit", "clustered"])
def test_more_pairs_than_fit_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(kind, 300, 32, 8)
    count = len(near_pairs(table, 40)[0])
    monkeypatch.setattr(search, "MAX_PAIRS", count)
    assert len(near_pairs(table, 40)[0]) == count
    monkeypatch.setattr(search, "MAX_PAIRS", count - 1)
    for look in (near_pairs, lambda table, bits: cross_pairs(table, table, bits)):
        with pytest.raises(InputError, match=r"more than .* pairs of hashes are so near"):
            look(table, 40)
    assert len(near_edges(table, 40)[0]) < 300


@given(hash_tables())
@settings(max_examples=50)
def test_collapse_loses_nothing(table: np.ndarray) -> None:
    unique, index = collapse(table)
    assert np.array_equal(unique[index], table)
    assert len(unique) == len({row.tobytes() for row in table})


WRONG = {
    "no bytes": np.zeros((3, 0), np.uint8),
    "seven bytes": np.zeros((3, 7), np.uint8),
    "floats": np.zeros((3, 8)),
    "words": np.zeros((3, 8), np.uint64),
    "one hash": np.zeros(8, np.uint8),
    "a cube": np.zeros((3, 8, 8), np.uint8),
}


@pytest.mark.parametrize("table", WRONG.values(), ids=WRONG)
def test_other_tables_are_refused(table: np.ndarray) -> None:
    right = np.zeros((3, 8), np.uint8)
    searches = [
        lambda: near_pairs(table, 3),
        lambda: near_edges(table, 3),
        lambda: collapse(table),
        lambda: band_pairs(table, EVERYTHING, 3),
        lambda: cross_pairs(table, table, 3),
        lambda: cross_pairs(right, table, 3),
    ]
    for look in searches:
        with pytest.raises(InputError, match=r"^hashes must be uint8|^both tables' hashes") as told:
            look()
        assert "\n" not in str(told.value)


def test_tables_of_two_widths_are_refused() -> None:
    with pytest.raises(InputError, match="equally wide"):
        cross_pairs(np.zeros((3, 8), np.uint8), np.zeros((3, 16), np.uint8), 3)


def test_nothing_is_near_nothing() -> None:
    empty = np.empty((0, 32), np.uint8)
    for found in (
        near_pairs(empty, 9),
        near_edges(empty, 9),
        cross_pairs(empty, make("random", 3, 32, 1), 256),
    ):
        assert (found[0].shape, found[1].shape) == ((0, 2), (0,))


def test_dedupe_still_has_the_search() -> None:
    assert (dedupe.near_pairs, dedupe.cross_pairs) == (near_pairs, cross_pairs)


@pytest.mark.parametrize("kind", ["one bit", "few bytes differ", "sorted"])
def test_memory_is_bounded_whatever_the_data(kind: str) -> None:
    table = make(kind, 20_000, 32, 9)
    near_edges(table[:500], 4)  # what is loaded once
    tracemalloc.start()
    for choice in ([EVERYTHING], bands(256, 4, 16)):
        buckets = search._Buckets(table, choice[0])
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        seen = 0
        for pairs, _ in search._hits(buckets, buckets, choice[0], 0, slice(0, 2000)):
            seen += len(pairs)
        assert tracemalloc.get_traced_memory()[1] - before < 30e6
    tracemalloc.stop()
