"""PSNR, SSIM and MS-SSIM, against the libraries that papers take, and by what must hold of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lacbench.errors import InputError
from lacbench.metrics.paired import CEILING, SCALES, matched, ms_ssim, psnr, psnr_lab, ssim

from pictures_alike import alike

MEASURES = (psnr, psnr_lab, ssim, ms_ssim)


def test_the_figures_are_those_of_the_libraries_that_papers_take() -> None:
    """Noted once, of these pictures.

    scikit-image 0.26 (`structural_similarity` with gaussian_weights=True, sigma=1.5, data_range=255,
    use_sample_covariance=False, channel_axis=2; `peak_signal_noise_ratio`; `rgb2lab`, whose white point
    differs in the fifth digit) and pytorch-msssim 1.0 (`ms_ssim`, float64, with the window in float64).
    """
    a, b = alike(192, 176)
    assert psnr(a, b) == pytest.approx(21.019273206430924, abs=1e-9)
    assert psnr_lab(a, b) == pytest.approx(23.845276461288584, abs=1e-3)
    assert ssim(a, b) == pytest.approx(0.6191424866107834, abs=1e-9)
    assert ms_ssim(a, b) == pytest.approx(0.8352912362607666, abs=1e-9)


@pytest.mark.parametrize("shape", [(177, 200), (161, 161), (203, 187)])
def test_ms_ssim_is_wangs_own_program(shape: tuple[int, int]) -> None:
    """His `msssim.m` smooths by `imfilter(…, ones(2)/4, 'symmetric')` and takes every second pixel."""
    a, b = alike(*shape)
    expected = []
    for x, y in zip(np.moveaxis(a.astype(float), 2, 0), np.moveaxis(b.astype(float), 2, 0), strict=True):
        product = 1.0
        for scale, exponent in enumerate(SCALES):
            whole, contrast = _wang(x, y)
            product *= (whole if scale == 4 else contrast) ** exponent
            x, y = (ndimage.uniform_filter(p, 2, mode="reflect", origin=-1)[::2, ::2] for p in (x, y))
        expected.append(product)
    assert ms_ssim(a, b) == pytest.approx(np.mean(expected), abs=1e-12)


def _wang(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    def windowed(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    c1, c2, mx, my = 6.5025, 58.5225, windowed(x), windowed(y)
    vx, vy, cov = windowed(x * x) - mx**2, windowed(y * y) - my**2, windowed(x * y) - mx * my
    contrast = (2 * cov + c2) / (vx + vy + c2)
    return float(((2 * mx * my + c1) / (mx**2 + my**2 + c1) * contrast).mean()), float(contrast.mean())


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=10)
def test_they_are_symmetric_and_best_for_equal_pictures(seed: int, strength: int) -> None:
    random = np.random.default_rng(seed)
    a = random.integers(0, 256, (161, 170, 3), np.uint8)
    b = np.clip(a.astype(int) + random.integers(-strength, strength + 1, a.shape), 0, 255).astype(np.uint8)
    for measure, best in zip(MEASURES, (CEILING, CEILING, 1.0, 1.0), strict=True):
        assert measure(a, b) == pytest.approx(measure(b, a), abs=1e-12)
        assert measure(a, a) == pytest.approx(best)
        assert measure(a, b) < best or (a == b).all()


def test_psnr_of_black_and_white_is_0() -> None:
    black, white = (np.full((20, 30, 3), tone, np.uint8) for tone in (0, 255))
    assert psnr(black, white) == 0
    assert psnr_lab(black, white) == pytest.approx(10 * np.log10(3))  # a* and b* are equal


def test_pictures_too_small_for_a_window_are_refused() -> None:
    small = np.zeros((10, 300, 3), np.uint8)
    with pytest.raises(InputError, match="300 × 10 pixels is too small: expected 11 or more"):
        ssim(small, small)
    with pytest.raises(InputError, match="expected 161 or more"):
        ms_ssim(np.zeros((160, 300, 3), np.uint8), np.zeros((160, 300, 3), np.uint8))


def test_pictures_are_brought_to_one_size() -> None:
    output, truth = (np.zeros((*shape, 3), np.uint8) for shape in ((64, 91), (600, 850)))
    small, true = matched(output, truth)
    assert small.shape == true.shape == (512, 725, 3)
    with pytest.raises(InputError, match="the output has 64 × 64 pixels, the true picture 850 × 600"):
        matched(np.zeros((64, 64, 3), np.uint8), truth)
