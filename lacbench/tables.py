"""The figures of score cards as tables, for people: what compares stands in one, what does not in another."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lacbench.errors import InputError
from lacbench.metrics.figure import Better, Figure
from lacbench.metrics.registry import METRICS
from lacbench.reproduce import FLOORS
from lacbench.scorecard import ScoreCard

TITLES: Mapping[str, str] = {
    "fid": "FID", "kid": "KID", "cmmd": "CMMD", "fd-dinov2": "FD, DINOv2", "colorfulness": "Colourfulness",
    "prdc": "Precision, recall, density, coverage", "precision": "Precision", "recall": "Recall",
    "density": "Density", "coverage": "Coverage", "bleeding": "Bleeding", "lines": "Line fidelity",
    "line-f": "Lines, F", "line-precision": "Lines, precision", "line-recall": "Lines, recall",
    "hints": "Hint adherence", "hint-difference": "Hints, ΔE₀₀", "hint-reach": "Hints, reach",
    "paired": "PSNR, SSIM, MS-SSIM", "psnr": "PSNR, dB", "psnr-lab": "PSNR in L*a*b*, dB", "ssim": "SSIM",
    "ms-ssim": "MS-SSIM", "lpips-alex": "LPIPS, AlexNet", "lpips-vgg": "LPIPS, VGG16",
}  # fmt: skip
"""What people call metrics and figures; others keep their own names."""
KINDS = {
    "sets": ("Near to illustrations", "The outputs as a set, against the data set’s illustrations."),
    "claims": ("True to the drawing and the user", "Each output against its own line art, and the hints."),
    "pairs": (
        "Near to the true colours",
        "Each output against the one true picture of its line art, where that is known. Secondary: a line "
        "art allows many colourings.",
    ),
    "": ("Other figures", "What this version of lacbench does not know."),
}
"""Title and lead of each kind of metrics; the last are those that no metric here gives."""
DECIMALS = 3
"""Decimals of figures that have no standard error; of others as many as show two digits of the smallest."""


@dataclass(frozen=True)
class Score:
    """One method's card, read."""

    card: ScoreCard
    """What was scored."""
    figures: Mapping[str, Figure]
    """Its figures by name."""

    @property
    def floor(self) -> bool:
        """Whether it is no model, but what any model must beat."""
        return self.card.name.lower() in FLOORS

    @property
    def fid(self) -> Figure | None:
        """Its FID, where one was taken and has a value."""
        found = self.figures.get("fid")
        return found if found and found.value is not None else None


@dataclass(frozen=True)
class Column:
    """A figure, as the head of a table's column tells of it."""

    title: str
    """What people call it."""
    better: Better
    """Which values are better."""
    notes: tuple[str, ...]
    """What else to know, where that is so of every card: on how many pictures it was taken …"""
    protocol: str
    """How it was taken; empty where the card does not say."""


@dataclass(frozen=True)
class Cell:
    """One card's figure, as text."""

    value: str
    """The number."""
    error: str
    """Its standard error; empty where it is unknown."""
    interval: str
    """Its 95% interval; empty where it is unknown."""
    notes: tuple[str, ...]
    """What else to know, and the column does not tell."""


@dataclass(frozen=True)
class Table:
    """Cards whose figures compare."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Score, tuple[Cell | None, ...]], ...]
    """For each card a cell a column; None where it has no such figure."""


@dataclass(frozen=True)
class Group:
    """All figures of one kind."""

    title: str
    lead: str
    tables: tuple[Table, ...]
    gaps: tuple[str, ...]
    """Why figures are missing, a sentence each."""


@dataclass(frozen=True)
class Chart:
    """FIDs that compare, as bars."""

    protocol: str
    scores: tuple[Score, ...]
    """The cards, by rising FID."""
    axis: tuple[float, ...]
    """Ticks from 0 to a round number beyond every bar and interval."""


def scores_of(cards: Sequence[ScoreCard], digest: str) -> list[Score]:
    """The cards by rising FID, those without one at the end. Raises InputError unless all are of the data set
    with this digest, and hold figures."""
    if not cards:
        raise InputError("no score cards: expected at least one, got none; score a submission first")
    for card in cards:
        if card.dataset != digest:
            raise InputError(
                f"the score card of {card.name} is of another data set: expected digest "
                f"{digest[:12]}, got {card.dataset[:12]}; score its outputs on this data set"
            )
    scores = [Score(card, _figures(card)) for card in cards]
    return sorted(scores, key=lambda s: (_value(s.fid), s.card.name))


def groups_of(scores: Sequence[Score]) -> list[Group]:
    """Tables of all figures, by kind."""
    known = {name for metric in METRICS.values() for name in metric.figures}
    names = {
        kind: [name for metric in METRICS.values() if metric.kind == kind for name in metric.figures]
        for kind in KINDS
    }
    names[""] = sorted({name for score in scores for name in score.figures} - known)
    return [
        Group(title, lead, tuple(_table(part, names[kind]) for part in parts(scores, names[kind])), gaps)
        for kind, (title, lead) in KINDS.items()
        if (gaps := tuple(_gaps(scores, kind)))
        or any(name in s.figures for name in names[kind] for s in scores)
    ]


def charts_of(scores: Sequence[Score]) -> list[Chart]:
    """A chart of the FIDs of each way in which they were taken."""
    with_fid = [score for score in scores if score.fid]
    return [
        Chart(_protocol(part[0].figures["fid"]), tuple(part), tuple(_axis(part)))
        for part in parts(with_fid, ["fid"])
    ]


def parts(scores: Sequence[Score], names: Iterable[str]) -> list[list[Score]]:
    """The cards that hold some of these figures, parted so that within each part every figure compares.

    A figure compares with another of its name by the same protocol, with the same weights and reference.
    """
    found: list[tuple[dict[str, object], list[Score]]] = []
    names = list(names)
    for score in scores:
        ways = {name: way(score.figures[name]) for name in names if name in score.figures}
        if not ways:
            continue
        for known, part in found:
            if all(known.get(name, way) == way for name, way in ways.items()):
                known |= ways
                part.append(score)
                break
        else:
            found.append((ways, [score]))
    return [part for _, part in found]


def _figures(card: ScoreCard) -> dict[str, Figure]:
    """The card's figures, checked."""
    try:
        figures = {name: Figure.from_json(told) for name, told in card.metrics.items()}
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            f"the score card of {card.name} cannot be shown: got {type(problem).__name__} {problem} where "
            "`lacbench score` writes a figure; score its outputs again"
        ) from problem
    if not figures and not card.not_measured:
        raise InputError(f"the score card of {card.name} holds no figure; score its outputs again")
    return figures


def way(figure: Figure) -> object:
    """What two figures of one name must share to be compared."""
    digests = figure.more.get("digests")
    reference = digests[-1] if isinstance(digests, list | tuple) and digests else ""
    return _protocol(figure), figure.better, figure.more.get("weights_sha256"), reference


def _protocol(figure: Figure) -> str:
    return str(figure.more.get("protocol", ""))


def _table(scores: Sequence[Score], names: Iterable[str]) -> Table:
    """The cards' figures of these names, as far as there are any."""
    taken = {name: {i: s.figures[name] for i, s in enumerate(scores) if name in s.figures} for name in names}
    pairs = [_column(name, figures) for name, figures in taken.items() if figures]
    rows = tuple((score, tuple(cells.get(i) for _, cells in pairs)) for i, score in enumerate(scores))
    return Table(tuple(column for column, _ in pairs), rows)


def decimals(errors: Sequence[float]) -> int:
    """How many decimals figures with these standard errors, none of them 0, are shown with; see DECIMALS."""
    return min(max(1 - math.floor(math.log10(min(errors))), 0), 5) if errors else DECIMALS


def _column(name: str, figures: Mapping[int, Figure]) -> tuple[Column, dict[int, Cell]]:
    """A figure of several cards, by their row: what is so of all of them, and the cells."""
    errors = [figure.standard_error for figure in figures.values() if figure.standard_error]
    places = decimals(errors)
    notes = {row: _notes(figure, places) for row, figure in figures.items()}
    first, *others = notes.values()
    shared = tuple(note for note in first if all(note in told for told in others))
    cells = {
        row: _cell(figure, places, tuple(note for note in notes[row] if note not in shared))
        for row, figure in figures.items()
    }
    one = next(iter(figures.values()))
    return Column(TITLES.get(name, name), one.better, shared, _protocol(one)), cells


def _cell(figure: Figure, places: int, notes: tuple[str, ...]) -> Cell:
    error, interval = figure.standard_error, figure.interval
    return Cell(
        "–" if figure.value is None else _shown(figure.value, places),
        "" if error is None else _shown(error, places),
        "" if interval is None else f"{_shown(interval[0], places)} to {_shown(interval[1], places)}",
        notes,
    )


def _notes(figure: Figure, places: int) -> list[str]:
    """What is told of a figure beside its value."""
    more, notes = figure.more, [_pictures(figure)]
    for key, title in (("infinity", "FID∞"), ("of_illustrations", "illustrations have")):
        if isinstance(told := more.get(key), int | float):
            notes.append(f"{title} {_shown(told, places)}")
    if isinstance(skipped := more.get("skipped"), list | tuple) and skipped:
        notes.append(f"{len(skipped):,} unreadable left out")
    return notes


def _pictures(figure: Figure) -> str:
    """On how many pictures a figure was taken."""
    if not isinstance(figure.n, int):
        return " against ".join("?" if count is None else f"{count:,}" for count in figure.n)
    left_out = figure.more.get("left_out")
    whole = figure.n + left_out if isinstance(left_out, int) else figure.n
    return (
        f"{figure.n:,} of {whole:,}" if whole > figure.n else f"{figure.n:,} picture{'s' * (figure.n != 1)}"
    )


def _shown(number: float, places: int) -> str:
    return f"{number:.{places}f}" if abs(number) < 1e9 else f"{number:.4g}"


def _gaps(scores: Sequence[Score], kind: str) -> Iterable[str]:
    """Why usual figures of this kind are missing, and of which cards."""
    for metric in (m for m in METRICS.values() if m.kind == kind):
        without: dict[str, list[str]] = {}
        for score in scores:
            reason = score.card.not_measured.get(metric.name, "" if metric.usual else None)
            if reason is not None and not score.figures.keys() & set(metric.figures):
                without.setdefault(reason or "not on the card", []).append(score.card.name)
        for reason, names in without.items():
            of = "" if len(names) == len(scores) else f" of {', '.join(names)}"
            yield f"{TITLES.get(metric.name, metric.name)}{of}: {reason}"


def _value(figure: Figure | None) -> float:
    return math.inf if figure is None or figure.value is None else figure.value


def _axis(scores: Sequence[Score]) -> list[float]:
    top = max(1.0, *(n for s in scores if s.fid for n in (_value(s.fid), *(s.fid.interval or ()))))
    power = 10 ** math.floor(math.log10(top))
    step = next(s * power for s in (0.2, 0.5, 1, 2) if s * power * 6 >= top)
    return [i * step for i in range(math.ceil(top / step) + 1)]
