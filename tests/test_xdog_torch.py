"""XDoG of batches against the one of single pictures, bit for bit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lacbench.errors import InputError
from lacbench.images import Array, read, resize_shortest, to_grey
from lacbench.xdog import SIGMAS, xdog
from lacbench.xdog_torch import _blur, xdog_batch

shapes = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))
batches = shapes.flatmap(
    lambda shape: st.tuples(arrays(np.uint8, shape), st.lists(st.sampled_from(SIGMAS), min_size=shape[0]))
)


@given(batches)
@settings(max_examples=100)
def test_equals_the_drawing_of_each_picture(batch: tuple[Array, list[float]]) -> None:
    images, sigmas = batch
    drawn = xdog_batch(torch.from_numpy(images), sigmas[: len(images)]).numpy()
    expected = [xdog(image, sigma) for image, sigma in zip(images, sigmas, strict=False)]
    assert np.array_equal(drawn, np.stack(expected))


@given(batches, st.floats(0.2, 3), st.floats(0.5, 1), st.floats(-0.2, 0.2))
@settings(max_examples=50)
def test_equals_it_at_other_settings(
    batch: tuple[Array, list[float]], sigma: float, tau: float, epsilon: float
) -> None:
    images = batch[0]
    drawn = xdog_batch(torch.from_numpy(images), sigma, tau=tau, epsilon=epsilon).numpy()
    assert np.array_equal(drawn, np.stack([xdog(i, sigma, tau=tau, epsilon=epsilon) for i in images]))


def test_grey_of_every_color_is_opencvs() -> None:
    """A picture for each red: its grey is that of OpenCV, so the drawings are equal where all else is."""
    from lacbench.xdog_torch import _to_grey

    level = np.arange(256, dtype=np.uint8)
    for red in range(0, 256, 5):
        image = np.stack(np.broadcast_arrays(np.uint8(red), level[:, None], level[None]), axis=2)
        ours = _to_grey(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()))[0].numpy()
        assert np.array_equal(ours, to_grey(image))


def art_batches(art: Path, step: int) -> Iterator[Array]:
    for file in sorted(art.glob("*/*"))[::step]:
        yield resize_shortest(read(file), 512)


def compare(image: Array, device: str) -> tuple[int, int]:
    """How many pixels of all thicknesses differ from `xdog`, and how many would without the second look."""
    batch = torch.from_numpy(image.transpose(2, 0, 1).copy()).expand(3, -1, -1, -1).to(device)
    grey = torch.from_numpy(to_grey(image))[None].to(device)
    drawn = xdog_batch(batch, SIGMAS).cpu().numpy()
    differ = single = 0
    for ours, sigma in zip(drawn, SIGMAS, strict=True):
        expected = xdog(image, sigma)
        paper = _blur(grey, sigma) - 0.95 * _blur(grey, 4.5 * sigma) >= 0
        differ += int((ours != expected).sum())
        single += int((paper[0].cpu().numpy() != (expected == 255)).sum())
    return differ, single


@pytest.mark.art
@pytest.mark.parametrize("step", [40, pytest.param(1, marks=pytest.mark.long)])
def test_equals_it_on_real_art(art: Path, step: int) -> None:
    pixels = 0
    told = np.zeros(2, int)
    for image in art_batches(art, step):
        pixels += 3 * image.shape[0] * image.shape[1]
        told += compare(image, "cpu")
    assert told[0] == 0
    assert told[1] < 1e-6 * pixels  # float32 alone flips one pixel in ten million


@pytest.mark.gpu
def test_a_gpu_draws_the_same(art: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
        True  # as a trainer may set them
    )
    try:
        assert all(compare(image, "cuda")[0] == 0 for image in art_batches(art, 40))
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 4, 4), torch.zeros(4, 4).byte(), torch.zeros(1, 4, 4, 3).byte()]
)
def test_other_tensors_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match="xdog_batch takes uint8"):
        xdog_batch(images, 0.5)


def test_other_sigmas_are_refused() -> None:
    images = torch.zeros(2, 4, 4, dtype=torch.uint8)
    with pytest.raises(InputError, match="one sigma or 2, one a picture, got 3"):
        xdog_batch(images, SIGMAS)
    with pytest.raises(InputError, match="sigmas and k"):
        xdog_batch(images, [0.5, 0])
    with pytest.raises(InputError, match="sigmas and k"):
        xdog_batch(images, float("nan"))
    assert xdog_batch(images[:0], 0.5).shape == (0, 4, 4)
