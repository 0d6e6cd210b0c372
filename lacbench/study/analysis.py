"""What a table of ratings says: mean opinion scores, and whether one method is rated above the others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lacbench.errors import StudyError
from lacbench.study.agreement import RepeatAgreement, krippendorff_alpha, repeat_agreement
from lacbench.study.effects import Components, Interval, crossed
from lacbench.study.measures import cluster_p, holm, paper_z_p, standardized, superiority
from lacbench.study.ratings import SCORES, FloatArray, Ratings
from lacbench.study.screening import RaterCheck, check_raters, flagged

FEW = 4
"""With fewer raters or items the crossed test finds too much (docs/significance.md)."""
_TOO_FEW = f"raters or line arts, fewer than the {FEW} that the crossed test needs"


@dataclass(frozen=True)
class MethodScore:
    """A method's mean opinion score."""

    method: str
    n: int
    """Ratings."""
    missing: int
    """Ratings that a complete design, every rater and every item, would have beyond these."""
    counts: tuple[int, ...]
    """How often each score was given, from 1 to 5."""
    mean: float
    """Mean opinion score, 1–5."""
    sd: float
    """Standard deviation of single ratings, n − 1."""
    interval: Interval | None
    """Of the mean, for raters and items like these; None where all ratings are equal."""


@dataclass(frozen=True)
class Comparison:
    """Our method against another one. What cannot be said because the ratings do not vary is None."""

    other: str
    n: int
    """Pairs: both methods rated by one rater on one item."""
    difference: float
    """Mean of ours − other over pairs, on the scale of scores."""
    interval: Interval | None
    """Of the difference, two-sided, for raters and items like these."""
    standard_error: float | None
    t: float | None
    df: float | None
    """Satterthwaite's degrees of freedom."""
    p: float | None
    """One-sided, "ours is rated higher", crossed random effects of raters and items."""
    p_holm: float | None
    """`p`, adjusted for the number of comparisons (Holm 1979)."""
    p_cluster: float | None
    """Second opinion: one-sided, two-way cluster-robust (Cameron, Gelbach and Miller 2011)."""
    p_paper_z: float | None
    """Reproduction only: one-sided z of pooled ratings as in arXiv:1808.03240, raters and images fixed."""
    superiority: float
    """Share of pairs in which ours has the higher score, ties counting half."""
    standardized: float | None
    """Difference over the root of the mean of both methods' variances of single ratings."""
    components: Components
    """Variances of the differences."""


@dataclass(frozen=True)
class Analysis:
    """All that `lacbench significance` says."""

    ours: str | None
    confidence: float
    """Of the intervals; claims are tested at the level 1 − confidence."""
    n_raters: int
    n_items: int
    n_ratings: int
    methods: tuple[MethodScore, ...]
    """From the highest mean down."""
    comparisons: tuple[Comparison, ...]
    """One for each other method, in the order of `methods`; empty where ours is not named."""
    beats_all_p: float | None
    """Ours is rated above every other one, an intersection-union test: the largest `p`; None where one is."""
    repeat: RepeatAgreement | None
    """How steady raters are; None where nothing was rated twice."""
    alpha_krippendorff: float | None
    """Agreement between raters, ordinal; None where no output has two ratings, or all are equal."""
    screening: tuple[RaterCheck, ...]
    """What each rule says of each rater."""
    rule: str
    """The rule that `with_screening` follows."""
    excluded: tuple[str, ...]
    """Raters that the rule flags; they are in this analysis, and left out in `with_screening`."""
    with_screening: "Analysis | None"
    """The same without the raters that the rule flags; None where it flags nobody."""
    digest: str
    """SHA-256 of the ratings (`Ratings.digest`)."""
    notes: tuple[str, ...]
    """What a reader must know, a sentence each."""

    def as_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`; what cannot be said is None."""
        return asdict(self)


def analyse(
    ratings: Ratings, ours: str | None = None, *, confidence: float = 0.95, screening: str = "none"
) -> Analysis:
    """Analyse ratings; test whether `ours` is rated above each other method.

    `screening` is a rule of `lacbench.study.screening.RULES`. Raises StudyError for an unknown method or
    rule, for one rater, for a method with ratings of one item, where two methods have too little in common.
    """
    _check(ratings, ours)
    cube = ratings.cube()
    scores = {
        name: _method_score(name, cube[place], confidence) for place, name in enumerate(ratings.methods)
    }
    methods = sorted(scores.values(), key=lambda score: (-score.mean, score.method))
    others = [score.method for score in methods if score.method != ours] if ours else []
    comparisons = _compare(ratings, cube, ours, others, confidence) if ours else ()
    checks = check_raters(ratings, cube)
    excluded = flagged(checks, screening)
    without, notes = _without(ratings, excluded, ours, confidence)
    unknown = [c.p for c in comparisons if c.p is None]
    return Analysis(
        ours=ours,
        confidence=confidence,
        n_raters=len(ratings.raters),
        n_items=len(np.unique(ratings.item)),
        n_ratings=len(ratings),
        methods=tuple(methods),
        comparisons=comparisons,
        beats_all_p=None if unknown else max((c.p for c in comparisons if c.p is not None), default=None),
        repeat=repeat_agreement(ratings.repeats.first, ratings.repeats.second),
        alpha_krippendorff=krippendorff_alpha(cube),
        screening=checks,
        rule=screening,
        excluded=excluded,
        with_screening=without,
        digest=ratings.digest,
        notes=(*_notes(ratings, cube, methods), *_notes_of_pairs(ratings, cube, ours, comparisons), *notes),
    )


def _check(ratings: Ratings, ours: str | None) -> None:
    """Raise StudyError for what cannot be analysed."""
    if ours is not None:
        ratings.index(ours)
        if len(ratings.methods) < 2:
            raise StudyError(
                f"{ours} is the only method that was rated; expected another one to compare it with"
            )
    if len(ratings.raters) < 2:
        raise StudyError(f"all ratings are of one rater, {ratings.raters[0]}; expected two or more")
    for place, method in enumerate(ratings.methods):
        items = np.unique(ratings.item[ratings.method == place])
        if not len(items):
            raise StudyError(f"method {method!r} was not rated; expected two or more items")
        if len(items) < 2:
            told = f"method {method!r} was rated on one item, {ratings.items[items[0]]!r}"
            raise StudyError(f"{told}; expected two or more, since what holds for one may hold for no other")


def _without(
    ratings: Ratings, excluded: tuple[str, ...], ours: str | None, confidence: float
) -> tuple[Analysis | None, tuple[str, ...]]:
    """The analysis without some raters, or why there is none."""
    if not excluded:
        return None, ()
    if len(excluded) > len(ratings.raters) - 2:
        return None, ("The screening rule leaves fewer than two raters: there is no analysis of them alone.",)
    try:
        return analyse(ratings.without(excluded), ours, confidence=confidence), ()
    except StudyError as error:
        return None, (f"Without the raters that the screening rule flags there is no analysis: {error}.",)


def _method_score(method: str, table: FloatArray, confidence: float) -> MethodScore:
    values = table[~np.isnan(table)]
    return MethodScore(
        method=method,
        n=len(values),
        missing=table.size - len(values),
        counts=tuple(int((values == score).sum()) for score in SCORES),
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)),
        interval=crossed(table, f"method {method!r}").interval(confidence),
    )


def _compare(
    ratings: Ratings, cube: FloatArray, ours: str, others: Sequence[str], confidence: float
) -> tuple[Comparison, ...]:
    mine = cube[ratings.index(ours)]
    tables = [cube[ratings.index(other)] for other in others]
    effects = [
        crossed(mine - table, f"{ours!r} against {other!r}")
        for other, table in zip(others, tables, strict=True)
    ]
    adjusted = holm([effect.p for effect in effects])
    return tuple(
        Comparison(
            other=other,
            n=effect.n,
            difference=effect.mean,
            interval=effect.interval(confidence),
            standard_error=effect.standard_error,
            t=effect.t,
            df=effect.df,
            p=effect.p,
            p_holm=p_holm,
            p_cluster=cluster_p(mine - table),
            p_paper_z=paper_z_p(mine, table),
            superiority=superiority(mine - table),
            standardized=standardized(mine, table, effect.mean),
            components=effect.components,
        )
        for other, table, effect, p_holm in zip(others, tables, effects, adjusted, strict=True)
    )


def _notes(ratings: Ratings, cube: FloatArray, methods: Sequence[MethodScore]) -> tuple[str, ...]:
    """What a reader must know beside the scores."""
    notes = []
    if missing := sum(score.missing for score in methods):
        notes.append(f"{missing:,} of {cube.size:,} ratings that every rater could have given are not there.")
    if ratings.left_out:
        notes.append(f"{ratings.left_out:,} ratings of gold and training items are left out.")
    for score in methods:
        if score.interval is None:
            alike = _alike(f"ratings of {score.method}", cube[ratings.index(score.method)])
            notes.append(f"{alike}: without variance there is no interval.")
    if (fewest := min(map(_fewest, cube))) < FEW:
        notes.append(f"A mean is that of {fewest} {_TOO_FEW}, and its interval is too narrow.")
    return tuple(notes)


def _notes_of_pairs(
    ratings: Ratings, cube: FloatArray, ours: str | None, comparisons: Sequence[Comparison]
) -> tuple[str, ...]:
    """What a reader must know beside the comparisons."""
    if ours is None:
        return ()
    mine, notes = cube[ratings.index(ours)], []
    theirs = [cube[ratings.index(comparison.other)] for comparison in comparisons]
    for comparison, table in zip(comparisons, theirs, strict=True):
        if comparison.p is None:
            alike = _alike(f"differences from {comparison.other}", mine - table)
            notes.append(f"{alike}: without variance there is no test, and no p.")
    means = [np.nanmean(mine) - np.nanmean(table) for table in theirs]
    if any(abs(c.difference - mean) > 0.0005 for c, mean in zip(comparisons, means, strict=True)):
        notes.append(
            "Differences are those of pairs, both methods rated by one rater on one line art; means are of "
            "all ratings, and need not differ by as much."
        )
    if (fewest := min(_fewest(mine - table) for table in theirs)) < FEW:
        notes.append(
            f"A difference is that of {fewest} {_TOO_FEW}: like methods are called different more often than "
            "the level says."
        )
    return tuple(notes)


def _fewest(table: FloatArray) -> int:
    """The number of raters or of items in a table, whichever is smaller."""
    present = ~np.isnan(table)
    return int(min(present.any(axis=0).sum(), present.any(axis=1).sum()))


def _alike(what: str, table: FloatArray) -> str:
    """In what the numbers of a table without variance are alike."""
    low, high = np.nanmin(table), np.nanmax(table)
    if low == high:
        return f"All {what} are {low:g}"
    return f"The {what} differ only between groups of raters and line arts that share no rating"
