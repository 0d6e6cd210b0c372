"""A manifest page by page: the very rows that a plain loop over all of them chooses, in little memory."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lacbench.browse import Column, Conditions, Contains, Leaves, OneOf, Range
from lacbench.errors import InputError
from lacbench.manifest import load_dataset, save_dataset
from lacbench.records import Dataset, LedgerEntry, Member, Verdict

from made import FAR, record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """25 members with scores, some without, tags and artists; every third dropped picture has a keeper."""
    members, entries = [], []
    for number in range(25):
        made = record(f"{number:064x}", FAR, side=100 + number)
        told = replace(
            made.candidate,
            key=f"Key {number}",
            score=number if number % 4 else None,
            tags=("blue_sky", f"tag{number}") if number % 2 else (),
        )
        made = replace(made, candidate=told)
        members.append(Member(made, "test" if number % 5 else "train"))
        keeper = f"{1:064x}" if number % 3 == 0 else ""
        entries.append(
            LedgerEntry(told, Verdict(False, "small", "told", keeper), made.sha256, made.statistics)
        )
    folder = tmp_path_factory.mktemp("data")
    return save_dataset(folder, members, (), entries, 'name = "many"')


def tags(number: int) -> tuple[str, ...]:
    return tuple(f"a_tag_{number}_{n}" for n in range(20))


def shown(leaves: Leaves, conditions: Conditions, page: int = 7) -> list[str]:
    """Ids of all rows, a page at a time."""
    pages = [leaves.page(conditions, first, page) for first in range(0, 30, page)]
    assert all(len(rows) <= page for rows in pages)
    return [row["sha256"] for rows in pages for row in rows]


CONDITIONS: list[tuple[Conditions, Callable[[Any], bool]]] = [
    ({}, lambda m: True),
    ({"split": OneOf(("train",))}, lambda m: m.split == "train"),
    ({"key": Contains("kEY 1")}, lambda m: "Key 1" in m.record.candidate.key),
    ({"tags": Contains("SKY tag1")}, lambda m: "sky tag1" in " ".join(m.record.candidate.tags)),
    ({"score": Range(5, 9)}, lambda m: 5 <= (m.record.candidate.score or 0) <= 9),
    (
        {"width": Range(104, 120), "split": OneOf(("test", "validation"))},
        lambda m: 104 <= m.record.statistics.width <= 120 and m.split == "test",
    ),
    ({"key": Contains("(")}, lambda m: False),
]


@pytest.mark.parametrize(("conditions", "chosen"), CONDITIONS)
def test_the_rows_that_meet_all_conditions(
    dataset: Dataset, conditions: Conditions, chosen: Callable[[Any], bool]
) -> None:
    leaves = Leaves(dataset.folder / "illustrations.parquet")
    expected = [m.record.sha256 for m in dataset.illustrations if chosen(m)]
    assert shown(leaves, conditions) == expected
    assert leaves.count(conditions) == len(expected)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 30), st.integers(1, 30), st.integers(100, 130))
def test_any_page(dataset: Dataset, first: int, most: int, least: int) -> None:
    rows = Leaves(dataset.folder / "illustrations.parquet").page({"width": Range(least, 200)}, first, most)
    expected = [w for w in range(100, 125) if w >= least][first : first + most]
    assert [row["width"] for row in rows] == expected


def test_what_a_column_can_be_filtered_by(dataset: Dataset) -> None:
    columns = {column.name: column for column in Leaves(dataset.folder / "illustrations.parquet").columns()}
    assert columns["split"] == Column("split", "category", values=("test", "train"))
    assert columns["score"] == Column("score", "number", 1, 23)
    assert columns["width"] == Column("width", "number", 100, 124)
    assert columns["tags"] == Column("tags", "text")
    assert "phash" not in columns and "license" not in columns, "nothing to choose from"
    assert not Leaves(dataset.folder / "linearts.parquet").columns()[1:], "an empty set"


def test_a_strangers_manifest_leads_nowhere(dataset: Dataset, tmp_path: Path) -> None:
    member = dataset.illustrations[0]
    bad = replace(member, record=replace(member.record, path="../../etc/passwd"))
    save_dataset(tmp_path, [bad], (), (), "")
    with pytest.raises(InputError, match="do not use this data set"):
        Leaves(tmp_path / "illustrations.parquet")
    with pytest.raises(InputError, match="is no manifest"):
        Leaves(tmp_path / "review.parquet")


MANY = """
import sys
from pathlib import Path
from lacbench.browse import Contains, Leaves, Range
def peak():  # of this program alone; ru_maxrss begins with that of whoever started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
leaves = Leaves(Path(sys.argv[1]))
leaves.columns()
rows = leaves.page({"key": Contains("key"), "width": Range(0, 300)}, 99_990, 24)
print(len(rows), leaves.count({}), (peak() - before) // 1024)
"""


def test_a_hundred_thousand_rows_are_never_held(tmp_path: Path) -> None:
    entry = record("a", FAR)
    told = (
        LedgerEntry(
            replace(entry.candidate, key=f"key {number:09}", tags=tags(number)),
            Verdict(False, "small"), f"{number:064x}", entry.statistics,
        )
        for number in range(100_000)
    )  # fmt: skip
    save_dataset(tmp_path, (), (), told, "")
    assert len(load_dataset(tmp_path).ledger) == 100_000
    command = [sys.executable, "-c", MANY, str(tmp_path / "ledger.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, count, grown = map(int, done.stdout.split())
    assert (rows, count) == (10, 100_000)
    assert grown < 250, f"{grown} MiB"
