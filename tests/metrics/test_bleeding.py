"""Bleeding of drawn pictures whose right answer is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.images import Array, write_png
from lacbench.metrics.bleeding import BESIDE, Bleeding, bleeding, bleeding_of

RED, BLUE = (200, 60, 60), (60, 80, 220)
COLUMN, WIDTH = 254, 4


def parted(wide: int = WIDTH) -> Array:
    """Line art of 512 × 512 pixels with one line down its middle."""
    sheet = np.full((512, 512), 255, np.uint8)
    sheet[:, COLUMN : COLUMN + wide] = 0
    return sheet


def painted(spill: int = 0, left: tuple[int, ...] = RED, right: tuple[int, ...] = BLUE) -> Array:
    """Two colours, the left one so many pixels beyond the line."""
    output = np.zeros((512, 512, 3), np.uint8)
    output[:], output[:, COLUMN + WIDTH + spill :] = left, right
    output[parted() == 0] = 0
    return output


def test_colours_that_stop_at_the_line() -> None:
    told = bleeding(painted(), parted())
    assert told.value == pytest.approx(0, abs=1e-9)
    assert told.crossings > 900  # both sides of some 500 pixels


@pytest.mark.parametrize("spill", range(1, BESIDE + 1))
def test_each_pixel_that_a_colour_runs_over_the_line_counts_the_same(spill: int) -> None:
    for turn in range(4):
        told = bleeding(np.rot90(painted(spill), turn).copy(), np.rot90(parted(), turn).copy())
        assert told.value == pytest.approx(spill / BESIDE, abs=1e-9)


def test_a_colour_that_ends_on_the_line_does_not_bleed() -> None:
    for spill in range(-WIDTH, 1):
        assert bleeding(painted(spill), parted()).value == pytest.approx(0, abs=1e-9)


@given(pale=st.floats(0.1, 1), spill=st.integers(0, BESIDE))
@settings(max_examples=20)
def test_pale_colours_bleed_as_vivid_ones(pale: float, spill: int) -> None:
    colors = [tuple(np.rint(150 + pale * (np.array(c) - 150)).astype(int).tolist()) for c in (RED, BLUE)]
    told = bleeding(painted(spill, *colors), parted())
    assert told.value == pytest.approx(spill / BESIDE, abs=1e-9)


@given(steps=st.lists(st.integers(1, 2), min_size=2, max_size=4))
@settings(max_examples=10)
def test_the_wider_the_smear_the_more_it_bleeds(steps: list[int]) -> None:
    clean = painted()
    clean[:, COLUMN : COLUMN + 2], clean[:, COLUMN + 2 : COLUMN + 4] = RED, BLUE
    told = []
    for sigma in 2 + np.cumsum(steps):
        smeared = np.asarray(cv2.GaussianBlur(clean, (0, 0), float(sigma)), np.uint8)
        told.append(bleeding(np.where(parted()[..., None] == 0, 0, smeared).astype(np.uint8), parted()).value)
    assert None not in told
    assert told == sorted(told)  # type: ignore[type-var]
    assert 0 < told[0] < told[-1] < 1  # type: ignore[operator]


def test_one_colour_on_both_sides_tells_nothing() -> None:
    assert bleeding(painted(right=RED), parted()) == Bleeding(None, 0)
    grey = np.repeat(parted()[..., None], 3, axis=2)
    assert bleeding(grey, parted()) == Bleeding(None, 0)


def test_without_lines_or_with_lines_too_wide_there_is_nothing_to_cross() -> None:
    assert bleeding(painted(), np.full((512, 512), 255, np.uint8)) == Bleeding(None, 0)
    assert bleeding(painted(), np.zeros((512, 512), np.uint8)) == Bleeding(None, 0)
    assert bleeding(painted(), parted(wide=40)) == Bleeding(None, 0)


def test_shading_is_no_bleeding() -> None:
    """Lightness is not looked at: a shadow along the line changes no hue."""
    shaded = painted(left=(150, 150, 150), right=BLUE)
    shaded[:, COLUMN - 8 : COLUMN] = (90, 90, 90)
    assert bleeding(shaded, parted()).value == pytest.approx(0, abs=0.01)


def test_sides_that_other_lines_take_up_are_left_out() -> None:
    lines = parted()
    lines[:, COLUMN + 10 : COLUMN + 12] = 0
    assert bleeding(painted(), lines).crossings == 0


def test_the_size_of_the_output_is_of_no_account() -> None:
    for size in (256, 1024):
        other = np.asarray(cv2.resize(painted(4), (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        assert bleeding(other, parted()).value == pytest.approx(0.5, abs=0.1)


def test_a_submission(tmp_path: Path) -> None:
    for name, output in (("a", painted()), ("b", painted(4)), ("c", painted(right=RED))):
        write_png(tmp_path / f"{name}.png", output)
    write_png(tmp_path / "line.png", parted())
    told = bleeding_of(
        {name: tmp_path / f"{name}.png" for name in "abc"}, dict.fromkeys("abc", tmp_path / "line.png")
    )
    assert told.value == pytest.approx(0.25)
    assert told.standard_error == pytest.approx(0.25)
    assert (told.n, told.left_out) == (2, 1)


def test_another_picture_is_refused() -> None:
    with pytest.raises(InputError, match="expected the same aspect"):
        bleeding(painted()[:300], parted())
