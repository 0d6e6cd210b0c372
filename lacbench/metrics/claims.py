"""What line fidelity, hint adherence and bleeding share: one size, colours as the eye parts them, means."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.devices import cores
from lacbench.errors import InputError
from lacbench.images import Array, read, resize_shortest
from lacbench.lineart import clean
from lacbench.progress import Progress, Silent

SIZE = 512
"""Shortest side, in pixels, at which everything is measured, whatever size the output has."""
ASPECT = 0.01
"""Sides may differ by this share of themselves after resizing: roundings, not another picture."""

Floats = NDArray[np.float64]
Item = TypeVar("Item")
Result = TypeVar("Result")
Pictures = Mapping[str, Path]
"""Files by the line art's id."""


@dataclass(frozen=True)
class Mean:
    """The mean of a measure over a submission's pictures."""

    value: float | None
    """The mean; None where no picture could be measured."""
    standard_error: float | None
    """sd / √n over pictures; None for fewer than two."""
    n: int
    """Pictures measured."""
    left_out: int
    """Pictures that have nothing to measure it by."""


def mean(values: Iterable[float | None]) -> Mean:
    """The mean and its standard error; None stands for a picture that has nothing to measure."""
    given = list(values)
    measured = [value for value in given if value is not None]
    n, left_out = len(measured), len(given) - len(measured)
    error = float(np.std(measured, ddof=1) / np.sqrt(n)) if n > 1 else None
    return Mean(float(np.mean(measured)) if n else None, error, n, left_out)


def over(
    outputs: Pictures,
    linearts: Pictures,
    measure: Callable[[str, Array, Array], Result],
    label: str,
    progress: Progress | None = None,
) -> dict[str, Result]:
    """Measure every output: (id, output uint8 (H, W, 3), cleaned line art uint8 (H', W')) → a result, by id.

    Raises InputError for a line art without output, naming it, and what `read` raises.
    """
    missing = sorted(set(linearts) - set(outputs))
    if missing or not linearts:
        raise InputError(
            f"{len(missing)} of {len(linearts)} line arts have no output ({', '.join(missing[:3])}); "
            "expected one each, and a line art at least; colour them all"
        )

    def judge(key: str) -> tuple[str, Result]:
        try:
            return key, measure(key, read(outputs[key]), clean(read(linearts[key])))
        except InputError as error:
            raise InputError(f"{outputs[key]}: {error}") from error

    return dict(each(sorted(linearts), judge, label, progress))


def each(
    items: Collection[Item], measure: Callable[[Item], Result], label: str, progress: Progress | None = None
) -> Iterator[Result]:
    """The measure of each item, in order, by a thread a core: NumPy and OpenCV let others run."""
    with ThreadPoolExecutor(cores()) as pool:
        yield from (progress or Silent()).track(pool.map(measure, items), label, len(items))


def aligned(output: Array, line_art: Array) -> tuple[Array, Array]:
    """Both at a shortest side of SIZE, equally large.

    Args:
        output: uint8 (H, W, 3) RGB.
        line_art: uint8 (H', W'), 0 ink, 255 paper, of the same aspect.

    Raises:
        InputError: other shapes or types, or another aspect.
    """
    if output.dtype != np.uint8 or output.ndim != 3 or output.shape[2] != 3:
        raise InputError(
            f"expected an output uint8 (H, W, 3) RGB, got {output.dtype} {output.shape}; convert it"
        )
    if line_art.dtype != np.uint8 or line_art.ndim != 2:
        raise InputError(
            f"expected a line art uint8 (H, W), got {line_art.dtype} {line_art.shape}; take "
            "what lineart.clean gives"
        )
    resized, lines = resize_shortest(output, SIZE), resize_shortest(line_art, SIZE)
    off = [abs(a - b) > max(1, ASPECT * b) for a, b in zip(resized.shape, lines.shape, strict=False)]
    if any(off):
        sizes = [f"{picture.shape[1]} × {picture.shape[0]}" for picture in (output, line_art)]
        raise InputError(
            f"the output has {sizes[0]} pixels, its line art {sizes[1]}: expected the same aspect; "
            "colour the whole line art, without cropping or padding"
        )
    if resized.shape[:2] != lines.shape:
        height, width = lines.shape
        resized = np.asarray(cv2.resize(resized, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return resized, lines


def lab(image: Array) -> Floats:
    """CIE L*a*b* (…, 3) of sRGB uint8 (…, 3), white point D65, 2° observer (IEC 61966-2-1; CIE 15:2004)."""
    xyz = sum(table[image[..., channel]] for channel, table in enumerate(_XYZ))  # not @: its rounding varies
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: Floats, second: Floats) -> Floats:
    """CIEDE2000 colour difference ΔE₀₀ (…,) of L*a*b* (…, 3) each, broadcast; k_L = k_C = k_H = 1.

    Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula", equations 2 to 22. 0 for equal
    colours, about 1 just noticeable, 100 from black to white.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(first, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(second, np.float64), -1, 0)
    stretch = 1 + 0.5 * (1 - _seventh((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = np.arctan2(b1, stretch * a1) % (2 * np.pi), np.arctan2(b2, stretch * a2) % (2 * np.pi)
    turn, far = h2 - h1, np.abs(h2 - h1) > np.pi  # a grey's hue is of no account: it is multiplied by chroma
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.where(far, turn - np.sign(turn) * 2 * np.pi, turn) / 2)
    hue = (h1 + h2) / 2 + np.where(far, np.where(h1 + h2 < 2 * np.pi, np.pi, -np.pi), 0)
    hue = np.where(c1 * c2 == 0, h1 * (c1 > 0) + h2 * (c2 > 0), hue)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(hue - np.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6))
        - 0.20 * np.cos(4 * hue - np.radians(63))
    )
    rotation = np.radians(60) * np.exp(-(((np.degrees(hue) - 275) / 25) ** 2))
    in_l = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    in_c = (c2 - c1) / (1 + 0.045 * chroma)
    in_h = delta_h / (1 + 0.015 * chroma * t)
    squares = in_l**2 + in_c**2 + in_h**2 - 2 * _seventh(chroma) * np.sin(rotation) * in_c * in_h
    return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float64)


def _seventh(chroma: Floats) -> Floats:
    """√(C⁷ / (C⁷ + 25⁷)), C* being chroma: 0 for greys, towards 1 for vivid colours."""
    power = chroma**7
    return np.sqrt(power / (power + 25.0**7))


_LEVELS = np.arange(256) / 255
_LINEAR: Floats = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
"""Linear light of each of sRGB's 256 levels."""
_RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float64
)
_XYZ: tuple[Floats, ...] = tuple(
    _LINEAR[:, None] * (column / _RGB_TO_XYZ.sum(axis=1)) for column in _RGB_TO_XYZ.T
)
"""What each level of each channel adds to XYZ, (256, 3) each, white being 1, 1, 1: greys have a* = b* = 0."""
