"""The second key: crops, padding and mirrors, in collections and in a build."""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.crops import COPIES, CUTS, KEYS, WINDOWS, crop_distance, crop_keys, crop_pairs
from lacbench.curate import build_dataset
from lacbench.hashing import phash
from lacbench.images import Array, write_png
from lacbench.leaks import find_leaks
from lacbench.recipe import DedupeSpec

from made import draw_figure, recipe_for


def cut(image: Array, left: float, top: float, right: float, bottom: float) -> Array:
    """Without these shares of its width and height."""
    height, width = image.shape[:2]
    rows = slice(round(height * top), height - round(height * bottom))
    return image[rows, round(width * left) : width - round(width * right)]


def padded(image: Array, share: float, color: tuple[int, int, int] = (255, 255, 255)) -> Array:
    """With so much more on each side."""
    margin = round(share * len(image))
    return cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_CONSTANT, value=color)


CHANGES = {
    "crop 2%": lambda image: cut(image, 0.02, 0.02, 0.02, 0.02),
    "crop 5%": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "off centre": lambda image: cut(image, 0.05, 0.0, 0.02, 0.04),
    "padded 6%": lambda image: padded(image, 0.06),
    "padded 20%, black": lambda image: padded(image, 0.2, (0, 0, 0)),
    "mirror": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "mirror, cropped": lambda image: np.ascontiguousarray(cut(image, 0.0, 0.03, 0.05, 0.0)[:, ::-1]),
}


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Bits by which hashes (..., 32) differ."""
    return np.bitwise_count(a ^ b).sum(axis=-1)


@pytest.mark.parametrize("seed", range(3))
def test_windows_are_the_hashes_of_crops(seed: int) -> None:
    """The oracle: cut the picture and hash what is left; a few bits near the median may differ."""
    image = draw_figure(seed, 800)[0]
    keys = crop_keys(image)
    assert keys.shape == (KEYS, 32)
    assert (len(CUTS) ** 4, COPIES + WINDOWS) == (WINDOWS, KEYS)
    choices = list(product(CUTS, repeat=4))  # top, bottom, left, right
    crops = [phash(cut(image, left, top, right, bottom)) for top, bottom, left, right in choices]
    apart = hamming(keys[COPIES:], np.array([list(crop) for crop in crops], np.uint8))
    assert apart.mean() < 2
    assert apart.max() <= 8


def test_copies_are_the_hashes_of_the_whole_the_trimmed_and_the_mirrored() -> None:
    image = draw_figure(4)[0]
    rows, columns = np.nonzero((image < 231).any(axis=2))
    box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    expected = [image, box, image[:, ::-1], box[:, ::-1]]
    assert [key.tobytes() for key in crop_keys(image)[:COPIES]] == [phash(i) for i in expected]


def test_what_would_hardly_be_left_is_not_trimmed() -> None:
    image = np.full((300, 300, 3), 255, np.uint8)
    image[100:150, 100:200] = 0
    whole, trimmed = crop_keys(image)[:2]
    assert (whole == trimmed).all()


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_are_found_and_others_are_not(name: str) -> None:
    images = [draw_figure(seed)[0] for seed in range(8)]
    a, b = (np.stack([crop_keys(f(i)) for i in images]) for f in (np.asarray, CHANGES[name]))
    pairs, bits = crop_pairs(a, b, DedupeSpec().cropped)
    assert pairs.tolist() == [[i, i] for i in range(8)]
    assert bits.tolist() == [crop_distance(one, other) for one, other in zip(a, b, strict=True)]


@given(st.integers(0, 2**32), st.integers(85, 110))
@settings(max_examples=8)
def test_pairs_are_those_of_the_slow_way(seed: int, limit: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (n, KEYS, 32)).astype(np.uint8) for n in (3, 4))
    least = {(i, j): crop_distance(a[i], b[j]) for i in range(3) for j in range(4)}
    pairs, bits = crop_pairs(a, b, limit)
    found = dict(zip(map(tuple, pairs.tolist()), bits.tolist(), strict=True))
    assert found == {pair: bit for pair, bit in least.items() if bit <= limit}
    assert sorted(found) == list(found)


def test_no_picture_no_pair() -> None:
    none = np.empty((0, KEYS, 32), np.uint8)
    some = np.zeros((2, KEYS, 32), np.uint8)
    for a, b in ((none, some), (some, none), (none, none)):
        pairs, bits = crop_pairs(a, b, 32)
        assert (pairs.shape, bits.shape) == ((0, 2), (0,))


def test_leaks_finds_crops_where_it_is_asked_to(tmp_path: Path) -> None:
    for seed in range(6):
        write_png(tmp_path / f"a/{seed}.png", draw_figure(seed)[0])
    for name, change in CHANGES.items():
        write_png(tmp_path / f"b/{name}.png", change(draw_figure(3)[0]))
    plain, _ = find_leaks(tmp_path / "a", tmp_path / "b")
    assert "mirror.png" not in {leak.b for leak in plain}
    found, _ = find_leaks(tmp_path / "a", tmp_path / "b", DedupeSpec(crops=True))
    assert {(leak.a, leak.b) for leak in found} == {("3.png", f"{name}.png") for name in CHANGES}
    assert {leak.key for leak in found if leak not in plain} == {"crop"}


def test_a_cropped_line_art_of_a_picture(tmp_path: Path) -> None:
    color, lines = draw_figure(5, 600)
    write_png(tmp_path / "a/color.png", color)
    write_png(tmp_path / "b/lines.png", np.ascontiguousarray(cut(lines, 0.05, 0.05, 0.05, 0.05)[:, ::-1]))
    assert find_leaks(tmp_path / "a", tmp_path / "b")[0] == ()
    (leak,), _ = find_leaks(tmp_path / "a", tmp_path / "b", DedupeSpec(crops=True))
    assert (leak.a, leak.b, leak.key) == ("color.png", "lines.png", "drawing crop")


def test_a_build_drops_crops_and_names_the_key(drawn_art: Path, tmp_path: Path) -> None:
    image = draw_figure(0)[0]
    write_png(drawn_art / "illustrations/crop.png", cut(image, 0.05, 0.0, 0.05, 0.05))
    write_png(
        drawn_art / "illustrations/near.png", (cut(image, 0.05, 0.0, 0.05, 0.05) * 0.9).astype(np.uint8)
    )
    mirror = np.ascontiguousarray(draw_figure(101)[0][:, ::-1])
    write_png(drawn_art / "illustrations/mirror.png", mirror)
    without = build_dataset(recipe_for(drawn_art), tmp_path / "without")
    assert without.dropped() == {"duplicate": 1}
    dataset = build_dataset(recipe_for(drawn_art, "dedupe.crops = true"), tmp_path / "data")
    told = {e.candidate.key: e for e in dataset.ledger}
    whole = told["illustrations/00.png"]
    assert whole.verdict.kept
    crops = [told[f"illustrations/{name}.png"].verdict for name in ("crop", "near")]
    assert [(v.reason, v.keeper) for v in crops] == [("duplicate", whole.sha256)] * 2
    assert all("a crop, padding or mirror" in v.detail and v.distance <= 24 for v in crops)
    leak = told["illustrations/mirror.png"].verdict
    assert (leak.reason, leak.keeper) == ("leak", told["linearts/101.png"].sha256)
    assert "a crop, padding or mirror" in leak.detail
    assert sum(dataset.dropped().values()) == 3


def test_bare_margins_are_no_likeness() -> None:
    """A page with marks along one edge only has windows that show nothing, as any page has."""
    random = np.random.default_rng(0)
    page, other = np.full((2, 600, 600, 3), 255, np.uint8)
    for x in range(3, 597, 7):
        top, end = (
            (x, int(random.integers(10))),
            (x + int(random.integers(-3, 3)), int(random.integers(12, 22))),
        )
        cv2.line(page, top, end, (0, 0, 0), 2)
    cv2.putText(other, "17", (286, 596), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    assert crop_distance(crop_keys(page), crop_keys(other)) > 110
