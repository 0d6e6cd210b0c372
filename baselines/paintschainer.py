"""PaintsChainer's open model: two U-Nets from the published Chainer files, run as the published server does.

Yonetsuji, PaintsChainer (2017): the first network, `unet_128_standard`, colours at 128 pixels with the user's
hints; the second one, `unet_512_standard`, takes its colours up to 512. Both are one U-Net with batch
normalisation, on grey and YUV in 0–255. The weights are their author's, all rights reserved: the user brings
them. Other than there, line art of any tint is put on white paper first, as for every method.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lacbench.baselines.floors import Floor
from lacbench.baselines.tiles import Floats
from lacbench.devices import choose_device
from lacbench.errors import InputError, IntegrityError
from lacbench.files import sha256_file, sha256_json
from lacbench.hints import Hint
from lacbench.images import Array

FIRST, SECOND = "unet_128", "unet_512"
"""What the two networks' file names begin with."""
SMALL, FACTOR, MULTIPLE = 128, 4, 16
"""Shortest side of what the first network colours, in pixels; how many times larger the second's is; and what
both sides of the first are multiples of."""
NO_HINT = (-512, 128, 128)
"""Y, U and V where there is no hint."""
EPSILON = 2e-5
"""What Chainer adds to a variance."""
LARGEST = 64 * 2**20
"""An array of more bytes is none of the networks'."""

PLAIN, HALVE, DOUBLE = "plain", "halve", "double"
"""3 × 3; 4 × 4 with stride 2; 4 × 4 transposed with stride 2: padding is 1 throughout."""
LAYERS: Final[tuple[tuple[str, str, int, int], ...]] = (
    ("c0", PLAIN, 0, 1), ("c1", HALVE, 1, 2), ("c2", PLAIN, 2, 2), ("c3", HALVE, 2, 4), ("c4", PLAIN, 4, 4),
    ("c5", HALVE, 4, 8), ("c6", PLAIN, 8, 8), ("c7", HALVE, 8, 16), ("c8", PLAIN, 16, 16),
    ("dc8", DOUBLE, 32, 16), ("dc7", PLAIN, 16, 8), ("dc6", DOUBLE, 16, 8), ("dc5", PLAIN, 8, 4),
    ("dc4", DOUBLE, 8, 4), ("dc3", PLAIN, 4, 2), ("dc2", DOUBLE, 4, 2), ("dc1", PLAIN, 2, 1),
    ("dc0", PLAIN, 2, 0),
)  # fmt: skip
"""Name, kind, inputs and outputs, in units of the network's width (32); 0 is 4 inputs, or 3 outputs."""
JOINED: Final = {"dc8": "c7", "dc6": "c6", "dc4": "c4", "dc2": "c2", "dc0": "c0"}
"""Layers that are given, before what comes to them, what another one made."""


class UNet:
    """One of the two networks, for inference."""

    def __init__(self, arrays: Mapping[str, Floats], device: str = "cpu") -> None:
        """Take Chainer's arrays (see `shapes`) to a device. Raises MissingError for one that is not here."""
        self.place = choose_device(device)
        self.tensors = {name: torch.tensor(array).to(self.place) for name, array in arrays.items()}

    def __call__(self, planes: Floats) -> Floats:
        """Grey, Y, U and V, (4, H, W), H and W multiples of 16 → Y, U and V (3, H, W), about 0–255."""
        made: dict[str, Tensor] = {}
        # TF32, cuDNN's default, would make a GPU's colours other than a CPU's.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            x = torch.tensor(planes)[None].to(self.place)
            for name, kind, _, _ in LAYERS:
                x = torch.cat([made[JOINED[name]], x], 1) if name in JOINED else x
                x = made[name] = self._layer(name, kind, x)
            return np.asarray(x[0].cpu().numpy())

    def _layer(self, name: str, kind: str, x: Tensor) -> Tensor:
        weight, bias = self.tensors[f"{name}/W"], self.tensors[f"{name}/b"]
        if kind == DOUBLE:
            x = functional.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        else:
            x = functional.conv2d(x, weight, bias, stride=2 if kind == HALVE else 1, padding=1)
        if name == "dc0":
            return x
        gamma, beta, mean, variance = (self.tensors[f"{_norm(name)}/{part}"] for part in NORM)
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON).relu()


NORM: Final = ("gamma", "beta", "avg_mean", "avg_var")
"""Arrays of a batch normalisation; `N`, how often it was updated, plays no part."""


def _norm(layer: str) -> str:
    """The name of a layer's batch normalisation: bnc0 of c0, bnd8 of dc8."""
    return f"bn{layer.replace('dc', 'd')}"


def shapes(width: int = 32) -> dict[str, tuple[int, ...]]:
    """Shape of every array in a network's file, but for `N`, by name; the published `width` is 32.

    Chainer keeps convolutions as (outputs, inputs, H, W), transposed ones as (inputs, outputs, H, W).
    """
    found: dict[str, tuple[int, ...]] = {}
    for name, kind, inputs, outputs in LAYERS:
        channels = (width * outputs or 3, width * inputs or 4)
        side = 3 if kind == PLAIN else 4
        found[f"{name}/W"] = (*(channels[::-1] if kind == DOUBLE else channels), side, side)
        found[f"{name}/b"] = channels[:1]
        if name != "dc0":
            found |= {f"{_norm(name)}/{part}": channels[:1] for part in NORM}
    return found


def load_arrays(path: Path) -> dict[str, Floats]:
    """The arrays of a network's .npz file, checked; no pickles are read.

    Raises InputError for another file, IntegrityError for one that is cut short.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            huge = [part.filename for part in archive.infolist() if part.file_size > LARGEST]
        if huge:
            raise InputError(f"{path} is no network of PaintsChainer's: {huge[0]} is too large; leave it out")
        with np.load(path, allow_pickle=False) as stored:
            wanted = shapes(len(stored["c0/b"]))
            arrays = {name: _shaped(stored[name], shape, name, path) for name, shape in wanted.items()}
    except KeyError as error:
        raise InputError(
            f"{path} is no network of PaintsChainer's: {error.args[0]}; expected Chainer's .npz of its U-Net"
        ) from error
    except _BROKEN as error:
        raise IntegrityError(f"{path} is no whole .npz file: {error}; copy it again") from error
    return arrays


_BROKEN: Final = (
    OSError, ValueError, TypeError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for files that are damaged, encrypted, or compressed in another way."""


def _shaped(array: Floats, shape: tuple[int, ...], name: str, path: Path) -> Floats:
    """The array as float32; looked at before the next one is read, so that a bomb is not unpacked."""
    if np.shape(array) != shape:
        raise InputError(f"{path}: {name} has shape {np.shape(array)}; expected {shape}")
    return np.asarray(array, np.float32)


def open_paintschainer(path: Path, device: str = "cpu") -> tuple[str, Floor]:
    """The two networks in a folder, or the one in a file; returns a digest and a function that colours.

    A folder holds files whose names begin with unet_128 and unet_512. A lone file is taken for the first
    network, and its colours are enlarged.

    Raises InputError, IntegrityError as `load_arrays`; MissingError for a device that is not here.
    """
    files = [_find(path, name) for name in (FIRST, SECOND)] if path.is_dir() else [path]
    networks = [UNet(load_arrays(file), device) for file in files]

    def paint(line_art: Array, hints: Sequence[Hint]) -> Array:
        return colour(networks, line_art, hints)

    digests = [sha256_file(file) for file in files]
    return digests[0] if len(digests) == 1 else sha256_json(digests), paint


def colour(networks: Sequence[UNet], line_art: Array, hints: Sequence[Hint]) -> Array:
    """Colour one line art, uint8 (H, W), 0 ink, 255 paper, with the first network or both → RGB (H, W, 3)."""
    height, width = small_shape(*line_art.shape)
    yuv = networks[0](np.concatenate([_grey(line_art, height, width), hint_planes(hints, height, width)]))
    if len(networks) > 1:
        large = FACTOR * height, FACTOR * width
        coarse = [cv2.resize(p, large[::-1], interpolation=cv2.INTER_CUBIC)[None] for p in yuv]
        yuv = networks[1](np.concatenate([_grey(line_art, *large), *coarse]))
    levels = np.ascontiguousarray(yuv.transpose(1, 2, 0).clip(0, 255).astype(np.uint8))
    size = line_art.shape[::-1]
    bgr = cv2.resize(cv2.cvtColor(levels, cv2.COLOR_YUV2RGB), size, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def small_shape(height: int, width: int) -> tuple[int, int]:
    """Height and width that the first network colours at: the shorter SMALL, the other a multiple of 16."""
    long = int(max(height, width) * (SMALL / min(height, width))) // MULTIPLE * MULTIPLE
    return (SMALL, long) if height < width else (long, SMALL)


def hint_planes(hints: Sequence[Hint], height: int, width: int) -> Floats:
    """Y, U and V of the hints, float32 (3, height, width); NO_HINT where there is none."""
    planes = np.empty((3, height, width), np.float32)
    planes[:] = np.array(NO_HINT, np.float32)[:, None, None]
    for hint in hints:
        # The published code hands BGR to a conversion that expects RGB, in training as well as here.
        bgr = np.array([[hint.color[::-1]]], np.uint8)
        row, column = hint.pixel(height, width)
        planes[:, row, column] = cv2.cvtColor(bgr, cv2.COLOR_RGB2YUV)[0, 0]
    return planes


def _grey(line_art: Array, height: int, width: int) -> Floats:
    """The line art at that size: float32 (1, height, width) in 0–255."""
    grey = line_art.astype(np.float32)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.float32)[None]


def _find(folder: Path, name: str) -> Path:
    files = sorted(folder.glob(f"{name}*"))
    if len(files) != 1:
        raise InputError(
            f"{folder} holds {len(files)} files called {name}…; expected one, and one called "
            f"{SECOND if name == FIRST else FIRST}…, as PaintsChainer published them"
        )
    return files[0]
