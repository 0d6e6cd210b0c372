"""Perceptual hashes of 256 bits, as 32 bytes.

Algorithm `phash256-1` (the name and version that manifests carry): grey → area-averaged to 64 × 64 →
DCT-II → the 16 × 16 lowest frequencies → one bit each, set above their median. On a grey picture of
64 × 64 it is `imagehash.phash(hash_size=16)` bit for bit; on others it differs by the resize alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from lacbench.images import Array, resize_shortest, to_grey
from lacbench.xdog import xdog

ALGORITHM = "phash256-1"
"""Name and version of both hashes; hashes of another name cannot be compared with these."""
BITS = 256
HASH_BYTES = BITS // 8

SIDE, LOW = 64, 16
SPARSE_ENERGY = 0.1
"""A hash says little when fewer than this share of its frequencies carry 1% of the strongest one."""

INK_SIGMA = 0.5
INK_SIZE = 512
"""Shortest side, in pixels, at which the ink hash draws its lines."""


@dataclass(frozen=True)
class Hashes:
    """All hashes of a picture."""

    phash: bytes
    """See `phash`."""
    ink_hash: bytes
    """See `ink_hash`."""
    sparse: bool
    """See `is_sparse`."""


def hashes(image: Array) -> Hashes:
    """All hashes of uint8 (H, W, 3) RGB or (H, W) grey, its grey and its spectrum taken once."""
    grey = to_grey(image)
    spectrum = _spectrum(grey)
    small = resize_shortest(image, INK_SIZE)
    ink = phash(xdog(grey if small is image else small, INK_SIGMA))
    return Hashes(_bits(spectrum), ink, _says_little(spectrum))


def phash(image: Array) -> bytes:
    """Perceptual hash of uint8 (H, W, 3) RGB or (H, W) grey: 32 bytes, compared by Hamming distance."""
    return _bits(_spectrum(to_grey(image)))


def is_sparse(image: Array) -> bool:
    """Whether the picture is flat or periodic, so that its hash's bits are mostly rounding.

    Flags, patterns and blank pages hash alike without being alike: only exact duplicates count there.
    """
    return _says_little(_spectrum(to_grey(image)))


def ink_hash(image: Array) -> bytes:
    """Perceptual hash of the drawing alone, which a line art shares with its coloured version: 32 bytes.

    The hash of the XDoG (σ = 0.5) at 512 pixels; averaging to 64 × 64 blurs it until a line and the two
    outlines that XDoG draws of a line coincide.
    """
    return phash(xdog(resize_shortest(image, INK_SIZE), INK_SIGMA))


def to_array(hashes: list[bytes]) -> NDArray[np.uint8]:
    """Stack N hashes of 32 bytes as uint8 (N, 32), which `lacbench.dedupe.near_pairs` takes."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, HASH_BYTES)


def _spectrum(grey: Array) -> NDArray[np.float64]:
    """Lowest frequencies (16, 16) of uint8 (H, W)."""
    # In float: rounding the small picture back to 8 bits would flip bits near the median.
    small = cv2.resize(grey.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(dctn(small.astype(np.float64), type=2)[:LOW, :LOW], dtype=np.float64)


def says_little(spectra: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether hashes of spectra (N, LOW²) are mostly rounding: (N,); see `is_sparse`."""
    strength = np.abs(spectra)
    strength[:, 0] = 0  # the mean says nothing about the drawing
    top = strength.max(axis=1)
    share = (strength > top[:, None] / 100).mean(axis=1)
    return np.asarray((top < 1) | (share < SPARSE_ENERGY))


def _says_little(spectrum: NDArray[np.float64]) -> bool:
    return bool(says_little(spectrum.reshape(1, -1))[0])


def _bits(spectrum: NDArray[np.float64]) -> bytes:
    return np.packbits(spectrum > np.median(spectrum)).tobytes()
