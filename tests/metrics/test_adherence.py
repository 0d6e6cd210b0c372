"""Hint adherence of drawn pictures whose right answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.hints import Hint
from lacbench.images import Array, write_png
from lacbench.metrics.adherence import ALIKE, hint_adherence, hints_of
from lacbench.metrics.claims import ciede2000, lab

RED, BLUE, GREEN = (200, 30, 30), (20, 40, 220), (30, 160, 60)


def two_rooms() -> Array:
    """Line art of 512 × 512 pixels, parted by a line down its middle, with a door of 4 pixels in it."""
    sheet = np.full((512, 512), 255, np.uint8)
    sheet[:, 254:258] = 0
    sheet[250:254, 254:258] = 255
    return sheet


ROOMS = two_rooms()
LEFT, RIGHT = Hint(0.25, 0.5, RED), Hint(0.75, 0.5, BLUE)


def painted(left: tuple[int, int, int], right: tuple[int, int, int]) -> Array:
    output = np.zeros((512, 512, 3), np.uint8)
    output[:, :256], output[:, 256:] = left, right
    return np.where(ROOMS[..., None] == 0, 0, output).astype(np.uint8)


def apart(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    a, b = lab(np.array([first, second], np.uint8))
    return float(ciede2000(a, b))


def test_hints_followed_to_the_letter() -> None:
    told = hint_adherence(painted(RED, BLUE), ROOMS, [LEFT, RIGHT])
    assert (told.difference, told.reach, told.hints) == (0.0, 1.0, 2)


def test_one_of_two_hints_ignored() -> None:
    told = hint_adherence(painted(RED, RED), ROOMS, [LEFT, RIGHT])
    assert told.difference == pytest.approx(apart(RED, BLUE) / 2)
    assert told.reach == 0.5


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_colour_that_reaches_part_of_its_region(share: float) -> None:
    output = painted((255, 255, 255), BLUE)
    output[: int(512 * share), :254] = RED
    told = hint_adherence(output, ROOMS, [Hint(0.25, 0.1, RED)])
    assert told.difference == 0
    assert told.reach == pytest.approx(share, abs=0.01)


def test_a_region_may_have_hints_of_two_colours() -> None:
    output = painted(RED, BLUE)
    output[256:, :254] = GREEN
    told = hint_adherence(output, ROOMS, [LEFT, Hint(0.25, 0.9, GREEN)])
    assert told.reach == 1


def test_the_middle_colour_around_the_hint_counts_not_what_lies_on_it() -> None:
    output = painted(RED, BLUE)
    output[254:258] = 0
    assert hint_adherence(output, ROOMS, [LEFT]).difference == 0


def test_a_hint_on_a_line_is_for_what_lies_nearest() -> None:
    for column, color in ((254.5, RED), (257.5, BLUE)):
        told = hint_adherence(painted(RED, BLUE), ROOMS, [Hint(column / 512, 0.1, color)])
        assert (told.difference, told.reach) == (0.0, 1.0)


def test_lines_and_what_lies_across_them_do_not_count() -> None:
    told = hint_adherence(painted(RED, BLUE), ROOMS, [Hint(250 / 512, 0.1, RED)])
    assert (told.difference, told.reach) == (0.0, 1.0)


@given(
    color=st.tuples(*[st.integers(0, 255)] * 3),
    other=st.tuples(*[st.integers(0, 255)] * 3),
    x=st.floats(0, 1, exclude_max=True),
    y=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=12)
def test_of_an_even_output_it_is_the_difference_of_two_colours(
    color: tuple[int, int, int], other: tuple[int, int, int], x: float, y: float
) -> None:
    told = hint_adherence(np.full((512, 512, 3), other, np.uint8), ROOMS, [Hint(x, y, color)])
    assert told.difference == pytest.approx(apart(color, other))
    assert told.reach == (apart(color, other) <= ALIKE)


@given(steps=st.lists(st.integers(1, 60), min_size=2, max_size=3))
@settings(max_examples=8)
def test_the_greyer_the_output_the_farther_from_its_hints(steps: list[int]) -> None:
    told = []
    for gone in np.cumsum([0, *steps]) / 200:
        pale = tuple(int(c) for c in np.rint(np.array(RED) * (1 - gone) + 118 * gone))
        told.append(hint_adherence(painted(pale, BLUE), ROOMS, [LEFT]).difference)  # type: ignore[arg-type]
    assert told == sorted(told)


def test_thousands_of_dabs_are_as_one() -> None:
    dabs = [Hint(0.1 + 0.3 * i / 2000, 0.4, RED) for i in range(2000)]
    assert hint_adherence(painted(RED, BLUE), ROOMS, dabs).reach == 1


def test_no_hints_and_no_paper_are_refused() -> None:
    with pytest.raises(InputError, match="hint adherence needs hints, got none"):
        hint_adherence(painted(RED, BLUE), ROOMS, [])
    with pytest.raises(InputError, match="nothing but lines"):
        hint_adherence(painted(RED, BLUE), np.zeros_like(ROOMS), [LEFT])
    with pytest.raises(InputError, match="expected the same aspect"):
        hint_adherence(painted(RED, BLUE)[:300], ROOMS, [LEFT])


def test_a_submission_counts_line_arts_without_hints(tmp_path: Path) -> None:
    for name, right in (("a", BLUE), ("b", RED), ("c", RED)):
        write_png(tmp_path / f"{name}.png", painted(RED, right))
    write_png(tmp_path / "line.png", ROOMS)
    told = hints_of(
        {name: tmp_path / f"{name}.png" for name in "abc"},
        dict.fromkeys("abc", tmp_path / "line.png"),
        {"a": [RIGHT], "b": [RIGHT]},
    )
    assert told.difference.value == pytest.approx(apart(RED, BLUE) / 2)
    assert told.difference.standard_error == pytest.approx(apart(RED, BLUE) / 2)
    assert (told.reach.value, told.reach.n, told.reach.left_out) == (0.5, 2, 1)
