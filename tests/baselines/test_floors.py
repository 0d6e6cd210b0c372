"""Floors on drawn line arts whose right answer is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.baselines.floors import FLOORS, flood_fill, grey, mean_hint, nearest_hint
from lacbench.hints import Hint
from lacbench.regions import regions

from made import draw_figure

RED, BLUE = (200, 30, 30), (20, 40, 220)


def two_rooms(gap: int = 0) -> np.ndarray:
    """A framed sheet of 60 × 100 pixels, parted by a wall in the middle with a door of `gap` pixels."""
    sheet = np.full((60, 100), 255, np.uint8)
    cv2.rectangle(sheet, (2, 2), (97, 57), 0, 2)
    sheet[3:57, 49:51] = 0
    sheet[30 : 30 + gap, 49:51] = 255
    return sheet


hints = st.lists(
    st.builds(
        Hint,
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.tuples(*[st.integers(0, 255)] * 3),
    ),
    max_size=6,
)


@pytest.mark.parametrize("name", FLOORS)
@given(dabs=hints, seed=st.integers(0, 20))
@settings(max_examples=15)
def test_every_floor_keeps_the_lines_and_the_shape(name: str, dabs: list[Hint], seed: int) -> None:
    line_art = draw_figure(seed, 64)[1][:50, :, 0]
    colored = FLOORS[name](line_art, dabs)
    assert colored.dtype == np.uint8
    assert colored.shape == (50, 64, 3)
    assert (colored <= line_art[..., None]).all()


def test_grey_is_the_line_art_itself() -> None:
    line_art = draw_figure(1, 64)[1][..., 0]
    assert np.array_equal(grey(line_art, [Hint(0, 0, RED)]), np.repeat(line_art[..., None], 3, axis=2))


def test_mean_hint_is_the_mean() -> None:
    sheet = np.full((4, 4), 255, np.uint8)
    assert (mean_hint(sheet, [Hint(0, 0, (0, 0, 0)), Hint(0, 0, (100, 50, 200))]) == (50, 25, 100)).all()
    assert (mean_hint(sheet, []) == 255).all()


def test_nearest_hint_parts_the_sheet_in_the_middle() -> None:
    sheet = np.full((10, 100), 255, np.uint8)
    colored = nearest_hint(sheet, [Hint(0.105, 0.5, RED), Hint(0.895, 0.5, BLUE)])
    assert (colored[:, :49] == RED).all()
    assert (colored[:, 51:] == BLUE).all()


@pytest.mark.parametrize("gap", [0, 2])
def test_flood_fill_stays_in_its_region_even_at_a_small_gap(gap: int) -> None:
    colored = flood_fill(two_rooms(gap), [Hint(0.2, 0.5, RED)])
    assert (colored[6:54, 6:46] == RED).all()
    assert (colored[6:54, 54:94] == 255).all()


@pytest.mark.parametrize("gap", [3, 20])
def test_flood_fill_runs_through_a_wider_door(gap: int) -> None:
    colored = flood_fill(two_rooms(gap), [Hint(0.2, 0.5, RED)])
    assert (colored[6:54, 54:94] == RED).all()


def test_flood_fill_means_the_hints_of_a_region_and_ignores_those_on_lines() -> None:
    dabs = [Hint(0.2, 0.5, RED), Hint(0.3, 0.4, BLUE), Hint(0.5, 0.5, (0, 255, 0))]
    colored = flood_fill(two_rooms(), dabs)
    assert colored[30, 20].tolist() == [110, 35, 125]


def test_regions_count() -> None:
    labels = regions(two_rooms())
    assert len(np.unique(labels)) == 1 + 3  # lines; outside the frame, left room, right room
    assert labels[30, 20] != labels[30, 80]
