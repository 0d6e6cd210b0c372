"""What `lacbench try` lets in, and that each dab of its brush tells the model something."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lacbench.baselines.colorize import colorize_one
from lacbench.baselines.models import open_model
from lacbench.dashboards.easel import PNG_URL, LineArt, bring, brush_for, offered, paper, receive_strokes
from lacbench.errors import ImageError, InputError
from lacbench.images import encode_png, resized_shape, write_png

from made import draw_figure


def png(rgba: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    return buffer.getvalue()


def sent(data: bytes) -> str:
    return PNG_URL + base64.b64encode(data).decode()


def test_a_picture_of_ones_own_is_kept_under_a_plain_name(tmp_path: Path) -> None:
    drawing = draw_figure(1)[1]
    line_art = bring(encode_png(drawing), "../../etc/my art (2).JPG", tmp_path)
    assert (line_art.id, line_art.file) == ("my_art_2", tmp_path / "brought.png")
    assert paper(line_art).shape == (240, 240)
    assert bring(encode_png(drawing), "...", tmp_path).id == "drawing"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>", "is no picture"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "is no picture"),
        (b"\0" * (20 * 2**20 + 1), "20,971,521 bytes; expected 20 MB at most"),
        (encode_png(np.zeros((4001, 4000), np.uint8)), "4000 × 4001 pixels"),
        (encode_png(np.zeros((16, 129), np.uint8)), "129 × 16 pixels"),
        (encode_png(np.zeros((15, 15), np.uint8)), "15 × 15 pixels"),
        (encode_png(draw_figure(1)[1])[:3000], "cannot be decoded"),
    ],
)
def test_what_is_turned_away_at_the_door(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=told):
        bring(data, "art.png", tmp_path)
    assert not list(tmp_path.iterdir())


def test_strokes_are_kept_byte_by_byte(tmp_path: Path) -> None:
    data = png(np.full((40, 30, 4), 200, np.uint8))
    strokes = receive_strokes(sent(data), (40, 30), tmp_path)
    assert strokes.file.read_bytes() == data


@pytest.mark.parametrize(
    "text",
    [
        "data:image/svg+xml;base64,PHN2Zy8+",
        PNG_URL + "no base64!",
        sent(b"<svg/>"),
        sent(png(np.zeros((30, 40, 4), np.uint8))),
        PNG_URL + "A" * (28 * 2**20),
    ],
    ids=["svg", "no base64", "svg as png", "another size", "too long"],
)
def test_strokes_that_are_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        receive_strokes(text, (40, 30), tmp_path)
    assert not list(tmp_path.iterdir())


@settings(max_examples=60)
@given(st.integers(16, 900), st.floats(1, 3), st.sampled_from([128, 512]), st.floats(0, 1), st.floats(0, 1))
def test_the_least_dab_of_the_brush_tells(
    tmp_path_factory: pytest.TempPathFactory, side: int, ratio: float, size: int, x: float, y: float
) -> None:
    height, width = side, round(side * ratio)
    brush = brush_for((height, width), size)
    rows, columns = np.ogrid[:height, :width]
    inside = np.hypot(rows + 0.5 - y * height, columns + 0.5 - x * width) <= brush.least / 2
    strokes = np.zeros((height, width, 4), np.uint8)
    strokes[inside] = (10, 200, 30, 255)
    got = receive_strokes(sent(png(strokes)), (height, width), tmp_path_factory.mktemp("strokes"))
    dabs = got.dabs(*resized_shape(height, width, size))
    assert {dab.color for dab in dabs} == {(10, 200, 30)}
    assert brush.least <= brush.start < brush.most


def test_line_arts_are_offered_by_the_names_that_the_command_has(
    data: tuple[object, object], drawn_art: Path, tmp_path: Path
) -> None:
    found = offered(tmp_path / "data")
    assert sorted(a.title for a in found.values()) == [f"linearts/{n}.png" for n in range(100, 105)]
    assert all(len(key) == 64 and a.file.stem == key for key, a in found.items())
    assert list(offered(drawn_art / "linearts")) == [str(n) for n in range(100, 105)]
    assert list(offered(drawn_art / "linearts/101.png")) == ["101"]
    with pytest.raises(InputError, match="is not there"):
        offered(tmp_path / "nothing")


def test_models_tell_what_they_make_of_hints(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", draw_figure(1)[1])
    line_art = LineArt("a", tmp_path / "a.png", "a")
    assert open_model(Path("grey")).hints == "ignored"
    floor = open_model(Path("nearest-hint"))
    assert floor.hints == "needed"
    with pytest.raises(InputError, match="paint some strokes"):
        colorize_one(floor, line_art.file)
