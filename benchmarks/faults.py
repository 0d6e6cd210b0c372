"""What line fidelity, hint adherence and bleeding make of faults of a known size.

    python benchmarks/faults.py ../shared/data/art --pairs DATA

Three kinds of coloured line art, each at 512 pixels, each with hints in its larger regions:

- flat: the art's line arts, every region in a colour of one of its illustrations;
- pairs: line arts and their coloured versions of one hand, from a data set with true pairs (`--pairs`);
- painted: shaded illustrations with their XDoG drawing over them.

Each is taken apart into colours and lines; a fault is made in one of them. Printed is each measure of the
pictures without fault, and how far each fault moves it: the mean over pictures of the difference, ± its
standard error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import click
import cv2
import numpy as np

from lacbench.baselines.floors import FLOORS
from lacbench.hints import Hint
from lacbench.images import Array, read, resize_shortest
from lacbench.lineart import clean
from lacbench.manifest import load_dataset
from lacbench.metrics.adherence import hint_adherence
from lacbench.metrics.bleeding import bleeding
from lacbench.metrics.claims import SIZE, Mean, mean
from lacbench.metrics.lines import line_fidelity
from lacbench.regions import INK_TONE, Labels, regions, to_ink
from lacbench.xdog import xdog

from collect import show
from pictures import as_jpeg

HINTS = 12
"""Hints a picture, at most."""
DEEPEST = 10
"""Hints lie so many pixels from lines at least."""
MEASURES = ("F", "precision", "recall", "ΔE₀₀ at hints", "reach", "bleeding")
NONE = "none"


@dataclass(frozen=True, eq=False)
class Sample:
    """A coloured line art, taken apart."""

    lines: Array
    """The line art, uint8 (H, W)."""
    fill: Array
    """The colours without the lines, uint8 (H, W, 3)."""
    hints: tuple[Hint, ...]
    """Dabs of the colours."""
    areas: Labels
    """What is in one colour: the line art's regions; in true pairs, whose outlines are open, the colours."""
    seed: int
    """Which picture it is."""

    @property
    def output(self) -> Array:
        """The colours under the lines."""
        return np.rint(self.fill * (self.lines[..., None] / 255)).astype(np.uint8)

    @property
    def random(self) -> np.random.Generator:
        """The same numbers for every fault of this picture."""
        return np.random.default_rng(self.seed)


Fault = Callable[[Sample], Array]
"""A coloured line art → the output that has the fault."""


def sample(lines: Array, fill: Array, seed: int, areas: Labels | None = None) -> Sample:
    """A picture with hints: the middles of its largest regions, in the colours that they have there."""
    labels, room = regions(lines), to_ink(lines < INK_TONE)
    height, width = room.shape
    hints: list[Hint] = []
    for label in np.argsort(-np.bincount(labels.ravel())[1:], kind="stable").tolist():
        within = np.where(labels == label + 1, room, 0)
        row, column = np.unravel_index(within.argmax(), room.shape)
        if within.max() >= DEEPEST:
            place = (column + 0.5) / width, (row + 0.5) / height
            hints.append(Hint(*place, tuple(fill[row, column].tolist())))
        if len(hints) == HINTS or (within > 0).sum() < DEEPEST**2:
            break
    return Sample(lines, fill, tuple(hints), labels if areas is None else areas, seed)


def flat(art: Path) -> Iterator[Sample]:
    """Line arts whose regions are filled with colours of an illustration."""
    palettes = sorted((art / "illustrations").iterdir())
    for seed, file in enumerate(sorted((art / "linearts").iterdir())):
        random = np.random.default_rng(seed)
        lines = resize_shortest(clean(read(file)), SIZE)
        labels = regions(lines)
        colors = read(palettes[int(random.integers(len(palettes)))]).reshape(-1, 3)
        chosen = colors[random.integers(len(colors), size=labels.max() + 1)]
        yield sample(lines, under_lines(chosen[labels], labels > 0), seed)


def pairs(folder: Path) -> Iterator[Sample]:
    """True pairs: the coloured version, without its lines, under the line art."""
    dataset = load_dataset(folder)
    for seed, member in enumerate(dataset.linearts):
        truth = dataset.truth(member)
        if truth:
            lines = resize_shortest(clean(read(dataset.file(member))), SIZE)
            color = resize_shortest(read(dataset.file(truth)), SIZE)
            off_lines = to_ink(lines < 250) >= 2
            fill = under_lines(color, off_lines)
            number = (fill.astype(np.int32) >> 4) @ np.array([256, 16, 1])
            areas = np.unique(number, return_inverse=True)[1].reshape(lines.shape).astype(np.int32) + 1
            yield sample(lines, fill, seed, areas)


def painted(art: Path) -> Iterator[Sample]:
    """Every eleventh shaded illustration, and its drawing."""
    for seed, file in enumerate(sorted((art / "illustrations").glob("wesnoth*"))[::11]):
        color = resize_shortest(read(file), SIZE)
        yield sample(xdog(color, 0.5), color, seed)


def under_lines(colors: Array, known: np.ndarray) -> Array:
    """Colours (H, W, 3) where they are known (H, W), and elsewhere those of the nearest pixel that is."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((nearest.max() + 1, colors.shape[2]), colors.dtype)
    table[nearest[known]] = colors[known]
    return table[nearest]


def smeared(sigma: float) -> Fault:
    """Hue and chroma blurred, lightness kept: how a network's colours bleed."""

    def make(given: Sample) -> Array:
        opponent = cv2.cvtColor(given.fill, cv2.COLOR_RGB2LAB)
        opponent[..., 1:] = cv2.GaussianBlur(opponent[..., 1:], (0, 0), sigma)
        return replace(given, fill=cv2.cvtColor(opponent, cv2.COLOR_LAB2RGB)).output

    return make


def spilled(width: int) -> Fault:
    """At every line one side's colour lies so many pixels beyond it on the other side: a careless brush."""

    def make(given: Sample) -> Array:
        order = given.random.permutation(given.areas.max() + 1).astype(np.float32) + 1
        rank = under_lines(order[given.areas][..., None], given.areas > 0)[..., 0]
        ink = given.lines < INK_TONE
        side = 2 * round(width + 3 + 2 * float(np.quantile(to_ink(~ink)[ink], 0.9))) + 1
        above = cv2.dilate(rank, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        runs = (above > rank) & (to_ink(ink) <= width)
        # A strip takes the nearest colour of the rank that spills into it.
        fill = given.fill.copy()
        for value in np.unique(above[runs]):
            here = runs & (above == value)
            top, left, bottom, right = box(here, side)
            part = (slice(top, bottom), slice(left, right))
            source = under_lines(given.fill[part], rank[part] == value)
            fill[part][here[part]] = source[here[part]]
        return replace(given, fill=fill).output

    return make


def box(mask: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a mask with a margin."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (max(0, rows[0] - margin), max(0, columns[0] - margin), rows[-1] + margin, columns[-1] + margin)


def washed(share: float) -> Fault:
    """Saturation (HSV) times a share."""

    def make(given: Sample) -> Array:
        hsv = cv2.cvtColor(given.output, cv2.COLOR_RGB2HSV_FULL).astype(np.float32)
        hsv[..., 1] *= share
        return cv2.cvtColor(np.rint(hsv).astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)

    return make


def erased(share: float) -> Fault:
    """Lines taken away in a share of the picture's squares of 32 pixels; the colours under them show."""

    def make(given: Sample) -> Array:
        height, width = given.lines.shape
        gone = given.random.random((height // 32 + 1, width // 32 + 1)) < share
        gone = np.kron(gone, np.ones((32, 32), bool))[:height, :width]
        return replace(given, lines=np.where(gone, 255, given.lines).astype(np.uint8)).output

    return make


def scribbled(count: int) -> Fault:
    """Black strokes, 3 pixels wide and some 150 long, drawn over it."""

    def make(given: Sample) -> Array:
        random, output = given.random, given.output
        for _ in range(count):
            turns = np.cumsum(random.normal(0, 0.4, 8)) + random.uniform(0, 7)
            steps = 20 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
            points = random.uniform(0, output.shape[1::-1]) + np.cumsum(steps, axis=0)
            cv2.polylines(output, [np.rint(points).astype(np.int32)], False, (0, 0, 0), 3, cv2.LINE_AA)
        return output

    return make


def turned(degrees: int) -> Fault:
    """Every hue turned by an angle, lightness kept."""

    def make(given: Sample) -> Array:
        opponent = cv2.cvtColor(given.fill, cv2.COLOR_RGB2LAB).astype(np.float32)
        a, b = opponent[..., 1] - 128, opponent[..., 2] - 128
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        opponent[..., 1], opponent[..., 2] = cos * a - sin * b + 128, sin * a + cos * b + 128
        turned_ = np.rint(opponent.clip(0, 255)).astype(np.uint8)
        return replace(given, fill=cv2.cvtColor(turned_, cv2.COLOR_LAB2RGB)).output

    return make


def swapped(given: Sample) -> Array:
    """Every hinted area in the colour of another hint: colours that have nothing to do with their hints."""
    fill = given.fill.copy()
    owned = under_lines(given.areas[..., None], given.areas > 0)[..., 0]
    for hint, other in zip(given.hints, (*given.hints[1:], *given.hints[:1]), strict=True):
        fill[owned == owned[hint.pixel(*owned.shape)]] = other.color
    return replace(given, fill=fill).output


def resized(size: int) -> Fault:
    """The output at another size."""
    return lambda given: resize_shortest(given.output, size)


def elsewhere(given: Sample) -> Array:
    """Lines moved by half the picture both ways: how well lines match by chance."""
    by = tuple(length // 2 for length in given.lines.shape)
    return replace(given, lines=np.roll(given.lines, by, (0, 1))).output


def floor(name: str) -> Fault:
    """What a floor makes of the line art and the hints."""
    return lambda given: FLOORS[name](given.lines, given.hints)


FAULTS: dict[str, Fault] = {
    NONE: lambda given: given.output,
    **{f"colours smeared, σ = {k} px": smeared(k) for k in (1, 2, 4, 8)},
    **{f"colours spilled by {k} px": spilled(k) for k in (1, 2, 4, 8)},
    **{f"saturation × {s}": washed(s) for s in (0.8, 0.5, 0.2)},
    **{f"{p:.0%} of the lines erased": erased(p) for p in (0.1, 0.3, 0.6)},
    **{f"{n} strokes over it": scribbled(n) for n in (5, 20)},
    **{f"hues turned by {d}°": turned(d) for d in (45, 180)},
    "hints swapped": swapped,
    "JPEG, quality 90": lambda given: as_jpeg(given.output),
    "resized to 256 px": resized(256),
    "resized to 1024 px": resized(1024),
    "lines moved by half the picture": elsewhere,
    **{f"floor {name}": floor(name) for name in FLOORS},
}


def measures(given: Sample, output: Array) -> list[float | None]:
    """The six MEASURES of an output."""
    lines, bled = line_fidelity(output, given.lines), bleeding(output, given.lines)
    followed = hint_adherence(output, given.lines, given.hints)
    return [lines.f, lines.precision, lines.recall, followed.difference, followed.reach, bled.value]


def shown(told: Mean, sign: str) -> str:
    """A mean ± its standard error."""
    return "–" if told.value is None else f"{told.value:{sign}.3f} ± {told.standard_error or 0:.3f}"


def study(name: str, samples: list[Sample], only: str) -> None:
    """Print what each fault does to each measure."""
    samples = [given for given in samples if given.hints]
    whole = [measures(given, given.output) for given in samples]
    table = [[f"{name}, n = {len(samples)}", *MEASURES]]
    for fault, make in FAULTS.items():
        if only and fault != NONE and only not in fault:
            continue
        rows = whole if fault == NONE else [measures(given, make(given)) for given in samples]
        cells = []
        for ours, theirs in zip(zip(*rows, strict=True), zip(*whole, strict=True), strict=True):
            moved = [None if a is None or b is None else a - b for a, b in zip(ours, theirs, strict=True)]
            told = mean(ours)
            cells.append(f"{shown(told, '')} ({told.n})" if fault == NONE else shown(mean(moved), "+"))
        table.append([fault, *cells])
    show(table)


@click.command()
@click.argument("art", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--pairs", "data", type=click.Path(exists=True, path_type=Path), help="A data set with true pairs."
)
@click.option("--count", default=40, show_default=True, help="Pictures of each kind, at most.")
@click.option("--kind", default="", help="Only this kind of picture.")
@click.option("--only", default="", help="Only faults that have this in their name.")
def main(art: Path, data: Path | None, count: int, kind: str, only: str) -> None:
    """Make faults, and see which measures move."""
    kinds = {"flat": flat(art), "pairs": pairs(data) if data else iter(()), "painted": painted(art)}
    for name, samples in kinds.items():
        if kind in ("", name) and (chosen := list(islice(samples, count))):
            study(name, chosen, only)


if __name__ == "__main__":
    main()
