"""Hint adherence: is the output in the hint's colour where the hint is, and as far as it should reach?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lacbench.errors import InputError
from lacbench.hints import Hint
from lacbench.images import Array
from lacbench.metrics.claims import Floats, Mean, Pictures, aligned, ciede2000, lab, mean, over
from lacbench.progress import Progress
from lacbench.regions import INK_TONE, Labels, regions, snapped, to_ink

RADIUS = 5
"""The surroundings of a hint: so many pixels at a shortest side of 512."""
CLEAR = 2.0
"""Pixels nearer to a line than this, at 512, are not looked at: soft edges."""
ALIKE = 10.0
"""Colours at most so far apart, in ΔE₀₀, are the same colour, lit otherwise."""
ENOUGH = 8192
"""Of a region with many more pixels so many are looked at, evenly spread."""


@dataclass(frozen=True)
class HintAdherence:
    """How well an output follows its hints: means over them."""

    difference: float
    """Median ΔE₀₀ between a hint's colour and the output around it; 0 to about 100, lower is better."""
    reach: float
    """Share of the hint's region in the colour of one of its hints; 0–1, higher is better."""
    hints: int
    """Hints that were looked at."""


@dataclass(frozen=True)
class HintAdherences:
    """A submission's hint adherence."""

    difference: Mean
    reach: Mean


def hint_adherence(output: Array, line_art: Array, hints: Sequence[Hint]) -> HintAdherence:
    """Compare an output with the hints that it was given.

    Around a hint are the pixels of its region within RADIUS of it and not beside a line; where there are none
    (a hint on a line), those nearest to it. A region is what `regions` finds; of its pixels those count that
    are at most ALIKE from the nearest in colour of the hints in it.

    Args:
        output: uint8 (H, W, 3) RGB.
        line_art: uint8 (H', W') of the same aspect, 0 ink, 255 paper (`lineart.clean`).
        hints: at least one.

    Raises:
        InputError: no hints, or see `aligned`.
    """
    if not hints:
        raise InputError(
            "hint adherence needs hints, got none; score without it, or give those that were used"
        )
    output, line_art = aligned(output, line_art)
    labels = regions(line_art)
    labels[to_ink(line_art < INK_TONE) < CLEAR] = 0
    if not labels.any():
        raise InputError(
            "the line art is nothing but lines: expected paper for hints to colour; leave it out"
        )
    return _judge(lab(output), labels, hints)


def hints_of(
    outputs: Pictures,
    linearts: Pictures,
    hints: Mapping[str, Sequence[Hint]],
    progress: Progress | None = None,
) -> HintAdherences:
    """The hint adherence of a submission: files and hints by the line art's id.

    Line arts without hints are left out, and counted. Raises as `over` and `hint_adherence` do.
    """

    def judge(key: str, output: Array, line_art: Array) -> HintAdherence | None:
        return hint_adherence(output, line_art, hints[key]) if hints.get(key) else None

    results = over(outputs, linearts, judge, "hints", progress).values()
    return HintAdherences(
        mean(r.difference if r else None for r in results), mean(r.reach if r else None for r in results)
    )


def _judge(colors: Floats, labels: Labels, hints: Sequence[Hint]) -> HintAdherence:
    """Adherence of L*a*b* (H, W, 3) to hints, by region labels (H, W), 0 beside lines."""
    given = lab(np.array([hint.color for hint in hints], np.uint8))
    places = snapped(labels, [hint.pixel(*labels.shape) for hint in hints])
    differences = [_around(colors, labels, place, color) for place, color in zip(places, given, strict=True)]
    owners = np.array([labels[place] for place in places])
    shares = {
        label: _share(colors[labels == label], given[owners == label]) for label in set(owners.tolist())
    }
    reaches = [shares[label] for label in owners.tolist()]
    return HintAdherence(float(np.mean(differences)), float(np.mean(reaches)), len(hints))


def _around(colors: Floats, labels: Labels, place: tuple[int, int], color: Floats) -> float:
    """Median ΔE₀₀ between a colour and the disc around a place, within the place's region."""
    window = tuple(slice(max(0, middle - RADIUS), middle + RADIUS + 1) for middle in place)
    rows, columns = (
        np.arange(*part.indices(length)) for part, length in zip(window, labels.shape, strict=True)
    )
    disc = (rows[:, None] - place[0]) ** 2 + (columns - place[1]) ** 2 <= RADIUS**2
    return float(np.median(ciede2000(colors[window][disc & (labels[window] == labels[place])], color)))


def _share(pixels: Floats, colors: Floats) -> float:
    """Share of L*a*b* (P, 3) that are ALIKE to one of colours (C, 3) at least."""
    pixels = pixels[:: max(1, len(pixels) // ENOUGH)]
    alike = [ciede2000(pixels, color) <= ALIKE for color in np.unique(colors, axis=0)]
    return float(np.any(alike, axis=0).mean())
