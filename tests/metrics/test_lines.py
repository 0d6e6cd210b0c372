"""Line fidelity of drawn pictures whose right answer is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.images import Array, write_png
from lacbench.metrics.lines import NARROW, TOLERANCE, WIDE, LineFidelity, line_fidelity, lines_of, width

WIDTH = 4


def ruled(*columns: int, wide: int = WIDTH) -> Array:
    """Line art of 512 × 512 pixels with black lines down it, from so many pixels from the left."""
    sheet = np.full((512, 512), 255, np.uint8)
    for column in columns:
        sheet[:, column : column + wide] = 0
    return sheet


def colored(line_art: Array, *colors: tuple[int, int, int]) -> Array:
    """Bands of equal height in these colours, under the lines."""
    bands = np.repeat(np.array(colors, np.float64), -(-512 // len(colors)), axis=0)[:512]
    return np.rint(bands[:, None] * (line_art[..., None] / 255)).astype(np.uint8)


LINES = ruled(100, 200, 300, 400)
PASTEL = ((250, 200, 180), (90, 140, 230), (120, 200, 90))


def test_the_line_art_itself_is_perfect_on_any_colours() -> None:
    for colors in ([(255, 255, 255)], PASTEL):
        assert line_fidelity(colored(LINES, *colors), LINES) == LineFidelity(1.0, 1.0)


def test_half_of_the_lines_kept_is_a_recall_of_a_half() -> None:
    kept = line_fidelity(colored(ruled(100, 300), *PASTEL), LINES)
    assert (kept.precision, kept.recall) == (1.0, 0.5)
    assert kept.f == pytest.approx(2 / 3)


def test_as_many_lines_added_is_a_precision_of_a_half() -> None:
    added = line_fidelity(colored(ruled(50, 100, 150, 200, 250, 300, 350, 400), *PASTEL), LINES)
    assert (added.precision, added.recall) == (0.5, 1.0)


@pytest.mark.parametrize("shift", [*range(2 * WIDTH)])
def test_lines_match_within_the_tolerance(shift: int) -> None:
    """Of 4 columns moved by s those match that lie at most 2 beside a column of the line."""
    moved = line_fidelity(colored(ruled(*(c + shift for c in (100, 200, 300, 400))), *PASTEL), LINES)
    expected = np.clip(WIDTH + TOLERANCE - shift, 0, WIDTH) / WIDTH
    assert moved == LineFidelity(expected, expected)


def test_lines_lost_altogether() -> None:
    blank = np.full((512, 512, 3), 200, np.uint8)
    assert line_fidelity(blank, LINES) == LineFidelity(None, 0.0)
    assert line_fidelity(blank, LINES).f == 0
    assert line_fidelity(blank, blank[..., 0]).f is None
    assert line_fidelity(colored(LINES, *PASTEL), np.full_like(LINES, 255)).precision == 0


def test_a_border_between_colours_and_a_dark_area_are_no_lines() -> None:
    output = colored(LINES, *PASTEL)
    output[:, 120:180] = (30, 30, 60)
    output[:, 220:280] = (200, 30, 60)
    assert line_fidelity(output, LINES) == LineFidelity(1.0, 1.0)


def test_lines_drawn_over_in_their_surroundings_colour_are_lost() -> None:
    """Black hair painted black: the strands in it cannot be seen."""
    output = colored(LINES, *PASTEL)
    output[:, 180:320] = 0
    assert line_fidelity(output, LINES) == LineFidelity(1.0, 0.5)


@pytest.mark.parametrize(("wide", "told"), [(1, NARROW), (5, 5.0), (11, 11.0), (40, WIDE)])
def test_the_width_of_lines(wide: int, told: float) -> None:
    assert width(ruled(100, 300, wide=wide)) == pytest.approx(told, abs=0.1)
    assert width(np.full((512, 512), 255, np.uint8)) == NARROW


@pytest.mark.parametrize("wide", [1, 3, 9, 15])
def test_thin_and_thick_lines_are_lines(wide: int) -> None:
    lines = ruled(100, 300, wide=wide)
    assert line_fidelity(colored(lines, *PASTEL), lines) == LineFidelity(1.0, 1.0)


def test_the_size_of_the_output_is_of_no_account() -> None:
    output = colored(LINES, *PASTEL)
    for size in (256, 1024):
        other = np.asarray(cv2.resize(output, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        assert line_fidelity(other, LINES).f == pytest.approx(1, abs=0.02)


@given(
    colors=st.lists(st.tuples(*[st.integers(90, 255)] * 3), min_size=1, max_size=6), count=st.integers(0, 4)
)
@settings(max_examples=20)
def test_recall_is_the_share_of_lines_kept_whatever_the_colours(
    colors: list[tuple[int, int, int]], count: int
) -> None:
    kept = line_fidelity(colored(ruled(*(100, 200, 300, 400)[:count]), *colors), LINES)
    assert kept.recall == pytest.approx(count / 4, abs=1e-9)
    assert kept.precision in ((1.0,) if count else (None, 0.0))


@given(cuts=st.lists(st.integers(0, 480), min_size=2, max_size=5))
@settings(max_examples=10)
def test_erasing_more_never_raises_recall(cuts: list[int]) -> None:
    lines, told = LINES.copy(), [1.0]
    for cut in cuts:
        lines[cut : cut + 32] = 255
        found = line_fidelity(colored(lines, *PASTEL), LINES)
        assert found.precision == 1
        told.append(found.recall or 0)
    assert told == sorted(told, reverse=True)
    assert told[-1] < 1


def test_a_submission(tmp_path: Path) -> None:
    for name, columns in (("a", (100, 200, 300, 400)), ("b", (100, 300))):
        write_png(tmp_path / f"{name}.png", colored(ruled(*columns), *PASTEL))
    write_png(tmp_path / "line.png", LINES)
    told = lines_of(
        {name: tmp_path / f"{name}.png" for name in "ab"}, dict.fromkeys("ab", tmp_path / "line.png")
    )
    assert (told.recall.value, told.recall.standard_error, told.recall.n) == (0.75, 0.25, 2)
    assert told.precision.value == 1
    assert told.f.value == pytest.approx(5 / 6)


def test_another_picture_is_refused() -> None:
    with pytest.raises(InputError, match="expected the same aspect"):
        line_fidelity(colored(LINES, *PASTEL)[:400], LINES)
