"""Bars along the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.borders import border

from made import draw_figure


def noise(height: int = 200, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_bars_are_measured_exactly(top: int, bottom: int, left: int, right: int) -> None:
    """Bars come in pairs: one alone is part of the picture."""
    picture = np.full((200, 160, 3), 0, np.uint8)
    rows = (top, bottom) if top and bottom else (0, 0)
    columns = (left, right) if left and right else (0, 0)
    picture[rows[0] : 200 - rows[1], columns[0] : 160 - columns[1]] = noise()[
        rows[0] : 200 - rows[1], columns[0] : 160 - columns[1]
    ]
    inner = (200 - sum(rows)) * (160 - sum(columns))
    assert border(picture) == pytest.approx(1 - inner / 32000)


def test_one_bar_is_no_border() -> None:
    caption = noise()
    caption[150:] = 255
    assert border(caption) == 0


def test_a_figure_on_bare_ground_has_no_border() -> None:
    assert border(draw_figure(1)[0]) == 0
    assert border(draw_figure(1)[1]) == 0


def test_sky_and_sand_are_no_bars() -> None:
    beach = np.full((200, 160, 3), (0, 160, 250), np.uint8)
    beach[90:] = (220, 180, 130)
    assert border(beach) == 0


def test_one_colour_has_no_border() -> None:
    assert border(np.full((50, 60, 3), 7, np.uint8)) == 0
