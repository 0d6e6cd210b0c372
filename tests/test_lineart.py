"""Paper of any tint, and what is measured against it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lacbench.lineart import chroma, clean, colorfulness, forms, lay, paper_color, tones

from made import draw_figure

PAPERS = {
    "white": (255, 255, 255),
    "peach": (240, 200, 176),
    "green": (206, 222, 140),
    "grey": (190, 190, 190),
}


def on_paper(lines: np.ndarray, paper: tuple[int, int, int]) -> np.ndarray:
    """The line drawing on paper of a tint, its black ink unchanged."""
    return np.rint(lines / 255 * np.array(paper)).astype(np.uint8)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_paper_is_found_and_cleaned(paper: tuple[int, int, int]) -> None:
    lines = draw_figure(1)[1]
    drawing = on_paper(lines, paper)
    assert np.abs(paper_color(drawing) - paper).max() <= 2
    cleaned = clean(drawing)
    assert cleaned[0, 0] == 255
    assert np.abs(cleaned.astype(int) - lines[..., 0]).mean() < 2


def reference_tones(image: np.ndarray) -> tuple[float, float, float]:
    """The same, row by row in float64."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    offset = pixels - paper_color(image)
    luma = offset @ np.array([0.299, 0.587, 0.114])
    axis = offset[luma <= np.quantile(luma, 0.01)].mean(axis=0) if (luma < -48).any() else -paper_color(image)
    unit = axis / (np.linalg.norm(axis) or 1.0)
    off_line = np.linalg.norm(offset - (offset @ unit)[:, None] * unit, axis=1) > 28
    on_paper = np.abs(offset).max(axis=1) <= 24
    return on_paper.mean(), (luma < -48).mean(), off_line.mean()


@given(arrays(np.uint8, (12, 9, 3)))
def test_tones_are_those_of_the_formula(image: np.ndarray) -> None:
    told = tones(lay(image))
    assert (told.paper, told.ink, told.hues) == pytest.approx(reference_tones(image), abs=2 / 108)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_one_ink_on_any_paper_has_no_chroma(paper: tuple[int, int, int]) -> None:
    assert chroma(on_paper(draw_figure(2)[1], paper)) < 0.6
    assert chroma(draw_figure(2)[0]) > 10


@given(st.integers(0, 255), st.integers(0, 255))
def test_chroma_is_what_tone_does_not_explain(first: int, second: int) -> None:
    """Closed form: two colours of one tone differ by chroma, two greys do not."""
    grey = np.array([[[first] * 3, [second] * 3]], np.uint8)
    assert chroma(grey) == 0
    pair = np.array([[[100, 100, 100], [140, 83, 83]]], np.uint8)  # both of tone 100
    assert chroma(pair) == pytest.approx(np.hypot(57 / 2, 28.5 / 2))


def test_forms_know_lines_from_fillings() -> None:
    color, lines = draw_figure(5)
    thin, filled = forms(lay(lines)), forms(lay(color))
    assert thin.solid < 0.01 < 0.2 < filled.solid
    assert thin.shading < 0.01 < 0.2 < filled.shading
    spot = np.full((200, 200, 3), 255, np.uint8)
    spot[50:150, 50:150] = 0
    assert forms(lay(spot)).solid == pytest.approx(0.25, abs=0.01)
    assert forms(lay(spot)).shading == 0
    assert forms(lay(spot)).reach == pytest.approx(0.5, abs=0.02)


@given(st.integers(0, 255))
def test_grey_has_no_colour(tone: int) -> None:
    assert colorfulness(np.full((3, 3, 3), tone, np.uint8)) == 0


def test_colorfulness_is_hasler_and_susstrunks() -> None:
    """Closed form: half pure red, half pure blue."""
    image = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    rg, yb = np.array([255.0, 0.0]), np.array([127.5, -255.0])
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert colorfulness(image) == pytest.approx(expected)
