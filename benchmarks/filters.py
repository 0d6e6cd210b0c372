"""How well the filters tell pictures apart: thresholds chosen on one half of the art, measured on the other.

    python benchmarks/filters.py ../shared/data/art

The folder has a `manifest.json`: a list of tables with `file` and `set` (illustrations or linearts). Beside
its pictures, others are made of them by code (see pictures.py); what is made of a picture lies in its half.

The rule: each threshold in turn, from the middle of its grid, the others held, is judged by
min(precision, recall) on the first half; of all values within 0.02 of the best, the middle one is taken;
twice over. (The best alone hugs whatever pictures lie at the edge of that half: with some 35 line arts in it,
one of them is worth 0.03.)
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lacbench.filters import Filter
from lacbench.filters.border import border
from lacbench.filters.colored import colored
from lacbench.filters.lineart import lineart
from lacbench.filters.sketch import sketch
from lacbench.images import Array, Picture, read
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Candidate, Record, Set, Verdict
from lacbench.store import statistics

import pictures

SKETCHES = ("lines", "grey", "sepia", "pencil", "two inks")
"""Kinds of sketch that are made of illustrations."""
MADE: dict[str, Callable[[int], Array]] = {
    "lettering": pictures.lettering,
    "filled map": pictures.filled_map,
    "planet": pictures.planet,
    "photo": pictures.photo,
}
"""What passes for line art, made from nothing but a seed."""
TOLERANCE = 0.02
"""Values as good as the best one but for this much count as equal."""
EACH = 40
"""Pictures made of each kind."""


@dataclass(frozen=True)
class Sample:
    """A measured picture."""

    origin: str
    """Which picture it is, or is made of; halves part by it."""
    kind: str
    """What it is."""
    record: Record
    """What was measured of it."""


@dataclass(frozen=True)
class Question:
    """One thing that filters tell apart, and the thresholds that decide it."""

    name: str
    """For people."""
    ask: tuple[Filter, ...]
    """The filters that answer it."""
    set: Set
    """The set that pictures are offered for."""
    keeps: bool
    """Whether what is looked for is what the filters keep; else it is what they drop."""
    wanted: tuple[str, ...]
    """Kinds that should be found."""
    others: tuple[str, ...]
    """Kinds that should not."""
    grid: dict[str, tuple[float, ...]] = field(hash=False)
    """Values to try of each field of FilterSpec."""

    def finds(self, sample: Sample, limits: FilterSpec) -> bool:
        """Whether the filters take the sample for what is looked for."""
        return verdict(sample, self, limits).kept == self.keeps


TINTED = tuple(f"line art on {paper}" for paper in pictures.PAPERS)
QUESTIONS = (
    Question(
        "line art", (lineart,), "linearts", True,
        ("line art", *TINTED), ("illustration", "grey illustration", *MADE),
        {
            "max_lineart_hues": (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01),
            "max_lineart_chroma": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
            "min_lineart_paper": (0.4, 0.45, 0.5, 0.55, 0.6, 0.65),
            "min_lineart_ink": (0.001, 0.002, 0.005, 0.01, 0.02),
            "max_lineart_shading": (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
            "max_lineart_solid": (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4),
            "min_lineart_reach": (0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3),
        },
    ),
    Question(
        "sketch", (colored, sketch), "illustrations", False,
        ("line art", *TINTED, *(f"sketch: {kind}" for kind in SKETCHES)), ("illustration",),
        {
            "min_chroma": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
            "max_sketch_hues": (0.01, 0.02, 0.05, 0.1, 0.2),
            "min_solid": (0.002, 0.005, 0.01, 0.02, 0.03, 0.05),
        },
    ),
    Question(
        "border", (border,), "illustrations", False,
        ("letterboxed",), ("illustration",),
        {"max_border": (0.05, 0.1, 0.15, 0.2, 0.25)},
    ),
)  # fmt: skip
"""What is asked, in order."""


def verdict(sample: Sample, question: Question, limits: FilterSpec) -> Verdict:
    """What the question's filters say of a sample."""
    candidate = Candidate("benchmark", sample.origin, question.set, sample.kind, "unknown")
    record = Record(sample.record.sha256, sample.record.path, candidate, sample.record.statistics)
    return next((v for ask in question.ask if not (v := ask(record, limits)).kept), KEPT)


def samples(art: Path) -> list[Sample]:
    """Measure the art, and what is made of it: about half a minute."""
    labels = json.loads((art / "manifest.json").read_text())
    drawings = [e["file"] for e in labels if e["set"] == "linearts"]
    paintings = [e["file"] for e in labels if e["set"] == "illustrations"]
    found = []
    for file in drawings:
        image = read(art / file)
        found.append(_sample(file, "line art", image))
        for name, paper in pictures.PAPERS.items():
            tinted = pictures.as_jpeg(pictures.on_paper(image, paper), 85)
            found.append(_sample(file, f"line art on {name}", tinted))
    for number, file in enumerate(paintings):
        found += _of_painting(file, number, read(art / file))
    for kind, make in MADE.items():
        found += [_sample(f"{kind} {seed}", kind, make(seed)) for seed in range(EACH)]
    return found


def _of_painting(file: str, number: int, image: Array) -> Iterable[Sample]:
    """An illustration, and of every third something made of it: all kinds of sketch in turn."""
    yield _sample(file, "illustration", image)
    if number % 3 == 0:
        turn = number // 3
        kind = SKETCHES[turn % len(SKETCHES)]
        yield _sample(file, "grey illustration", pictures.sketch(image, "grey", turn))
        yield _sample(file, f"sketch: {kind}", pictures.sketch(image, kind, turn))
        if turn % 3 == 0:
            yield _sample(file, "letterboxed", pictures.letterboxed(image, turn // 3))


def _sample(origin: str, kind: str, image: Array) -> Sample:
    candidate = Candidate("benchmark", origin, "illustrations", kind, "unknown")
    return Sample(origin, kind, Record("", origin, candidate, statistics(Picture(image, "PNG", 1, 0.0))))


def halves(found: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Two halves of every kind of origin, dealt by seed."""
    random = np.random.default_rng(seed)
    kinds: dict[str, dict[str, None]] = {}
    for sample in found:
        if sample.kind in {"line art", "illustration", *MADE}:
            kinds.setdefault(sample.kind, {})[sample.origin] = None
    first = {o for origins in kinds.values() for o in random.permutation(list(origins))[: len(origins) // 2]}
    return [s for s in found if s.origin in first], [s for s in found if s.origin not in first]


def counts(question: Question, half: Iterable[Sample], limits: FilterSpec) -> tuple[int, int, int]:
    """How many were found rightly, found wrongly, and missed."""
    right = wrong = missed = 0
    for sample in half:
        found = sample.kind in (*question.wanted, *question.others) and question.finds(sample, limits)
        right += found and sample.kind in question.wanted
        wrong += found and sample.kind in question.others
        missed += not found and sample.kind in question.wanted
    return right, wrong, missed


def precision_recall(right: int, wrong: int, missed: int) -> tuple[float, float]:
    """Both as shares; 0 where nothing was found."""
    return right / max(right + wrong, 1), right / max(right + missed, 1)


def choose(half: Sequence[Sample], questions: Iterable[Question] = QUESTIONS) -> FilterSpec:
    """Limits chosen on a half by the rule above."""
    limits = FilterSpec()
    for question in questions:
        middle = {name: values[len(values) // 2] for name, values in question.grid.items()}
        limits = limits.model_copy(update=middle)
        for name, values in [*question.grid.items()] * 2:
            tried = [limits.model_copy(update={name: value}) for value in values]
            scores = [min(precision_recall(*counts(question, half, one))) for one in tried]
            best = [one for one, score in zip(tried, scores, strict=True) if score >= max(scores) - TOLERANCE]
            limits = best[(len(best) - 1) // 2]
    return limits


def only(question: Question, wanted: Iterable[str], others: Iterable[str]) -> Question:
    """The same question of fewer kinds."""
    return Question(
        question.name, question.ask, question.set, question.keeps, tuple(wanted), tuple(others), question.grid
    )


def table(half: Sequence[Sample], limits: FilterSpec) -> str:
    """Markdown: precision and recall of each question; then each kind by itself."""
    lines = ["| question | precision | recall |", "|---|---|---|"]
    asked = [only(QUESTIONS[0], ["line art"], ["illustration"]), *QUESTIONS]
    names = ["line art against colour", "the same, with all that is made", "sketches", "borders"]
    for name, question in zip(names, asked, strict=True):
        right, wrong, missed = counts(question, half, limits)
        precision, recall = precision_recall(right, wrong, missed)
        found, wanted = f"{right} of {right + wrong}", f"{right} of {right + missed}"
        lines.append(f"| {name} | {precision:.3f} ({found}) | {recall:.3f} ({wanted}) |")
    lines += ["", "| question | kind | should be found | found |", "|---|---|---|---|"]
    for question in QUESTIONS:
        for kind in (*question.wanted, *question.others):
            of_kind = [s for s in half if s.kind == kind]
            number = sum(question.finds(s, limits) for s in of_kind)
            should = "yes" if kind in question.wanted else "no"
            lines.append(f"| {question.name} | {kind} | {should} | {number} of {len(of_kind)} |")
    return "\n".join(lines)


def mistakes(half: Sequence[Sample], limits: FilterSpec) -> str:
    """One line for each picture that a question gets wrong."""
    wrong = [
        f"- {question.name}: {sample.kind}, {sample.origin}: {told.reason or 'kept'} {told.detail}".rstrip()
        for question in QUESTIONS
        for sample in half
        if sample.kind in (*question.wanted, *question.others)
        if question.finds(sample, limits) != (sample.kind in question.wanted)
        for told in [verdict(sample, question, limits)]
    ]
    return "\n".join(wrong)


def stability(found: Sequence[Sample], seeds: int) -> str:
    """Markdown: what other halves would have chosen, and measured."""
    names = [name for question in QUESTIONS for name in question.grid]
    asked = [only(QUESTIONS[0], ["line art"], ["illustration"]), *QUESTIONS]
    columns = ["seed", *names, "line art P / R", "with all made P / R", "sketches P / R", "borders P / R"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for seed in range(seeds):
        first, second = halves(found, seed)
        limits = choose(first)
        chosen = [f"{getattr(limits, name):g}" for name in names]
        scores = [precision_recall(*counts(question, second, limits)) for question in asked]
        cells = [str(seed), *chosen, *(f"{p:.3f} / {r:.3f}" for p, r in scores)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print everything as Markdown."""
    parser = argparse.ArgumentParser(description="Measure lacbench's filters on labelled art.")
    parser.add_argument("art", type=Path, help="folder with manifest.json")
    parser.add_argument("--seeds", type=int, default=5, help="halves to choose by, as a check")
    given = parser.parse_args()
    found = samples(given.art)
    first, second = halves(found, 0)
    limits = choose(first)
    changed = {n: getattr(limits, n) for q in QUESTIONS for n in q.grid}
    print(f"Chosen on {len(first)} pictures (seed 0): {changed}\n")
    print(f"Measured on the other {len(second)}:\n\n{table(second, limits)}\n")
    print(f"Wrong there:\n\n{mistakes(second, limits)}\n")
    print(stability(found, given.seeds))


if __name__ == "__main__":
    main()
