"""What a source says of a picture, asked before it is downloaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.filters import declared
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Candidate

LIMITS = FilterSpec(min_score=5, tags_all=("1girl", "smile"), tags_none=("comic",))


def candidate(**told: object) -> Candidate:
    return Candidate("site", "1", "illustrations", "a site", "unknown", **told)


@pytest.mark.parametrize(
    ("told", "reason", "detail"),
    [
        ({}, "", ""),
        ({"rating": "general"}, "", ""),
        ({"rating": "explicit"}, "rating", "explicit"),
        ({"score": 5}, "", ""),
        ({"score": 4}, "score", "4 below 5"),
        ({"score": -3}, "score", "-3"),
        ({"tags": ("1girl", "smile")}, "", ""),
        ({"tags": ("1girl",)}, "tags", "without smile"),
        ({"tags": ("1girl", "smile", "comic")}, "tags", "tagged comic"),
        ({"width": 199, "height": 900}, "small", "199 × 900"),
        ({"width": 300, "height": 901}, "ratio", "3.00"),
        ({"width": 0, "height": 900}, "", ""),
    ],
)
def test_each_rule(told: dict[str, object], reason: str, detail: str) -> None:
    verdict = declared(candidate(**told), LIMITS)
    assert (verdict.reason, verdict.kept) == (reason, not reason)
    assert detail in verdict.detail


def test_no_ratings_allow_all() -> None:
    assert declared(candidate(rating="explicit"), FilterSpec(ratings=())) == KEPT


@given(st.integers(-100, 100), st.lists(st.text(min_size=1)), st.integers(200, 600), st.integers(200, 600))
def test_without_rules_only_ratings_and_sides_count(
    score: int, tags: list[str], width: int, height: int
) -> None:
    told = candidate(score=score, tags=tuple(tags), width=width, height=height)
    assert declared(told, FilterSpec()) == KEPT
