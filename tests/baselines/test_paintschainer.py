"""PaintsChainer: made-up weights in the published layout, against NumPy after Chainer's definitions."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lacbench.baselines.colorize import colorize
from lacbench.baselines.models import open_model
from lacbench.baselines.paintschainer import (
    NO_HINT,
    UNet,
    colour,
    hint_planes,
    load_arrays,
    shapes,
    small_shape,
)
from lacbench.errors import InputError, IntegrityError
from lacbench.hints import Hint
from lacbench.images import read, write_png

from made import draw_figure

Arrays = dict[str, np.ndarray]


def made(width: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    arrays = {name: random.normal(0, 0.3, shape) for name, shape in shapes(width).items()}
    positive = {name: abs(array) + 0.5 for name, array in arrays.items() if name.endswith("avg_var")}
    return {name: array.astype(np.float32) for name, array in (arrays | positive).items()}


def write(path: Path, arrays: Arrays) -> Path:
    """As Chainer's `save_npz` writes: compressed, with `N` beside each batch normalisation."""
    counts = {f"{name.split('/')[0]}/N": np.array(9) for name in arrays if name.endswith("gamma")}
    np.savez_compressed(path, **arrays, **counts)
    return path


def convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Chainer's Convolution2D with padding 1, by its definition: W is (outputs, inputs, kh, kw)."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1)])
    side = weight.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows[:, ::stride, ::stride], weight) + bias[:, None, None]


def deconvolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Chainer's Deconvolution2D(·, ·, 4, 2, 1): each pixel adds its kernel; W is (inputs, outputs, …)."""
    _, height, width = x.shape
    whole = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(height):
        for column in range(width):
            stamp = np.einsum("c,coij->oij", x[:, row, column], weight)
            whole[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += stamp
    return whole[:, 1:-1, 1:-1] + bias[:, None, None]


def reference(a: Arrays, x: np.ndarray) -> np.ndarray:
    """The published network, layer by layer."""

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        gamma, beta, mean, var = (
            a[f"{name}/{p}"][:, None, None] for p in ("gamma", "beta", "avg_mean", "avg_var")
        )
        return np.maximum(gamma * (x - mean) / np.sqrt(var + 2e-5) + beta, 0)

    def conv(name: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
        return norm("bn" + name.replace("dc", "d"), convolution(x, a[f"{name}/W"], a[f"{name}/b"], stride))

    def up(name: str, *maps: np.ndarray) -> np.ndarray:
        x = np.concatenate(maps)
        return norm("bn" + name.replace("dc", "d"), deconvolution(x, a[f"{name}/W"], a[f"{name}/b"]))

    e0 = conv("c0", x)
    e2 = conv("c2", conv("c1", e0, 2))
    e4 = conv("c4", conv("c3", e2, 2))
    e6 = conv("c6", conv("c5", e4, 2))
    e7 = conv("c7", e6, 2)
    d7 = conv("dc7", up("dc8", e7, conv("c8", e7)))
    d5 = conv("dc5", up("dc6", e6, d7))
    d3 = conv("dc3", up("dc4", e4, d5))
    d1 = conv("dc1", up("dc2", e2, d3))
    return convolution(np.concatenate([e0, d1]), a["dc0/W"], a["dc0/b"], 1)


def test_the_published_layout() -> None:
    published = shapes()
    assert published["c0/W"] == (32, 4, 3, 3)
    assert published["c7/W"] == (512, 256, 4, 4)
    assert published["dc8/W"] == (1024, 512, 4, 4)
    assert published["dc7/W"] == (256, 512, 3, 3)
    assert published["dc6/W"] == (512, 256, 4, 4)
    assert published["dc1/W"] == (32, 64, 3, 3)
    assert published["dc0/W"] == (3, 64, 3, 3)
    assert published["bnc8/avg_var"] == published["bnd8/gamma"] == (512,)
    assert "bnd0/gamma" not in published
    assert len(published) == 18 * 2 + 17 * 4


@pytest.mark.parametrize("size", [(16, 32), (48, 16)])
def test_the_network_is_the_one_written_out_in_numpy(size: tuple[int, int]) -> None:
    arrays = made(2)
    x = np.random.default_rng(1).uniform(0, 255, (4, *size)).astype(np.float32)
    expected = reference({n: a.astype(np.float64) for n, a in arrays.items()}, x.astype(np.float64))
    assert expected.std() > 1
    assert UNet(arrays)(x) == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.abs(expected).max())


def test_two_passes_as_the_published_server_does_them() -> None:
    first, second = made(2, 1), made(2, 2)
    for arrays in (first, second):  # into the range of levels
        arrays["dc0/W"] *= 5
        arrays["dc0/b"][:] = 128
    line_art = draw_figure(0, 600)[1][:400, :, 0]
    hints = [Hint(0.3, 0.6, (200, 40, 10))]
    small = cv2.resize(line_art.astype(np.float32), (192, 128), interpolation=cv2.INTER_AREA)
    planes = np.stack([small, *(np.full((128, 192), v, np.float32) for v in (-512, 128, 128))])
    # BGR, taken for RGB, as the published code does.
    planes[1:, int(0.6 * 128), int(0.3 * 192)] = cv2.cvtColor(
        np.array([[[10, 40, 200]]], np.uint8), cv2.COLOR_RGB2YUV
    )[0, 0]
    coarse = UNet(first)(planes)
    enlarged = [cv2.resize(p, (768, 512), interpolation=cv2.INTER_CUBIC) for p in coarse]
    large = cv2.resize(line_art.astype(np.float32), (768, 512), interpolation=cv2.INTER_AREA)
    yuv = UNet(second)(np.stack([large, *enlarged]).astype(np.float32))
    levels = np.ascontiguousarray(yuv.transpose(1, 2, 0).clip(0, 255)).astype(np.uint8)
    expected = cv2.resize(cv2.cvtColor(levels, cv2.COLOR_YUV2RGB), (600, 400), interpolation=cv2.INTER_CUBIC)
    got = colour([UNet(first), UNet(second)], line_art, hints)
    assert expected.std() > 5
    assert np.array_equal(got, expected[..., ::-1])


def test_sizes_of_the_first_pass() -> None:
    assert small_shape(512, 512) == (128, 128)
    assert small_shape(512, 700) == (128, 160)
    assert small_shape(1000, 300) == (416, 128)


def test_colours_go_in_and_come_out_the_same() -> None:
    """A network that hands the hints' planes on paints the picture in the hint's own colour."""
    color = (200, 90, 60)
    planes = hint_planes([Hint(0, 0, color)], 1, 1)
    back = cv2.cvtColor(planes.transpose(1, 2, 0).astype(np.uint8), cv2.COLOR_YUV2RGB)[0, 0, ::-1]
    assert back.tolist() == pytest.approx(color, abs=2)
    assert hint_planes([], 1, 2)[:, 0, 1].tolist() == list(NO_HINT)


def test_colorize_with_a_folder_or_a_lone_file(tmp_path: Path) -> None:
    write_png(tmp_path / "in.png", draw_figure(0, 200)[1][:150])
    (tmp_path / "nets").mkdir()
    for name, seed in (("unet_128_standard", 1), ("unet_512_standard", 2)):
        write(tmp_path / "nets" / "made.npz", made(2, seed)).rename(tmp_path / "nets" / name)
    both = colorize(Path(f"paintschainer:{tmp_path / 'nets'}"), {"a": tmp_path / "in.png"}, tmp_path / "out")
    assert read(both / "a.png").shape == (512, 683, 3)
    alone = open_model(tmp_path / "nets" / "unet_128_standard")  # told by what it holds
    (colored,) = alone.paint([np.full((100, 140), 255, np.uint8)], [[]])
    assert colored.shape == (100, 140, 3)


def test_a_folder_that_lacks_one_is_told(tmp_path: Path) -> None:
    write(tmp_path / "unet_128_standard.npz", made(1))
    with pytest.raises(
        InputError, match=r"holds 0 files called unet_512…; expected one, and one called unet_128"
    ):
        open_model(Path(f"paintschainer:{tmp_path}"))


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    arrays = made(1)
    wrong = arrays | {"c3/W": np.zeros((3, 3), np.float32)}
    with pytest.raises(InputError, match=r"c3/W has shape \(3, 3\); expected \(4, 2, 4, 4\)"):
        load_arrays(write(tmp_path / "wrong.npz", wrong))
    with pytest.raises(InputError, match="dc0/b"):
        load_arrays(write(tmp_path / "less.npz", {n: a for n, a in arrays.items() if n != "dc0/b"}))
    np.savez(tmp_path / "pickle.npz", **(arrays | {"c0/b": np.array([{}], object)}))
    with pytest.raises(IntegrityError, match=r"is no whole \.npz file: .*pickle"):
        load_arrays(tmp_path / "pickle.npz")
    whole = write(tmp_path / "whole.npz", arrays).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match=r"is no whole \.npz file"):
        load_arrays(tmp_path / "cut.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(2**24 + 1, np.float32))
        archive.writestr("c0/b.npy", buffer.getvalue())
    with pytest.raises(InputError, match=r"c0/b\.npy is too large"):
        load_arrays(tmp_path / "bomb.npz")


def test_damage_anywhere_is_one_sentence(tmp_path: Path) -> None:
    whole = write(tmp_path / "net.npz", made(1)).read_bytes()
    refused = 0
    for place in range(0, len(whole), 997):
        (tmp_path / "net.npz").write_bytes(whole[:place] + b"\xff\x00\xff" + whole[place + 3 :])
        try:
            load_arrays(tmp_path / "net.npz")
        except (InputError, IntegrityError):
            refused += 1
    assert refused  # what was hit may also be a time stamp, or `N`


def test_arrays_of_another_shape_are_told_before_the_others_are_unpacked(tmp_path: Path) -> None:
    arrays = made(1) | {"c0/W": np.zeros(2**20, np.uint8), "dc0/b": np.array([{}], object)}
    np.savez_compressed(tmp_path / "bomb.npz", **arrays)
    with pytest.raises(InputError, match="c0/W has shape"):
        load_arrays(tmp_path / "bomb.npz")
