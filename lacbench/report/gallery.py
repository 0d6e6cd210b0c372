"""What methods made of line arts: side by side, and to flip between in place."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from lacbench import weights
from lacbench.errors import InputError
from lacbench.hints import Hint, Hints
from lacbench.images import Array
from lacbench.lineart import clean
from lacbench.metrics.adherence import hint_adherence
from lacbench.metrics.bleeding import bleeding
from lacbench.metrics.claims import each
from lacbench.metrics.decoding import read_on_white
from lacbench.metrics.figure import Better
from lacbench.metrics.lines import line_fidelity
from lacbench.metrics.lpips import LINEAR, Lpips
from lacbench.metrics.paired import matched, psnr
from lacbench.progress import Progress
from lacbench.records import Dataset, Member
from lacbench.report.contents import varied
from lacbench.report.pictures import SIDE, Picture, picture, title
from lacbench.submission import File, open_submission
from lacbench.tables import Score

FLIP = 320
"""Longest side of a picture to flip, in CSS pixels; stored at twice that."""
MEASURED = 64
"""Line arts measured, at most, to find the worst and the best: 0.1 s an output on a core."""
MEASURES: Mapping[str, tuple[Better, str, str]] = {
    "line-f": ("higher", "line fidelity", "F {:.2f}"),
    "bleeding": ("lower", "bleeding", "{:.2f}"),
    "hint-difference": ("lower", "hint difference", "ΔE₀₀ {:.1f}"),
    "psnr": ("higher", "PSNR", "{:.1f} dB"),
    "lpips-alex": ("lower", "LPIPS", "{:.3f}"),
}
"""Figures that are taken of single pictures: which values are better, what they are called, how they are
written."""

Values = Mapping[str, float]
"""Figures of one output, by their names."""


@dataclass(frozen=True)
class Method:
    """A score card and its outputs."""

    score: Score
    """The card."""
    outputs: Mapping[str, File]
    """Its outputs by the line art's id; empty where they are gone."""

    @classmethod
    def of(cls, score: Score, dataset: Dataset) -> "Method":
        """Find a card's outputs. Raises InputError as `open_submission` does for a broken archive."""
        source = score.card.submission
        return cls(score, open_submission(source, dataset).outputs if source.exists() else {})

    @property
    def name(self) -> str:
        """The method's."""
        return self.score.card.name


@dataclass(frozen=True)
class Row:
    """One line art and what became of it."""

    lineart: Picture
    """The line art."""
    dabs: tuple[Hint, ...]
    """Its colour hints."""
    outputs: tuple[Picture | None, ...]
    """Each method's output, in the order of the columns; None where it is missing."""
    truth: Picture | None
    """Its true coloured version."""


@dataclass(frozen=True)
class Extreme:
    """The worst or the best output by a figure."""

    figure: str
    """The figure's name."""
    worst: bool
    """Whether it is the worst."""
    value: float
    """The figure's value."""
    method: int
    """Whose output it is: its place among the methods."""

    def __str__(self) -> str:
        _, name, form = MEASURES[self.figure]
        return f"{'Worst' if self.worst else 'Best'} {name}: {form.format(self.value)}"


@dataclass(frozen=True)
class Flip:
    """One line art through all methods."""

    row: Row
    """The pictures."""
    reasons: tuple[Extreme, ...]
    """Why it is shown."""
    told: tuple[str, ...]
    """Each method's figures of it; empty where it has none."""


def rows(
    dataset: Dataset, methods: Sequence[Method], hints: Hints | None, examples: int, progress: Progress
) -> Iterable[Row]:
    """Line arts with every method's output, those with true colours first."""
    chosen = _examples(dataset, examples)
    for member in progress.track(chosen, "report", len(chosen)):
        yield _row(dataset, member, methods, hints, SIDE)


def flips(
    dataset: Dataset, methods: Sequence[Method], hints: Hints | None, progress: Progress
) -> tuple[list[Flip], int]:
    """The line arts of the worst and the best output by each of MEASURES that a card has.

    Of every source the first line arts by id are measured, MEASURED at most; how many is returned too. The
    floors' outputs are no candidates, unless there are no others; figures of hints are of methods with hints.

    Raises InputError for an output of another aspect than its line art, ImageError for one that cannot be
    read.
    """
    wanted = [name for name in MEASURES if any(name in m.score.figures and m.outputs for m in methods)]
    if "lpips-alex" in wanted and not all(map(weights.is_cached, ("alexnet", LINEAR["alexnet"]))):
        wanted.remove("lpips-alex")
    if not wanted:
        return [], 0
    everyone = range(len(methods))
    candidates = [at for at in everyone if not methods[at].score.floor] or everyone
    lpips = Lpips("alexnet") if "lpips-alex" in wanted else None
    judge = _Judge(dataset, methods, wanted, hints or {}, lpips)
    chosen = _examples(dataset, MEASURED)
    taken = list(each(chosen, partial(judge.values, candidates), "gallery", progress))
    reasons: dict[int, list[Extreme]] = {}
    for at, extreme in _extremes(wanted, taken):
        reasons.setdefault(at, []).append(extreme)
    found = [
        Flip(
            _row(dataset, chosen[at], methods, hints, FLIP),
            tuple(why),
            tuple(map(_told, judge.values(everyone, chosen[at]))),
        )
        for at, why in reasons.items()
    ]
    return found, len(chosen)


@dataclass(frozen=True)
class _Judge:
    """Takes the figures of single pictures."""

    dataset: Dataset
    methods: Sequence[Method]
    wanted: Collection[str]
    hints: Hints
    lpips: Lpips | None

    def values(self, judged: Collection[int], member: Member) -> tuple[Values, ...]:
        """Figures of a line art by each method; none for methods that are not to be judged, or lack it."""
        key, truth = member.record.sha256, self.dataset.truth(member)
        lines = clean(read_on_white(self.dataset.file(member)))
        true = read_on_white(self.dataset.file(truth)) if truth else None
        return tuple(
            self._values(method, read_on_white(method.outputs[key]), lines, true, self.hints.get(key, ()))
            if at in judged and key in method.outputs
            else {}
            for at, method in enumerate(self.methods)
        )

    def _values(
        self, method: Method, output: Array, lines: Array, true: Array | None, dabs: Sequence[Hint]
    ) -> Values:
        names = method.score.figures.keys() & set(self.wanted)
        values: dict[str, float | None] = {}
        if "line-f" in names:
            values["line-f"] = line_fidelity(output, lines).f
        if "bleeding" in names:
            values["bleeding"] = bleeding(output, lines).value
        if "hint-difference" in names and dabs:
            values["hint-difference"] = hint_adherence(output, lines, dabs).difference
        if true is not None:
            with suppress(InputError):  # of two aspects: the card leaves them out too
                pair = matched(output, true)
                if "psnr" in names:
                    values["psnr"] = psnr(*pair)
                if "lpips-alex" in names and self.lpips:
                    values["lpips-alex"] = self.lpips.distance(*pair)
        return {name: value for name, value in values.items() if value is not None}


def _extremes(wanted: Iterable[str], taken: Sequence[Sequence[Values]]) -> Iterable[tuple[int, Extreme]]:
    """The worst and the best output by each figure, with the line art's place; none where all are alike."""
    for name in wanted:
        sign = -1 if MEASURES[name][0] == "higher" else 1
        found = [
            (sign * values[name], lineart, method)
            for lineart, row in enumerate(taken)
            for method, values in enumerate(row)
            if name in values
        ]
        if found and min(found)[0] < max(found)[0]:
            for worst, (badness, lineart, method) in ((True, max(found)), (False, min(found))):
                yield lineart, Extreme(name, worst, sign * badness, method)


def _told(values: Values) -> str:
    """Figures of an output, for people."""
    return " · ".join(f"{MEASURES[name][1]} {MEASURES[name][2].format(v)}" for name, v in values.items())


def _row(dataset: Dataset, member: Member, methods: Sequence[Method], hints: Hints | None, side: int) -> Row:
    """A line art and what became of it, in pictures of `side` CSS pixels."""
    key, name, truth = member.record.sha256, title(member), dataset.truth(member)
    return Row(
        picture(dataset.file(member), side, f"line art {name}", lines=True),
        tuple((hints or {}).get(key, ())),
        tuple(
            picture(m.outputs[key], side, f"{name} colorized by {m.name}") if key in m.outputs else None
            for m in methods
        ),
        picture(dataset.file(truth), side, f"true colours of {name}") if truth else None,
    )


def _examples(dataset: Dataset, count: int) -> list[Member]:
    """Line arts to show: up to half without true colours, after those with."""
    true = [m for m in dataset.linearts if dataset.truth(m)]
    other = [m for m in dataset.linearts if not dataset.truth(m)]
    first = varied(true, count - min(len(other), count // 2))
    return first + varied(other, count - len(first))
