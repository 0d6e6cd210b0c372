"""Paper of any tint, and the filters that ask about it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.filters import judge
from lacbench.images import read
from lacbench.lineart import clean, colorfulness, paper_color, tones
from lacbench.recipe import FilterSpec
from lacbench.records import Candidate, Record, Set, Statistics

from made import draw_figure

LIMITS = FilterSpec()
PAPERS = {
    "white": (255, 255, 255),
    "peach": (240, 200, 176),
    "green": (206, 222, 140),
    "grey": (190, 190, 190),
}


def on_paper(lines: np.ndarray, paper: tuple[int, int, int]) -> np.ndarray:
    """The line drawing on paper of a tint, its black ink unchanged."""
    return np.rint(lines / 255 * np.array(paper)).astype(np.uint8)


def record_of(image: np.ndarray, name: Set, file: str = "x") -> Record:
    told = tones(image)
    statistics = Statistics(
        image.shape[1], image.shape[0], "PNG", colorfulness(image), told.paper, told.ink, told.hues,
        bytes(32), bytes(32), False,
    )  # fmt: skip
    return Record(file, file, Candidate("s", file, name, "made", "CC0-1.0"), statistics)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_paper_is_found_and_cleaned(paper: tuple[int, int, int]) -> None:
    lines = draw_figure(1)[1]
    drawing = on_paper(lines, paper)
    assert np.abs(paper_color(drawing) - paper).max() <= 2
    cleaned = clean(drawing)
    assert cleaned[0, 0] == 255
    assert np.abs(cleaned.astype(int) - lines[..., 0]).mean() < 2


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_drawings_on_tinted_paper_are_line_art_and_no_illustrations(paper: tuple[int, int, int]) -> None:
    drawing = on_paper(draw_figure(2)[1], paper)
    assert judge([record_of(drawing, "linearts")], LIMITS)[1] == []
    (entry,) = judge([record_of(drawing, "illustrations")], LIMITS)[1]
    assert entry.verdict.reason in {"grey", "uncolored"}


def test_each_reason() -> None:
    color, lines = draw_figure(3)
    white = np.full_like(color, 255)
    night = np.zeros_like(color)
    night[::7] = 255
    cases = [
        (color, "linearts", "colored"),
        (white, "linearts", "blank"),
        (np.tile(np.arange(240, dtype=np.uint8)[None, :, None], (240, 1, 3)), "linearts", "filled"),
        (color[:100], "illustrations", "small"),
        (np.tile(np.arange(240, dtype=np.uint8)[None, :, None], (240, 1, 3)), "illustrations", "grey"),
        (on_paper(lines, PAPERS["peach"]), "illustrations", "uncolored"),
    ]
    for image, name, reason in cases:
        (entry,) = judge([record_of(image, name)], LIMITS)[1]
        assert entry.verdict.reason == reason
        assert entry.verdict.detail


def test_what_is_kept_has_no_reason() -> None:
    kept, dropped = judge([record_of(draw_figure(4)[0], "illustrations")], LIMITS)
    assert (len(kept), dropped) == (1, [])


@pytest.mark.art
def test_real_art_is_told_apart(art: Path) -> None:
    """On the 809 labelled pictures: precision and recall of line art against colour at least 0.97."""
    labels = json.loads((art / "manifest.json").read_text())
    chosen = [e for i, e in enumerate(labels) if e["set"] == "linearts" or i % 6 == 0]
    taken = {"linearts": 0, "illustrations": 0}
    for entry in chosen:
        record = record_of(read(art / entry["file"]), "linearts", entry["file"])
        taken[entry["set"]] += len(judge([record], LIMITS)[0])
    drawings = sum(e["set"] == "linearts" for e in chosen)
    assert taken["linearts"] / drawings >= 0.97
    assert taken["linearts"] / max(1, sum(taken.values())) >= 0.97


@given(st.integers(0, 255))
def test_grey_has_no_colour(tone: int) -> None:
    assert colorfulness(np.full((3, 3, 3), tone, np.uint8)) == 0


def test_colorfulness_is_hasler_and_susstrunks() -> None:
    """Closed form: half pure red, half pure blue."""
    image = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    rg, yb = np.array([255.0, 0.0]), np.array([127.5, -255.0])
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert colorfulness(image) == pytest.approx(expected)
