"""The measures of a picture are those of the plain oracle, bit for bit: manifests hold them."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lacbench.images import Picture, decode_picture
from lacbench.store import measure, statistics

import plain
from made import draw_figure


def assert_as_plain(picture: Picture, name: str = "") -> None:
    found, expected = asdict(statistics(picture)), asdict(plain.statistics(picture))
    assert found == expected, name
    kinds = {type(value) for value in found.values()}
    assert kinds <= {int, float, str, bytes, bool}  # what JSON and Parquet hold; NumPy's own would be refused


def still(image: np.ndarray) -> Picture:
    return Picture(image, "PNG", 1, 0.0)


def of_the_art(art: Path, every: int) -> None:
    for file in sorted(art.glob("*/*"))[::every]:
        assert_as_plain(decode_picture(file.read_bytes()), file.name)


@pytest.mark.art
def test_measures_of_real_art_are_those_of_the_oracle(art: Path) -> None:
    of_the_art(art, 5)


@pytest.mark.art
@pytest.mark.long
def test_measures_of_all_the_art_are_those_of_the_oracle(art: Path) -> None:
    of_the_art(art, 1)


few_colors = st.sampled_from([0, 7, 8, 16, 17, 40, 127, 128, 200, 238, 239, 255])


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)), elements=few_colors))
@settings(max_examples=60)
def test_of_any_pixels(image: np.ndarray) -> None:
    """Small pictures of few colours: ties between papers, broken bars, medians between two values."""
    assert_as_plain(still(image))


@given(
    seed=st.integers(0, 10**6),
    height=st.sampled_from([64, 127, 255, 256, 257, 511, 512, 513, 700]),
    width=st.sampled_from([64, 128, 255, 256, 300, 512, 640, 1024]),
    bars=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)),
    paper=st.tuples(*3 * [st.integers(0, 255)]),
)
@settings(max_examples=25)
def test_of_any_size_paper_and_bars(
    seed: int, height: int, width: int, bars: tuple[int, ...], paper: tuple[int, ...]
) -> None:
    """Smaller and larger than what is measured at, and exactly that: each takes another way."""
    color, lines = draw_figure(seed, max(height, width))
    image = (color if seed % 2 else np.rint(lines / 255 * np.array(paper)).astype(np.uint8))[:height, :width]
    top, bottom, left, right = bars
    framed = np.full_like(image, seed % 256)
    framed[top : height - bottom, left : width - right] = image[top : height - bottom, left : width - right]
    assert_as_plain(still(framed))


def test_a_stored_picture_is_measured_or_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"nothing")
    assert measure(tmp_path, ("x", "no.png"))[1].startswith("no.png is no picture")
    assert "gone.png" in str(measure(tmp_path, ("x", "gone.png"))[1])
