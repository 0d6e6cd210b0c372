"""Splits: the same for the same picture, by group, with the shares asked for."""

import hashlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.recipe import parse_recipe
from lacbench.records import Record
from lacbench.splits import assign_splits, choose_split

from made import FAR, ZERO, flipped, record

RECIPE = parse_recipe(
    """
name = "splits"
seed = 3
[splits]
validation = 0.2
test = 0.3
[[sources]]
name = "a"
kind = "folder"
folder = "."
illustrations = ["*"]
"""
)


def made(count: int) -> list[Record]:
    """Unlike records, ids and hashes from SHA-256."""
    digests = [hashlib.sha256(str(i).encode()) for i in range(count)]
    return [record(d.hexdigest(), d.digest()) for d in digests]


def splits(records: list[Record]) -> dict[str, str]:
    return {m.record.sha256: m.split for m in assign_splits(records, RECIPE)[0]}


def test_shares_are_as_asked() -> None:
    told = list(splits(made(2000)).values())
    for name, share in (("test", 0.3), ("validation", 0.2), ("train", 0.5)):
        assert abs(told.count(name) / 2000 - share) < 0.035  # three standard deviations


@given(st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=20)
def test_pictures_added_move_nothing(few: int, more: int) -> None:
    before, after = splits(made(few)), splits(made(few + more))
    assert before.items() <= after.items()


def test_alike_pictures_stay_together() -> None:
    for i in range(30):
        base = hashlib.sha256(bytes([i])).digest()
        told = splits([record("0", base), record(str(i + 1), flipped(base, 60))])
        assert len(set(told.values())) == 1


def test_true_pairs_and_what_resembles_them_are_held_back() -> None:
    line = record("l", FAR, set="linearts", pair="p")
    truth, alike = record("t", ZERO, pair="p"), record("u", flipped(ZERO, 50))
    illustrations, linearts = assign_splits([truth, alike, line], RECIPE)
    assert [m.split for m in (*illustrations, *linearts)] == ["test"] * 3


def test_what_nearly_has_the_drawing_of_a_line_art_does_not_teach() -> None:
    records = made(60)
    line = record("line", FAR, set="linearts", ink=ZERO)
    taught = next(r for r in records if splits(records)[r.sha256] == "train")
    for bits, expected in ((60, "test"), (61, "train")):
        drawn = record("drawn", taught.statistics.phash, ink=flipped(ZERO, bits))
        assert splits([taught, line, drawn])[taught.sha256] == expected


def test_order_is_by_id() -> None:
    ids = [m.record.sha256 for m in assign_splits(made(9), RECIPE)[0]]
    assert ids == sorted(ids)


@given(st.text("0123456789abcdef", min_size=4))
def test_another_seed_is_another_split(group: str) -> None:
    seeds = {choose_split(group, RECIPE.model_copy(update={"seed": s})) for s in range(60)}
    assert len(seeds) > 1


def test_no_illustrations() -> None:
    assert assign_splits([record("l", ZERO, set="linearts")], RECIPE)[0] == []


def by(record: Record, artist: str) -> Record:
    return replace(record, candidate=replace(record.candidate, artist=artist))


@given(st.lists(st.sampled_from(["", "ann", "bob", "ann bob", "Cid", "dan cid"]), min_size=1, max_size=40))
@settings(max_examples=40)
def test_an_artist_stays_on_one_side(artists: list[str]) -> None:
    records = [by(r, artist) for r, artist in zip(made(len(artists)), artists, strict=True)]
    told = splits(records)
    for name in ("ann", "bob", "cid", "dan"):
        theirs = {told[r.sha256] for r in records if name in r.candidate.artist.lower().split()}
        assert len(theirs) <= 1


def test_more_pictures_by_an_artist_move_nothing() -> None:
    records = [by(r, f"artist{i % 20}") for i, r in enumerate(made(200))]
    before, after = splits(records[:60]), splits(records)
    assert before.items() <= after.items()
    assert len(set(after.values())) == 3


def test_an_artist_of_a_line_art_does_not_teach() -> None:
    records = made(40)
    line = by(record("l", FAR, set="linearts"), "Ann")
    told = {
        m.record.sha256: m.split
        for m in assign_splits([*(by(r, "ann") for r in records[:20]), *records[20:], line], RECIPE)[0]
    }
    assert {told[r.sha256] for r in records[:20]} == {"test"}
    assert {told[r.sha256] for r in records[20:]} > {"test"}
    free = RECIPE.model_copy(update={"splits": RECIPE.splits.model_copy(update={"by_artist": False})})
    loose = assign_splits([*(by(r, "ann") for r in records[:20]), line], free)[0]
    assert {m.split for m in loose} > {"test"}
