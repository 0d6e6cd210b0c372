"""Colours as CIE has them, means with their errors, and pictures that fit their line art."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.images import Array, write_png
from lacbench.metrics.claims import Mean, aligned, ciede2000, lab, mean, over

SHARMA = np.loadtxt(
    io.StringIO("""
    50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
    50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
    50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
    50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
    50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
    50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
    50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
    50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
    50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
    50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
    50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
    50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
    50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
    50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
    50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
    50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
    50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
    50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
    50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
    50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
    50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
    50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
    50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
    50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
    60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
    63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
    61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
    35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
    22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
    36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
    90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
    90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
    6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
    2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
    """)
)
"""Table 1 of Sharma, Wu and Dalal (2005): L*, a*, b* of two colours, and ΔE₀₀."""

colors = st.tuples(*[st.integers(0, 255)] * 3)


def test_ciede2000_gives_the_published_differences() -> None:
    ours = ciede2000(SHARMA[:, :3], SHARMA[:, 3:6])
    np.testing.assert_allclose(ours, SHARMA[:, 6], atol=5.1e-5)
    np.testing.assert_allclose(ciede2000(SHARMA[:, 3:6], SHARMA[:, :3]), SHARMA[:, 6], atol=5.1e-5)


@given(first=colors, second=colors)
def test_ciede2000_is_a_difference(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = lab(np.array([first, second], np.uint8))
    assert ciede2000(a, b) == pytest.approx(ciede2000(b, a), abs=1e-9)
    assert ciede2000(a, a) == 0
    assert (ciede2000(a, b) > 0) == (first != second)


def test_lab_of_known_colours() -> None:
    """Values of the sRGB primaries as commonly published for D65, to two digits."""
    given_ = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]], np.uint8)
    expected = [
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [100, 0, 0],
        [0, 0, 0],
    ]
    np.testing.assert_allclose(lab(given_), expected, atol=0.03)
    greys = lab(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    np.testing.assert_allclose(greys[:, 1:], 0, atol=1e-12)


def test_a_mean_knows_its_error_and_what_was_left_out() -> None:
    assert mean([1.0, None, 3.0]) == Mean(2.0, 1.0, 2, 1)
    assert mean([0.5]) == Mean(0.5, None, 1, 0)
    assert mean([None]) == Mean(None, None, 0, 1)


def sheet(height: int, width: int) -> tuple[Array, Array]:
    return np.full((height, width, 3), 200, np.uint8), np.full((height, width), 255, np.uint8)


def test_everything_is_measured_at_512() -> None:
    for size in ((283, 200), (724, 512), (1448, 1024)):
        output, line_art = aligned(sheet(*size)[0], sheet(1000, 707)[1])
        assert output.shape == (*line_art.shape, 3)
        assert min(line_art.shape) == 512


@pytest.mark.parametrize(
    ("output", "line_art", "message"),
    [
        (sheet(100, 100)[0], sheet(100, 120)[1], "the output has 100 × 100 pixels, its line art 120 × 100"),
        (
            sheet(100, 100)[1],
            sheet(100, 100)[1],
            r"expected an output uint8 \(H, W, 3\) RGB, got uint8 \(100, 100\)",
        ),
        (sheet(100, 100)[0], sheet(100, 100)[0], r"expected a line art uint8 \(H, W\)"),
        (sheet(100, 100)[0] / 255, sheet(100, 100)[1], "got float64"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(output: Array, line_art: Array, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aligned(output, line_art)


def test_a_submission_must_be_whole(tmp_path: Path) -> None:
    for name, picture in zip(("output", "line"), sheet(40, 40), strict=True):
        write_png(tmp_path / f"{name}.png", picture)
    files = {"a": tmp_path / "output.png"}, {"a": tmp_path / "line.png", "b": tmp_path / "line.png"}
    with pytest.raises(InputError, match=r"1 of 2 line arts have no output \(b\)"):
        over(*files, lambda *_: 0, "x")
    write_png(tmp_path / "wide.png", sheet(40, 80)[0])
    with pytest.raises(InputError, match=r"wide\.png: the output has 80 × 40 pixels"):
        over({"a": tmp_path / "wide.png"}, {"a": tmp_path / "line.png"}, lambda _, *both: aligned(*both), "x")
