"""A second key for copies that a hash of the whole picture does not see: crops, padding, mirrors.

`crop_keys` hashes a picture as often as somebody may have cropped it: whole, and every window that is left
when up to 5% are cut off each side. A cropped copy, whole, is then near one of its original's windows, and a
padded copy's window is near its original, whole. What no window reaches, wide padding of one colour, is
trimmed first. A mirrored copy is hashed mirrored back, so that it needs no windows of its own.
"""

from collections.abc import Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from lacbench.engine import Engine
from lacbench.hashing import HASH_BYTES, INK_SIGMA, INK_SIZE, LOW, SIDE, phash, says_little, to_array
from lacbench.images import Array, resize_shortest, to_grey
from lacbench.lineart import for_measuring
from lacbench.progress import Progress
from lacbench.search import cross_pairs
from lacbench.store import read_prepared
from lacbench.xdog import xdog

Keys = NDArray[np.uint8]
"""Second keys of N pictures: uint8 (N, KEYS, 32)."""

CUTS = (0.0, 0.025, 0.05)
"""Shares of the width or height that a window leaves out at a side; a hash bears 1.25% more or less."""
WINDOWS = len(CUTS) ** 4
"""One for each choice of four sides, the whole picture first."""
COPIES = 4
"""Keys of the picture as a copy: whole, trimmed, and both mirrored."""
KEYS = COPIES + WINDOWS
"""Keys of a picture in all."""
RADIX = 8 * HASH_BYTES + 1
"""Distances that two keys can have."""
SIZE = 256
"""Side, in pixels, of the square that keys are taken from."""
TOLERANCE = 24
"""A pixel is in the padding's colour when no channel differs from it by more than this, in 0–255."""
LEAST = 0.2
"""Trimmed pictures must keep this share of the width and of the height: else little is left to compare."""


def crop_keys(image: Array) -> Keys:
    """Hashes of uint8 (H, W, 3) RGB: uint8 (KEYS, 32), the COPIES first, then the windows.

    A window's hash is made as `lacbench.hashing.phash` is, of the picture at 256 × 256, all of them at once:
    area averages and cosines are linear along each axis.
    """
    grey = to_grey(image)
    trimmed = grey[_box(image)]
    copies = [phash(copy) for copy in (grey, trimmed, grey[:, ::-1], trimmed[:, ::-1])]
    small = cv2.resize(grey.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    cosines, none = _cosines().reshape(-1, SIZE), np.empty((0, 0))
    along = cv2.gemm(cosines, small.astype(np.float64), 1, none, 0)  # on one thread, unlike NumPy's
    both = np.asarray(cv2.gemm(along, cosines, 1, none, 0, flags=cv2.GEMM_2_T), dtype=np.float64)
    spectra = both.reshape(-1, LOW, len(CUTS) ** 2, LOW)
    windows: NDArray[np.float64] = spectra.transpose(0, 2, 1, 3).reshape(WINDOWS, LOW * LOW)
    windows[says_little(windows)] = windows[0]  # a bare margin resembles every other one
    bits = windows > np.median(windows, axis=1, keepdims=True)
    return np.concatenate([to_array(copies), np.packbits(bits, axis=1)])


class SecondKeys:
    """Second keys of the files in a folder, measured when first asked for: manifests do not hold them."""

    def __init__(self, folder: Path, engine: Engine, progress: Progress) -> None:
        self._folder, self._engine, self._progress = folder.absolute(), engine, progress
        self._known: dict[str, Keys] = {}

    def pictures(self, files: Sequence[str]) -> Keys:
        """Keys of the pictures: uint8 (N, KEYS, 32). Raises ImageError for one that cannot be read."""
        return self._of(files, 0)

    def drawings(self, files: Sequence[str]) -> Keys:
        """The same of their line drawings, which a line art shares with its coloured version."""
        return self._of(files, 1)

    def _of(self, files: Sequence[str], kind: int) -> Keys:
        new = [file for file in dict.fromkeys(files) if file not in self._known]
        if new:
            measured = self._engine.map(partial(file_keys, self._folder), new)
            told = self._progress.track(measured, "measure crops", len(new))
            self._known.update(zip(new, told, strict=True))
        found = [self._known[file][kind] for file in files]
        return np.array(found, np.uint8).reshape(-1, KEYS, HASH_BYTES)


def file_keys(folder: Path, file: str) -> Keys:
    """Keys of a picture file and of its drawing: uint8 (2, KEYS, 32). Raises ImageError."""
    image = read_prepared(folder / file)
    drawing = xdog(resize_shortest(image, INK_SIZE), INK_SIGMA)
    return np.stack([crop_keys(image), crop_keys(np.repeat(drawing[..., None], 3, axis=2))])


def crop_distance(a: Keys, b: Keys) -> int:
    """Least distance of two pictures' keys (KEYS, 32), one of them taken as a copy of the other's windows."""
    return int(
        min(
            np.bitwise_count(copy[:COPIES, None] ^ of[None, 1:]).sum(axis=2).min()
            for copy, of in ((a, b), (b, a))
        )
    )


def crop_pairs(a: Keys, b: Keys, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (i of a, j of b) of which one is a copy of a window of the other, within `limit` bits.

    Returns int64 (P, 2) in lexical order, each pair once, and int64 (P,) their least distances. Raises
    InputError for more pairs of keys than `cross_pairs` takes; two equal pictures have about eleven.
    """
    found = []
    for left, right, step in ((a, b, 1), (b, a, -1)):
        copies, windows = left[:, :COPIES], right[:, 1:]
        pairs, bits = cross_pairs(copies.reshape(-1, HASH_BYTES), windows.reshape(-1, HASH_BYTES), limit)
        i, j = (pairs // [COPIES, KEYS - 1]).T[::step]
        found.append(np.unique((i * len(b) + j) * RADIX + bits))  # one number a pair: many keys tell the same
    rows, bits = np.divmod(np.unique(np.concatenate(found)), RADIX)
    nearest = np.diff(rows, prepend=-1) > 0
    return np.column_stack(np.divmod(rows[nearest], max(len(b), 1))), bits[nearest]


def _box(image: Array) -> tuple[slice, slice]:
    """Rows and columns of a picture without padding of one colour; all where too few would be left."""
    height, width = image.shape[:2]
    small = for_measuring(image)
    edges = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    color = np.median(edges, axis=0)
    padding = cv2.inRange(small, color - TOLERANCE, color + TOLERANCE)
    left, top, wide, high = cv2.boundingRect(cv2.bitwise_not(padding))
    if min(wide / small.shape[1], high / small.shape[0]) < LEAST:
        return slice(None), slice(None)
    across, down = width / small.shape[1], height / small.shape[0]
    rows = slice(round(top * down), round((top + high) * down))
    return rows, slice(round(left * across), round((left + wide) * across))


@cache
def _cosines() -> NDArray[np.float64]:
    """Lowest frequencies along an axis of SIZE pixels, by what is cut off at its ends: (9, LOW, SIZE)."""
    found = []
    for before, after in product(CUTS, CUTS):
        cells = np.linspace(before * SIZE, (1 - after) * SIZE, SIDE + 1)
        until = np.clip(cells[:, None] - np.arange(SIZE), 0, 1)
        averages = np.diff(until, axis=0) / np.diff(cells)[:, None]
        found.append(dct(averages, type=2, axis=0)[:LOW])
    return np.stack(found)
