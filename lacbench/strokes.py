"""Hints as strokes: short strokes of a brush, each in one colour and within one region of its line art."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError, OutputError
from lacbench.files import make_folder
from lacbench.hints import Hint, Hints, chance
from lacbench.images import Array, read, write_png
from lacbench.lineart import clean
from lacbench.metrics.claims import each
from lacbench.progress import Progress
from lacbench.records import Dataset, Member
from lacbench.regions import regions, snapped

BRUSH_SHARE = 64
"""The brush is as wide as the shortest side over this: 8 pixels at 512, two cells of the networks' hints."""
LENGTH_SHARE = 8
"""A stroke is at most as long as the shortest side over this: 64 pixels at 512."""
DIRECTIONS = 8
"""Directions that are tried: a stroke goes where it can be longest."""
ALIKE = 24
"""Pixels of the true picture none of whose channels is farther than this, in 0–255, from a colour have it."""

Mask = NDArray[np.bool_]


def paint_strokes(
    dataset: Dataset, hints: Hints, folder: Path, seed: int, progress: Progress | None = None
) -> Path:
    """Paint a stroke through each dab, `<line art's sha256>.png`: RGBA, as large as the line art.

    A stroke has its dab's colour and stays within the dab's region (`lacbench.regions`) and, where the true
    colours are known, on pixels of that colour; the seed decides where it heads. The same seed and dabs give
    the same bytes. Of dabs on a line it goes through the nearest place beside it.

    Raises:
        InputError: hints of none of the line arts.
        ImageError: a picture that cannot be read.
        OutputError: the folder holds other PNGs, or cannot be written.
    """
    linearts = {m.record.sha256: m for m in dataset.linearts if hints.get(m.record.sha256)}
    if not linearts:
        raise InputError("the hints are of other line arts; expected those of the data set; draw them for it")
    make_folder(folder)
    if others := sorted(file.name for file in folder.glob("*.png") if file.stem not in linearts):
        raise OutputError(f"{folder} holds other pictures, as {others[0]}; choose another folder")

    def paint(lineart: Member) -> None:
        key, truth = lineart.record.sha256, dataset.truth(lineart)
        colors = read(dataset.file(truth)) if truth else None
        random = np.random.Generator(chance(seed, lineart).jumped())  # not the bits that drew the dabs
        strokes = strokes_on(clean(read(dataset.file(lineart))), hints[key], random, colors)
        write_png(folder / f"{key}.png", strokes)

    for _ in each(linearts.values(), paint, "strokes", progress):
        pass
    return folder


def strokes_on(
    line_art: Array, hints: Sequence[Hint], random: np.random.Generator, truth: Array | None
) -> Array:
    """Strokes through dabs: uint8 (H, W, 4) RGBA, transparent where there are none.

    Args:
        line_art: uint8 (H, W), 0 ink, 255 paper.
        hints: the dabs.
        random: decides where strokes head.
        truth: the true colours, uint8 (H', W', 3) RGB of the same aspect; None where they are not known.
    """
    height, width = line_art.shape
    painted = np.zeros((height, width, 4), np.uint8)
    labels = regions(line_art)
    if not labels.any():
        return painted
    if truth is not None:
        truth = np.asarray(cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    angles = random.uniform(0, np.pi, len(hints))
    places = snapped(labels, [hint.pixel(height, width) for hint in hints])
    shortest = min(height, width)
    reach, brush = max(1, shortest // LENGTH_SHARE // 2), max(1, shortest // BRUSH_SHARE)
    for hint, (row, column), angle in zip(hints, places, angles.tolist(), strict=True):
        top, left = max(0, row - reach - brush), max(0, column - reach - brush)
        around = np.s_[top : row + reach + brush + 1, left : column + reach + brush + 1]
        room, place = labels[around] == labels[row, column], (row - top, column - left)
        if truth is not None:
            off = np.abs(truth[around].astype(np.int16) - np.array(hint.color, np.int16)).max(axis=2)
            room = room & (off <= ALIKE) if off[place] <= ALIKE else room
        painted[around][_stroke(room, place, angle, reach, brush)] = (*hint.color, 255)
    return painted


def _stroke(room: Mask, place: tuple[int, int], angle: float, reach: int, brush: int) -> Mask:
    """Pixels (H, W) of the longest straight stroke through a place within a room; it may be a dot.

    It goes at most `reach` pixels from the place to either side, and is `brush` pixels wide.
    """
    lines = []
    for number in range(DIRECTIONS):
        heading = angle + number * np.pi / DIRECTIONS
        step = np.array([np.sin(heading), np.cos(heading)])
        lines.append([_end(room, place, way, reach) for way in (step, -step)])
    first, second = max(lines, key=lambda ends: math.dist(*ends))
    mask = np.zeros(room.shape, np.uint8)
    cv2.line(mask, first[::-1], second[::-1], 1, brush)
    return mask.astype(np.bool_) & room


def _end(room: Mask, place: tuple[int, int], step: NDArray[np.float64], reach: int) -> tuple[int, int]:
    """The last pixel, row and column, on the way from a place that is in the room with all before it."""
    path = np.rint(np.array(place) + np.arange(1, reach + 1)[:, None] * step).astype(int)
    path = path[((path >= 0) & (path < room.shape)).all(axis=1)]
    inside = room[tuple(path.T)]
    count = len(inside) if inside.all() else int(inside.argmin())
    row, column = path[count - 1].tolist() if count else place
    return row, column
