"""Bytes → pictures: every kind that people have, and the ones that must be refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from lacbench import images
from lacbench.errors import ImageError, LacbenchError
from lacbench.images import decode, encode_png, identify, read, render_svg, resize_shortest, resized_shape

from made import draw_figure


def save(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


colors = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20).map(lambda s: (*s, 3)))


@given(colors)
@settings(max_examples=50, deadline=None)
def test_png_round_trip(image: np.ndarray) -> None:
    assert np.array_equal(decode(encode_png(image)), image)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert decode(save(clear)).tolist() == [[[255, 255, 255], [10, 20, 30]]]
    half = Image.new("LA", (1, 1), (0, 128))
    assert decode(save(half)).tolist() == [[[127, 127, 127]]]


def test_palette_with_transparency() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 100, 0])
    palette.putpixel((1, 0), 1)
    assert decode(save(palette, transparency=0)).tolist() == [[[255, 255, 255], [0, 100, 0]]]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert decode(save(deep))[0, :, 0].tolist() == [0, 100, 255]
    dark = Image.fromarray(np.array([[200, 257]], np.uint16))  # the scale is the format's, not the content's
    assert decode(save(dark))[0, :, 0].tolist() == [1, 1]


def test_cmyk_and_grey_become_rgb() -> None:
    assert decode(save(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=95))[0, 0, 0] > 200
    assert decode(save(Image.new("L", (1, 1), 7))).tolist() == [[[7, 7, 7]]]


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(save(Image.new("RGB", (30, 10)), "JPEG", exif=exif)).shape == (30, 10, 3)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (3, 3), color) for color in ("red", "blue")]
    data = save(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<html>", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"])
def test_no_picture(data: bytes) -> None:
    with pytest.raises(ImageError, match="the picture"):
        decode(data)


@given(st.integers(24, 5000))  # the last bytes of a PNG hold checksums, no pixels
@settings(max_examples=50, deadline=None)
def test_truncation_is_noticed(cut: int) -> None:
    data = encode_png(draw_figure(1)[0])
    with pytest.raises(ImageError):
        decode(data[: len(data) - min(cut, len(data) - 1)])


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_flipped_bytes_raise_nothing_but_our_errors(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]))
    whole = bytearray(save(Image.fromarray(draw_figure(2, 32)[0]), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(whole))
    except LacbenchError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"")]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(ImageError, match="pixels; expected at most 64,000,000"):
        decode(png_claiming(side, side))


def test_a_huge_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    file = tmp_path / "a.png"
    file.write_bytes(bytes(11))
    with pytest.raises(ImageError, match=r"a\.png has 11 bytes; expected at most 10"):
        read(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png cannot be read"):
        read(tmp_path / "none.png")


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 600))
def test_the_shortest_side_gets_the_size(height: int, width: int, size: int) -> None:
    shape = resized_shape(height, width, size)
    assert min(shape) == size
    assert abs(shape[0] / shape[1] - height / width) * min(height, width) / max(height, width) <= 1 / size


def test_a_resize_without_end_is_refused() -> None:
    with pytest.raises(ImageError, match="a picture of 1 × 60000 pixels would have 512 × 30720000"):
        resize_shortest(np.zeros((60_000, 1), np.uint8), 512)


def test_resize_gives_what_it_promises() -> None:
    image = draw_figure(5)[0][:, :200]
    assert resize_shortest(image, 100).shape == (*resized_shape(240, 200, 100), 3)
    assert resize_shortest(image, 200) is image


def test_identify_reads_the_header_alone() -> None:
    assert identify(png_claiming(700, 500)) == ("PNG", 700, 500)


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="10" height="10"/></svg>'


def test_svg_is_rendered_on_white_at_the_size() -> None:
    image = decode(render_svg(SVG.encode(), 40))
    assert image.shape == (40, 80, 3)
    assert image[20, 10].tolist() == [0, 0, 0]
    assert image[20, 70].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ('width="1000000" height="1000000"', (40, 40, 3)),
        ('width="10mm" height="20mm"', (80, 40, 3)),
        ('viewBox="0 0 30 10"', (40, 120, 3)),
        ('width="100%" viewBox="0,0,30,10"', (40, 120, 3)),
    ],
)
def test_an_svg_of_any_unit_and_size_is_scaled(attributes: str, shape: tuple[int, ...]) -> None:
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}><rect width="5" height="5"/></svg>'
    assert decode(render_svg(text.encode(), 40)).shape == shape


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('<svg width="1" height="100000"/>', "it is 512 × 51200000 pixels then"),
        ("<svg/>", "it has no size"),
        ('<svg width="0" height="0"/>', "it has no size"),
        ('<svg width="9" height="9"><image href="/etc/passwd"/></svg>', "it uses <image>"),
        ('<svg width="9" height="9"><image id=">" href="/dev/zero"/></svg>', "it is no XML|it uses <image>"),
        (
            '<s:svg xmlns:s="http://www.w3.org/2000/svg" width="9" height="9"><s:image href="/x"/></s:svg>',
            "it uses <image>",
        ),
        ('<svg width="9" height="9"><filter><feImage href="/x"/></filter></svg>', "it uses <feImage>"),
        (
            '<svg width="9" height="9"><filter><feTurbulence numOctaves="200000"/></filter></svg>',
            "it uses <fe",
        ),
        ('<!DOCTYPE s [<!ENTITY a "b">]><svg width="9" height="9"/>', "it defines entities"),
        ("<svg " * 40_000, "it is no XML"),
    ],
)
def test_an_svg_that_would_hurt_is_refused(text: str, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        render_svg(text.encode(), 512)


@pytest.mark.parametrize("text", ["", "<svg", "<html></html>", "\xff"])
def test_a_broken_svg_is_refused(text: str) -> None:
    with pytest.raises(ImageError):
        render_svg(text.encode("latin-1"), 40)


def test_bilevel_png_has_one_bit() -> None:
    lines = np.where(np.arange(64).reshape(8, 8) % 3 == 0, 0, 255).astype(np.uint8)
    data = encode_png(lines, bilevel=True)
    assert Image.open(io.BytesIO(data)).mode == "1"
    assert np.array_equal(decode(data)[..., 0], lines)
