"""Size, ratio, animation, transparency, border: what a file and its frame tell."""

import pytest

from lacbench.filters import FILTERS, judge
from lacbench.recipe import FilterSpec
from lacbench.records import Candidate, Record, Set

from made import statistics

LIMITS = FilterSpec()


def reason(set: Set = "illustrations", **told: object) -> str:
    candidate = Candidate("made", "x", set, "made", "CC0-1.0")
    dropped = judge([Record("x", "x", candidate, statistics(**told))], LIMITS)[1]
    assert all(entry.verdict.detail and not entry.verdict.kept for entry in dropped)
    return dropped[0].verdict.reason if dropped else ""


DRAWN = {"colorfulness": 0.0, "paper": 0.9, "hues": 0.0, "chroma": 0.0, "solid": 0.0, "shading": 0.0}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"width": 199}, "small"),
        ({"width": 200, "height": 600}, ""),
        ({"width": 200, "height": 601}, "ratio"),
        ({"width": 1300, "height": 300}, "ratio"),
        ({"frames": 2}, "animated"),
        ({"transparency": 0.951}, "transparent"),
        ({"transparency": 0.93}, ""),
        ({"border": 0.051}, "bordered"),
        ({"border": 0.05}, ""),
        ({}, ""),
    ],
)
def test_each_limit(told: dict[str, object], expected: str) -> None:
    assert reason(**told) == expected


def test_line_arts_may_have_margins_and_no_ground() -> None:
    assert reason("linearts", border=0.5, transparency=0.99, **DRAWN) == ""
    assert reason("linearts", frames=3, **DRAWN) == "animated"


def test_every_filter_is_asked_by_its_own_name() -> None:
    assert [ask.__module__ for ask in FILTERS] == [f"lacbench.filters.{ask.__name__}" for ask in FILTERS]
