"""Regions of drawn line arts whose right answer is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.regions import INK_TONE, largest_ball, regions, to_ink

from made import draw_figure


def rooms(door: int, size: int = 512) -> np.ndarray:
    """A sheet parted by a wall, 4 pixels thick, with a door of so many pixels."""
    sheet = np.full((size, size), 255, np.uint8)
    sheet[:, size // 2 - 2 : size // 2 + 2] = 0
    sheet[size // 2 : size // 2 + door, size // 2 - 2 : size // 2 + 2] = 255
    return sheet


@pytest.mark.parametrize(("door", "count"), [(0, 2), (1, 2), (5, 2), (8, 2), (9, 1), (40, 1)])
def test_a_door_narrower_than_the_ball_parts_two_rooms(door: int, count: int) -> None:
    labels = regions(rooms(door))
    assert len(np.unique(labels[rooms(door) == 255])) == count


def test_two_rooms_meet_in_the_middle_of_their_door() -> None:
    labels = regions(rooms(6))
    assert labels[258, 100] != labels[258, 400]
    door = labels[256:262, 254:258]
    assert set(np.unique(door)) <= {labels[258, 100], labels[258, 400]}


def test_a_corridor_belongs_to_the_room_it_leaves() -> None:
    """It is narrower than the ball, and has no room of its own."""
    sheet = np.zeros((512, 512), np.uint8)
    sheet[100:300, 100:300] = 255
    sheet[200:205, 300:500] = 255
    assert len(np.unique(regions(sheet)[sheet == 255])) == 1


def test_a_line_that_ends_just_before_the_edge_still_parts() -> None:
    sheet = np.full((512, 512), 255, np.uint8)
    sheet[3:509, 254:258] = 0
    labels = regions(sheet)
    assert labels[256, 100] != labels[256, 400]


def test_the_ball_grows_with_the_picture() -> None:
    assert [largest_ball(size, 2 * size) for size in (20, 512, 1024)] == [1, 4, 8]
    large = np.kron(rooms(8), np.ones((2, 2), np.uint8))
    assert len(np.unique(regions(large)[large == 255])) == 2


def test_sheets_with_nothing_and_with_nothing_but_ink() -> None:
    assert (regions(np.full((40, 60), 255, np.uint8)) == 1).all()
    assert (regions(np.zeros((40, 60), np.uint8)) == 0).all()
    assert (to_ink(np.zeros((40, 60), np.bool_)) > 40).all()


@given(seed=st.integers(0, 1000), size=st.integers(20, 120))
@settings(max_examples=25)
def test_every_pixel_of_paper_has_one_region_and_none_crosses_a_line(seed: int, size: int) -> None:
    line_art = draw_figure(seed, size)[1][..., 0]
    labels = regions(line_art)
    paper = line_art >= INK_TONE
    assert ((labels > 0) == paper).all()
    _, parts = cv2.connectedComponents(paper.view(np.uint8), connectivity=4)
    for label in np.unique(labels[paper]):
        assert len(np.unique(parts[labels == label])) == 1
        assert cv2.connectedComponents((labels == label).view(np.uint8), connectivity=4)[0] == 2
