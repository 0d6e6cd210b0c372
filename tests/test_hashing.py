"""Perceptual hashes against imagehash and a float64 oracle; what is the same and what is not."""

import io
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.fft import dct

from lacbench.dedupe import distance
from lacbench.hashing import BITS, Hashes, hashes, ink_hash, is_sparse, phash, to_array
from lacbench.images import Array, decode, read, to_grey

from made import draw_figure


def bits(hash_: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(hash_, np.uint8)).astype(bool)


@given(arrays(np.uint8, (64, 64)))
@settings(max_examples=100)
def test_equals_imagehash_where_no_resize_is_needed(image: Array) -> None:
    theirs = imagehash.phash(Image.fromarray(image), hash_size=16).hash.ravel()
    assert np.array_equal(bits(phash(image)), theirs)


def area_means(grey: Array) -> np.ndarray:
    """Area averages (64, 64) in float64 by overlap matrices."""

    def overlap(length: int) -> np.ndarray:
        edges = np.linspace(0, length, 65)
        low, high = np.arange(length), np.arange(1, length + 1)
        shared = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
        return np.clip(shared, 0, None) / (length / 64)

    return overlap(grey.shape[0]) @ grey.astype(np.float64) @ overlap(grey.shape[1]).T


@given(st.integers(0, 10**6), st.integers(64, 300), st.integers(64, 300))
@settings(max_examples=60)
def test_equals_the_float64_oracle(seed: int, height: int, width: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 5)
    means = area_means(to_grey(image))
    spectrum = dct(dct(means, axis=0), axis=1)[:16, :16]
    margin = np.abs(spectrum - np.median(spectrum))
    sure = margin > 0.05  # the area average is taken in float32
    assert sure.mean() > 0.98
    assert np.array_equal(bits(phash(image))[sure.ravel()], (spectrum > np.median(spectrum))[sure])


@pytest.mark.art
def test_close_to_imagehash_on_real_art(art: Path) -> None:
    """The two differ by the resize alone: about one bit in a hundred."""
    apart = []
    for file in sorted(art.glob("*/*"))[::20]:
        image = read(file)
        theirs = imagehash.phash(Image.fromarray(image), hash_size=16).hash.ravel()
        apart.append(int((bits(phash(image)) != theirs).sum()))
    assert np.mean(apart) < 4
    assert max(apart) <= 16


def jpeg(image: Array, quality: int) -> Array:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return decode(buffer.getvalue())


BENIGN = {
    "jpeg": lambda image: jpeg(image, 60),
    "smaller": lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "brighter": lambda image: np.clip(image.astype(int) + 15, 0, 255).astype(np.uint8),
    "grey": lambda image: np.repeat(to_grey(image)[..., None], 3, axis=2),
}


@pytest.mark.art
@pytest.mark.parametrize("change", BENIGN)
def test_benign_changes_stay_within_the_threshold_on_real_art(art: Path, change: str) -> None:
    for file in sorted((art / "illustrations").glob("*"))[::30]:
        image = read(file)
        assert distance(phash(image), phash(BENIGN[change](image))) <= 32, file.name


def test_different_figures_are_far_apart() -> None:
    hashes = [phash(draw_figure(seed)[0]) for seed in range(12)]
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 64


def test_a_drawing_and_its_coloured_version_share_the_ink_hash() -> None:
    same = [distance(*(ink_hash(picture) for picture in draw_figure(seed, 512))) for seed in range(12)]
    other = [
        distance(ink_hash(draw_figure(seed, 512)[0]), ink_hash(draw_figure(seed + 1, 512)[1]))
        for seed in range(12)
    ]
    assert np.median(same) <= 32
    assert min(other) > 60


@pytest.mark.parametrize("size", [100, 512, 600])
def test_all_at_once_are_the_same(size: int) -> None:
    for picture in (*draw_figure(3, size), np.zeros((size, size + 9, 3), np.uint8)):
        assert hashes(picture) == Hashes(phash(picture), ink_hash(picture), is_sparse(picture))


@pytest.mark.parametrize("tone", [0, 127, 255])
def test_blank_pages_are_sparse(tone: int) -> None:
    assert is_sparse(np.full((300, 200, 3), tone, np.uint8))


def test_stripes_are_sparse_and_figures_are_not() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:128] = 255
    assert is_sparse(np.repeat(stripes[..., None], 3, axis=2))
    assert not any(is_sparse(picture) for seed in range(12) for picture in draw_figure(seed))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_to_array_keeps_every_bit(rows: list[bytes]) -> None:
    assert [row.tobytes() for row in to_array(rows)] == rows


def test_width() -> None:
    assert len(phash(draw_figure(0)[0])) * 8 == BITS == 256
