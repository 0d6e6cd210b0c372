"""Bytes → pictures: every kind that people have, and the ones that must be refused."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageOps

from lacbench import images
from lacbench.errors import ImageError, LacbenchError
from lacbench.images import (
    decode,
    decode_picture,
    encode_png,
    identify,
    read,
    resize_shortest,
    resized_shape,
)

from made import draw_figure


def save(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


colors = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20).map(lambda s: (*s, 3)))


@given(colors)
@settings(max_examples=50)
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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_pillows(kind: str, orientation: int) -> None:
    picture = Image.fromarray(draw_figure(4, 64)[0][:40])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(picture, kind, exif=exif)
    theirs = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(decode(data), theirs)
    assert theirs.shape == ((64, 40, 3) if 5 <= orientation <= 8 else (40, 64, 3))


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (3, 3), color) for color in ("red", "blue")]
    data = save(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<html>", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"])
def test_no_picture(data: bytes) -> None:
    with pytest.raises(ImageError, match="the picture"):
        decode(data)


@given(st.integers(24, 5000))  # the last bytes of a PNG hold checksums, no pixels
@settings(max_examples=50)
def test_truncation_is_noticed(cut: int) -> None:
    data = encode_png(draw_figure(1)[0])
    with pytest.raises(ImageError):
        decode(data[: len(data) - min(cut, len(data) - 1)])


@given(st.data())
@settings(max_examples=100)
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


def test_bilevel_png_has_one_bit() -> None:
    lines = np.where(np.arange(64).reshape(8, 8) % 3 == 0, 0, 255).astype(np.uint8)
    data = encode_png(lines, bilevel=True)
    assert Image.open(io.BytesIO(data)).mode == "1"
    assert np.array_equal(decode(data)[..., 0], lines)


def test_a_picture_comes_with_what_its_container_tells() -> None:
    clear = Image.new("RGBA", (4, 2), (10, 20, 30, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 1, 2))
    told = decode_picture(save(clear, "PNG"))
    assert (told.format, told.frames, told.transparency) == ("PNG", 1, 0.75)
    assert told.image.shape == (2, 4, 3)
    assert decode_picture(save(Image.new("RGB", (4, 2)), "JPEG")).transparency == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_are_counted_and_the_first_is_decoded(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = save(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    told = decode_picture(data)
    assert (told.format, told.frames) == (kind, 3)
    assert (told.image == np.array([255, 0, 0])).all()
    assert (decode(data) == told.image).all()


def test_a_cameras_jpeg_with_a_second_view_is_a_still_jpeg() -> None:
    views = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    data = save(views[0], "MPO", save_all=True, append_images=views[1:])
    assert identify(data) == ("JPEG", 16, 16)
    told = decode_picture(data)
    assert (told.format, told.frames) == ("JPEG", 1)


def poisoned_exif(was: bytes, becomes: bytes) -> bytes:
    """EXIF that Pillow writes anew, because it turns the picture, and holds what it cannot write."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0100] = 6, 72.0, 9
    whole = bytes(exif.tobytes())
    assert whole.count(was) == 1
    return whole.replace(was, becomes)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (
            b"\x01\x1a\x00\x05\x00\x00\x00\x01",
            b"\x01\x1a\x00\x02\x00\x00\x00\x01",
            "bad operand",
        ),  # TypeError
        (b"\x01\x00\x00\x04", b"\x01\x00\x00\x02", "not an integer"),  # struct.error
    ],
)
def test_poisoned_exif_is_our_error(kind: str, was: bytes, becomes: bytes, told: str) -> None:
    data = save(Image.new("RGB", (8, 8)), kind, exif=poisoned_exif(was, becomes))
    with pytest.raises(ImageError, match=rf"^the picture cannot be decoded: .*{told}.*; replace it"):
        decode(data)


@pytest.mark.parametrize("tag", [0x0100, 0x0116, 0x0111, 0x0106])  # width, rows, offsets, colours
def test_a_tiff_whose_tag_is_text_is_our_error(tag: int) -> None:
    data = bytearray(save(Image.new("RGB", (8, 8)), "TIFF"))
    at = next(at for kind in (3, 4) if (at := data.find(struct.pack("<HH", tag, kind))) > 0)
    data[at + 2] = 2
    with pytest.raises(ImageError, match=r"^the picture "):
        decode(bytes(data))


def test_a_tiff_whose_second_page_has_no_size_is_our_error() -> None:
    pages = [Image.new("RGB", (8, 8)) for _ in range(2)]
    data = bytearray(save(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    at = data.rindex(struct.pack("<H", 0x0100) + b"\x04\x00")
    data[at : at + 2] = b"\xff\x00"
    with pytest.raises(ImageError, match=r"^the picture "):  # TypeError
        decode(bytes(data))


def test_a_gif_that_ends_where_a_frame_begins_is_our_error() -> None:
    data = save(Image.new("P", (8, 8)), "GIF")
    assert data.endswith(b";")
    with pytest.raises(ImageError, match=r"^the picture cannot be decoded: index out of range"):  # IndexError
        decode(data[:-1] + b"," + bytes(4) + b"\x08\x00\x08\x00\x00")


@pytest.mark.parametrize(("error", "told"), [(MemoryError(), "MemoryError"), (KeyError("a\nb"), r"'a\\nb'")])
def test_whatever_pillow_raises_is_one_sentence(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    data = encode_png(draw_figure(1)[0])
    with monkeypatch.context() as patch:
        patch.setattr(images.ImageOps, "exif_transpose", fail)
        with pytest.raises(ImageError, match=f"^a cannot be decoded: {told}; replace it or leave it out$"):
            decode(data, "a")
    monkeypatch.setattr(images.Image, "open", fail)
    with pytest.raises(ImageError, match=f"^a cannot be opened: {told}; leave it out$"):
        identify(data, "a")


def seeds() -> list[bytes]:
    """A small picture in every format, with all that a container may hold beside the pixels."""
    noise = np.random.default_rng(3).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "x" * 20, 72.0
    told = {"exif": exif.tobytes()}
    more = {"save_all": True, "append_images": [image.rotate(90)]}
    return [
        save(image, "PNG", **told, icc_profile=b"x" * 60),
        save(image.convert("P"), "PNG", transparency=0),
        save(image, "PNG", **more),
        save(image, "JPEG", **told),
        save(image.convert("CMYK"), "JPEG"),
        save(image, "MPO", **more),
        save(image, "WEBP", **told),
        save(image, "BMP"),
        save(image.convert("P"), "GIF", **more),
        save(image, "TIFF", exif=exif),
        save(image.convert("I;16"), "TIFF", compression="tiff_adobe_deflate"),
    ]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed, taken out and put in, most of them near the start; a PNG's checksums made right."""
    whole = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 10])):
        at = chance.randrange(min(len(whole), chance.choice([40, 200, 400, 10**9])))
        kind = chance.random()
        if kind < 0.5:
            whole[at] = chance.choice([0, 1, 2, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        elif kind < 0.7:
            whole[at : at + 4] = struct.pack(">I", chance.choice([0, 1, 7, 13, 2**31 - 1, 2**32 - 1]))
        elif kind < 0.8:
            del whole[at + 1 : at + chance.randrange(2, 20)]
        else:
            whole[at:at] = chance.randbytes(chance.randrange(1, 8))
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(whole):
        end = at + 8 + int.from_bytes(whole[at : at + 4])
        whole[end : end + 4] = struct.pack(">I", zlib.crc32(whole[at + 4 : end]))
        at = end + 4
    return bytes(whole)


def test_poison_raises_nothing_but_our_errors() -> None:
    chance, whole = random.Random(5), seeds()
    refused = 0
    for number in range(1500):
        data = mutated(whole[number % len(whole)], chance)
        for ask in (identify, decode_picture):
            try:
                ask(data)
            except ImageError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 300
