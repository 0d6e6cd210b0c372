"""Line art, colour and sketches: made pictures of every kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.filters import judge
from lacbench.filters.sketch import sketch
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Candidate, Record, Set

import pictures
from made import draw_figure, measured, statistics

LIMITS = FilterSpec()


def reason(image: np.ndarray, set: Set) -> str:
    dropped = judge([measured(image, set)], LIMITS)[1]
    assert all(entry.verdict.detail for entry in dropped)
    return dropped[0].verdict.reason if dropped else ""


@pytest.mark.parametrize("paper", pictures.PAPERS.values(), ids=pictures.PAPERS)
def test_drawings_on_tinted_paper_are_line_art_and_no_illustrations(paper: tuple[int, int, int]) -> None:
    drawing = pictures.on_paper(draw_figure(2)[1], paper)
    assert reason(drawing, "linearts") == ""
    assert reason(drawing, "illustrations") == "uncolored"


@settings(max_examples=30)
@given(st.integers(0, 20), st.tuples(*[st.integers(150, 255)] * 3))
def test_tinting_the_paper_changes_no_verdict(seed: int, paper: tuple[int, int, int]) -> None:
    drawing = draw_figure(seed)[1]
    assert reason(drawing, "linearts") == reason(pictures.on_paper(drawing, paper), "linearts")


def test_a_jpeg_of_a_drawing_is_line_art() -> None:
    for paper in pictures.PAPERS.values():
        drawing = pictures.on_paper(draw_figure(2, 512)[1], paper)
        assert reason(pictures.as_jpeg(drawing), "linearts") == ""


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (pictures.lettering, {"lettering"}),
        (pictures.filled_map, {"shaded", "filled"}),
        (pictures.planet, {"shaded", "filled", "blank"}),
        (pictures.photo, {"shaded", "filled"}),
    ],
    ids=["lettering", "map", "planet", "photo"],
)
def test_what_passes_for_line_art_is_kept_out(make: object, reasons: set[str]) -> None:
    assert {reason(make(seed), "linearts") for seed in range(100, 112)} <= reasons


def test_each_reason() -> None:
    color, lines = draw_figure(3)
    white = np.full_like(color, 255)
    ramp = np.tile(np.arange(240, dtype=np.uint8)[None, :, None], (240, 1, 3))
    silhouette = white.copy()
    silhouette[40:200, 60:180] = 0
    assert reason(color, "linearts") == "colored"
    assert reason(white, "linearts") == "blank"
    assert reason(ramp, "linearts") == "filled"
    assert reason(silhouette, "linearts") == "filled"
    assert reason(color, "illustrations") == ""
    assert reason(ramp, "illustrations") == "grey"
    assert reason(lines, "illustrations") == "grey"


@pytest.mark.parametrize("kind", ["lines", "grey", "sepia", "pencil"])
def test_sketches_hide_among_illustrations_in_vain(kind: str) -> None:
    for seed in range(6):
        made = pictures.sketch(draw_figure(seed)[0], kind, seed)
        assert reason(made, "illustrations") in {"grey", "uncolored", "sketch"}


def test_lines_in_two_inks_are_a_sketch() -> None:
    drawing = draw_figure(7)[1].astype(float) / 255
    inked = 255 - (1 - drawing) * np.array([40, 200, 200])
    inked[:, 120:] = 255 - (1 - drawing[:, 120:]) * np.array([220, 180, 40])
    assert reason(inked.astype(np.uint8), "illustrations") == "sketch"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"chroma": 2.4, "hues": 0.02}, "sketch"),
        ({"chroma": 2.4, "hues": 0.12}, ""),  # a blue sky on sand: colours by tone, but not those of one ink
        ({"chroma": 2.6, "hues": 0.02}, ""),
        ({"solid": 0.02}, "sketch"),
    ],
)
def test_what_makes_a_sketch(told: dict[str, object], expected: str) -> None:
    candidate = Candidate("made", "x", "illustrations", "made", "CC0-1.0")
    assert sketch(Record("x", "x", candidate, statistics(**told)), LIMITS).reason == expected
    lineart = Candidate("made", "x", "linearts", "made", "CC0-1.0")
    assert sketch(Record("x", "x", lineart, statistics(**told)), LIMITS) == KEPT
