"""Groups, keepers, leaks, and what is left for review."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.dedupe import distance, drop_leaks, drop_repeats, groups, review
from lacbench.recipe import DedupeSpec
from lacbench.records import LedgerEntry, Record

from made import FAR, FARTHER, ZERO, flipped, record

SPEC = DedupeSpec()


def drop_duplicates(
    records: list[Record], spec: DedupeSpec, sources: list[str]
) -> tuple[list[Record], list[LedgerEntry]]:
    """Within each set, then across the two, as a build does without targets."""
    linearts, dropped = drop_repeats(records, "linearts", spec, sources)
    illustrations, more = drop_repeats(records, "illustrations", spec, sources)
    illustrations, leaks = drop_leaks(illustrations, linearts, spec)
    return illustrations + linearts, dropped + more + leaks


@st.composite
def hash_tables(draw: st.DrawFn) -> np.ndarray:
    """Hashes (N, B) of adversarial distributions: all equal, one bit apart, clustered, random."""
    width = draw(st.sampled_from([8, 32]))
    count = draw(st.integers(0, 25))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["equal", "one bit", "clustered", "random"]))
    table = np.zeros((count, width), np.uint8)
    if kind == "random":
        return random.integers(0, 256, table.shape).astype(np.uint8)
    if kind == "one bit":
        for row in table:
            row[random.integers(width)] = 1 << random.integers(8)
    if kind == "clustered":
        centers = random.integers(0, 256, (3, width)).astype(np.uint8)
        table = centers[random.integers(3, size=count)]
        table = table ^ (random.random((count, width)) < 0.05).astype(np.uint8)
    return table


def test_groups_are_chains() -> None:
    chain = [record(str(n), flipped(ZERO, 20 * n)) for n in range(4)] + [record("far", FAR)]
    labels = groups(chain, 20).tolist()
    assert len(set(labels[:4])) == 1
    assert labels[4] != labels[0]


def test_the_largest_is_kept_then_the_first_source_then_the_least_id() -> None:
    small, large = record("0", ZERO, side=300), record("9", ZERO, side=400)
    assert drop_duplicates([small, large], SPEC, ["a"])[0] == [large]
    late, early = record("0", ZERO, source="b"), record("9", ZERO, source="a")
    assert drop_duplicates([late, early], SPEC, ["a", "b"])[0] == [early]
    first, second = record("0", ZERO), record("9", ZERO)
    assert drop_duplicates([second, first], SPEC, ["a"])[0] == [first]


def test_a_true_pairs_member_is_kept_whatever_it_repeats() -> None:
    truth, copy = record("9", ZERO, side=300, pair="p"), record("0", ZERO, side=400)
    assert drop_duplicates([copy, truth], SPEC, ["a"])[0] == [truth]


def test_the_ledger_names_keeper_and_distance() -> None:
    keeper, repeat = record("9", ZERO, side=400), record("0", flipped(ZERO, 30))
    _, (entry,) = drop_duplicates([repeat, keeper], SPEC, ["a"])
    assert (entry.sha256, entry.verdict.keeper) == ("0", "9")
    assert (entry.verdict.reason, entry.verdict.distance) == ("duplicate", 30)


def test_the_threshold_is_each_sets_own() -> None:
    apart = flipped(ZERO, 30)
    for name, left in (("illustrations", 1), ("linearts", 2)):
        two = [record("0", ZERO, set=name), record("1", apart, set=name)]
        assert len(drop_duplicates(two, SPEC, ["a"])[0]) == left


def test_sparse_pictures_repeat_only_by_equal_bytes() -> None:
    alike = [record("0", ZERO, sparse=True), record("1", ZERO, sparse=True)]
    assert len(drop_duplicates(alike, SPEC, ["a"])[0]) == 2
    equal = [alike[0], replace(alike[0], candidate=replace(alike[0].candidate, key="again"))]
    kept, dropped = drop_duplicates(equal, SPEC, ["a"])
    assert (len(kept), dropped[0].verdict.detail) == (1, "the same bytes")


def test_a_drawing_of_a_kept_line_art_leaks() -> None:
    line = record("l", FAR, set="linearts", ink=ZERO)
    leak, free = record("i", FARTHER, ink=flipped(ZERO, 40)), record("f", FAR, ink=flipped(ZERO, 41))
    kept, (entry,) = drop_duplicates([line, leak, free], SPEC, ["a"])
    assert {r.sha256 for r in kept} == {"l", "f"}
    assert (entry.sha256, entry.verdict.reason, entry.verdict.keeper) == ("i", "leak", "l")


def test_a_true_pair_is_no_leak() -> None:
    line = record("l", FAR, set="linearts", ink=ZERO, pair="p")
    color = record("i", FARTHER, ink=ZERO, pair="p")
    assert drop_duplicates([line, color], SPEC, ["a"])[1] == []


def test_nearly_duplicates_are_for_review_nearest_first() -> None:
    near, far = flipped(ZERO, 33), flipped(FAR, 40)
    kept = [record("b", ZERO), record("a", near), record("d", FAR), record("c", far)]
    assert review(kept, SPEC) == [("a", "b", 33), ("c", "d", 40)]
    assert review(kept, DedupeSpec(review_illustrations=39)) == [("a", "b", 33)]
    assert review(kept, DedupeSpec(illustrations=33)) == [("c", "d", 40)]
    assert review([record("b", ZERO), record("a", flipped(ZERO, 32))], SPEC) == []
    assert review([], SPEC) == []


def test_nearly_leaks_are_for_review_but_true_pairs_are_not() -> None:
    line = record("l", FAR, set="linearts", ink=ZERO, pair="p")
    near, truth = (
        record("n", FARTHER, ink=flipped(ZERO, 41)),
        record("t", ZERO, ink=flipped(ZERO, 50), pair="p"),
    )
    far = record("f", bytes([0xCC]) * 32, ink=flipped(ZERO, 61))
    assert review([line, near, truth, far], SPEC) == [("l", "n", 41)]
    assert review([line, record("n", FARTHER, ink=flipped(ZERO, 40))], SPEC) == []


def test_line_arts_are_reviewed_by_themselves_and_sparse_hashes_never() -> None:
    line = {"set": "linearts"}
    kept = [record("a", ZERO, **line), record("b", flipped(ZERO, 25), **line), record("c", flipped(ZERO, 33))]
    assert review(kept, SPEC) == [("a", "b", 25)]
    assert review([kept[0], record("b", flipped(ZERO, 25), sparse=True, **line)], SPEC) == []


@given(hash_tables(), st.randoms())
@settings(max_examples=50)
def test_what_is_kept_does_not_depend_on_the_order(table: np.ndarray, random) -> None:
    records = [record(str(i), row.tobytes().ljust(32, b"\0")) for i, row in enumerate(table)]
    shuffled = records[:]
    random.shuffle(shuffled)
    kept = [{r.sha256 for r in drop_duplicates(order, SPEC, ["a"])[0]} for order in (records, shuffled)]
    assert kept[0] == kept[1]


@given(st.binary(min_size=32, max_size=32), st.integers(0, 256))
def test_distance_counts_bits(hash_: bytes, bits: int) -> None:
    assert distance(hash_, flipped(hash_, bits)) == bits
