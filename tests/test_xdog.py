"""XDoG against the same formula in float64 SciPy, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter

from lacbench.errors import InputError
from lacbench.images import Array, read, resize_shortest, to_grey
from lacbench.xdog import SIGMAS, _blur, xdog

from made import draw_figure


def oracle(image: Array, sigma: float, tau: float = 0.95, k: float = 4.5, epsilon: float = 0.0) -> Array:
    """The hard-step XDoG in float64, by SciPy's Gaussian of the same truncation and border."""
    grey = to_grey(image).astype(np.float64)
    difference = gaussian_filter(grey, sigma) - tau * gaussian_filter(grey, k * sigma)
    return np.where(difference >= 255 * epsilon, 255, 0).astype(np.uint8)


pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(pictures, st.sampled_from(SIGMAS))
@settings(max_examples=150)
def test_equals_the_float64_oracle_on_noise(image: Array, sigma: float) -> None:
    assert np.array_equal(xdog(image, sigma), oracle(image, sigma))


@given(pictures, st.floats(0.2, 3), st.floats(0.5, 1), st.floats(-0.2, 0.2))
@settings(max_examples=100)
def test_equals_the_oracle_at_other_settings(image: Array, sigma: float, tau: float, epsilon: float) -> None:
    ours, theirs = xdog(image, sigma, tau=tau, epsilon=epsilon), oracle(image, sigma, tau, 4.5, epsilon)
    grey = image.astype(np.float64)
    difference = gaussian_filter(grey, sigma) - tau * gaussian_filter(grey, 4.5 * sigma)
    tie = np.abs(difference - 255 * epsilon) < 1e-9  # float64 itself cannot tell these sides apart
    assert np.array_equal(ours[~tie], theirs[~tie])


@pytest.mark.art
@pytest.mark.parametrize("sigma", SIGMAS)
def test_equals_the_oracle_on_real_art(art: Path, sigma: float) -> None:
    for file in sorted(art.glob("*/*"))[:: 809 // 30]:
        image = resize_shortest(read(file), 512)
        assert np.array_equal(xdog(image, sigma), oracle(image, sigma)), file.name


@pytest.mark.art
@pytest.mark.long
@pytest.mark.parametrize("sigma", SIGMAS)
def test_equals_the_oracle_on_all_real_art(art: Path, sigma: float) -> None:
    for file in sorted(art.glob("*/*")):
        image = resize_shortest(read(file), 512)
        assert np.array_equal(xdog(image, sigma), oracle(image, sigma)), file.name


def test_float32_alone_would_be_wrong_where_we_are_right() -> None:
    """The second look in float64 is needed: float32 filters flip a pixel of this picture."""
    image = np.random.default_rng(1).integers(0, 256, (512, 512)).astype(np.uint8)
    single = _blur(image, 0.4) - np.float32(0.95) * _blur(image, 4.5 * 0.4)
    truth = oracle(image, 0.4)
    assert ((single >= 0) != (truth == 255)).sum() == 1
    assert np.array_equal(xdog(image, 0.4), truth)


def test_thicker_sigma_draws_thicker_lines() -> None:
    image, _ = draw_figure(3)
    ink = [(xdog(image, sigma) == 0).mean() for sigma in SIGMAS]
    assert 0 < ink[0] <= ink[1] <= ink[2] < 0.5


@pytest.mark.parametrize("shape", [(600, 1100), (513, 3), (1, 1300)])
def test_pictures_of_many_tiles_have_no_seams(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    for sigma in (0.5, 9.0):
        assert np.array_equal(xdog(image, sigma), oracle(image, sigma))


def test_one_bright_pixel_in_black_and_ties_everywhere() -> None:
    """Where one blur is zero and the other is not, and where float32 tells no side of any pixel."""
    image = np.zeros((60, 60), np.uint8)
    image[30, 30] = 255
    assert np.array_equal(xdog(image, 0.5), oracle(image, 0.5))
    assert np.array_equal(xdog(image, 0.5, epsilon=0.01), oracle(image, 0.5, epsilon=0.01))
    paper = np.full((40, 40), 200, np.uint8)
    for epsilon in (0.0391, 0.0393, 0.05 * 200 / 255 * (1 - 1e-9), 0.05 * 200 / 255 * (1 + 1e-9)):
        assert np.array_equal(xdog(paper, 0.5, epsilon=epsilon), oracle(paper, 0.5, epsilon=epsilon))


def test_flat_paper_of_any_tone_has_no_ink() -> None:
    for tone in range(256):
        assert (xdog(np.full((20, 20), tone, np.uint8), 0.5) == 255).all()


def test_soft_threshold_follows_the_formula() -> None:
    image = draw_figure(4)[0]
    grey = to_grey(image).astype(np.float64) / 255
    difference = gaussian_filter(grey, 0.5) - 0.95 * gaussian_filter(grey, 2.25)
    expected = np.where(difference >= 0.01, 1, 1 + np.tanh(20 * (difference - 0.01))) * 255
    ours = xdog(image, 0.5, epsilon=0.01, phi=20)
    assert np.abs(ours.astype(float) - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), float), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_other_arrays_are_refused(image: Array) -> None:
    with pytest.raises(InputError, match="xdog takes uint8"):
        xdog(image, 0.5)


def test_sigma_must_be_positive() -> None:
    with pytest.raises(InputError, match="a sigma and k"):
        xdog(np.zeros((4, 4), np.uint8), 0)
