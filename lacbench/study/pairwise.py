"""What a table of choices says: how strong methods are, and whether one is preferred to the others."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from lacbench.errors import StudyError
from lacbench.study.bradley_terry import check_bounded, fit, strengths
from lacbench.study.choices import Choices
from lacbench.study.effects import Interval
from lacbench.study.measures import holm
from lacbench.study.ratings import FloatArray, IntArray
from lacbench.study.verdict import beats_all, claimed, listed, shown_p

DRAWS = 2000
"""Samples of the bootstrap."""
LOST = 0.05
"""Share of samples without finite strengths beyond which there are no intervals."""
BLOCK = 4_000_000
"""Numbers held at once while samples are counted."""


@dataclass(frozen=True)
class Strength:
    """How strong a method is."""

    method: str
    shown: int
    """Choices in which it was shown."""
    best: int
    """How often it was chosen."""
    strength: float
    """Natural logarithm; the mean of all methods' is 0."""
    interval: Interval | None
    """Of the strength, for raters and items like these; None where there are too few choices."""


@dataclass(frozen=True)
class Preference:
    """Our method against another one."""

    other: str
    won: int
    """How often ours was chosen where both were shown."""
    lost: int
    """How often the other one was."""
    difference: float
    """Strength of ours − of the other: the logarithm of the odds that ours is preferred."""
    interval: Interval | None
    """Of the difference."""
    preferred: float
    """Probability that ours is preferred to the other."""
    preferred_interval: Interval | None
    """Of that probability."""
    p: float | None
    """One-sided, "ours is preferred": the share of samples in which it is not."""
    p_holm: float | None
    """`p`, adjusted for the number of comparisons (Holm 1979)."""


@dataclass(frozen=True)
class Tournament:
    """All that is said of choices."""

    ours: str | None
    confidence: float
    """Of the intervals."""
    n_raters: int
    n_items: int
    n_choices: int
    methods: tuple[Strength, ...]
    """From the strongest down."""
    comparisons: tuple[Preference, ...]
    """One for each other method, in the order of `methods`; empty where ours is not named."""
    beats_all_p: float | None
    """Ours is preferred to every other one, an intersection-union test: the largest `p`."""
    repeated: int
    """Choices that were asked for twice."""
    repeated_alike: int
    """How many of those were alike."""
    draws: int
    """Samples of the bootstrap."""
    seed: int
    """Of the bootstrap."""
    alpha: float
    """Regularisation: 0 is none."""
    digest: str
    """SHA-256 of the choices (`Choices.digest`)."""
    notes: tuple[str, ...]
    """What a reader must know, a sentence each."""

    def as_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return asdict(self)


def compare(
    choices: Choices,
    ours: str | None = None,
    *,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
    alpha: float = 0.0,
) -> Tournament:
    """Strengths of all methods, and whether `ours` is preferred to each other one.

    Intervals and p come of a bootstrap that samples raters and items, both with replacement (Owen 2007, the
    pigeonhole bootstrap), so that they hold for raters and items like these. The same seed gives the same
    figures. `alpha` above 0 regularises as `choix.mm_top1` does: each method as if chosen `alpha` times more.

    Raises StudyError for an unknown method, and, without regularisation, where the choices leave a strength
    without bounds: methods that were never compared, or one that was always or never chosen.
    MissingError: choix is not installed.
    """
    if ours is not None:
        choices.index(ours)
    if len(choices.raters) < 2 or len(choices.items) < 2:
        got = f"{len(choices.raters)} raters and {len(choices.items)} line arts"
        raise StudyError(f"expected choices of two raters or more on two line arts or more, got {got}")
    if not alpha:
        check_bounded(choices)
    estimate = fit(choices, alpha)
    sets, place = np.unique(choices.shown, axis=0, return_inverse=True)
    category = place.ravel() * len(choices.methods) + choices.best
    samples = np.concatenate(
        [
            strengths(counts, sets, estimate, alpha)
            for counts in _draw(choices, category, len(sets), draws, seed)
        ]
    )
    methods = _methods(choices, estimate, samples, confidence)
    comparisons = _comparisons(choices, ours, methods, estimate, samples, confidence) if ours else ()
    ps = [c.p for c in comparisons]
    return Tournament(
        ours=ours,
        confidence=confidence,
        n_raters=len(choices.raters),
        n_items=len(choices.items),
        n_choices=len(choices),
        methods=methods,
        comparisons=comparisons,
        beats_all_p=None if None in ps else max((p for p in ps if p is not None), default=None),
        repeated=choices.repeated,
        repeated_alike=choices.repeated_alike,
        draws=draws,
        seed=seed,
        alpha=alpha,
        digest=choices.digest,
        notes=_notes(choices, samples, alpha),
    )


def _draw(choices: Choices, category: IntArray, sets: int, draws: int, seed: int) -> Iterator[FloatArray]:
    """Counts (b, S, M) of samples of raters and items with replacement, a block at a time."""
    random = np.random.Generator(np.random.Philox(seed))
    raters, items = ((np.ones(n) / n, n) for n in (len(choices.raters), len(choices.items)))
    columns = sets * len(choices.methods)
    one_hot = csr_array(
        (np.ones(len(category)), (category, np.arange(len(category)))), (columns, len(category))
    )
    block = max(1, BLOCK // len(category))
    for first in range(0, draws, block):
        size = min(block, draws - first)
        by_rater, by_item = (random.multinomial(n, even, size) for even, n in (raters, items))
        weight = by_rater[:, choices.rater] * by_item[:, choices.item]
        yield (one_hot @ weight.T).T.reshape(size, sets, -1).astype(np.float64)


def _methods(
    choices: Choices, estimate: FloatArray, samples: FloatArray, confidence: float
) -> tuple[Strength, ...]:
    found = [
        Strength(
            method=name,
            shown=int(choices.shown[:, m].sum()),
            best=int((choices.best == m).sum()),
            strength=float(estimate[m]),
            interval=_interval(samples[:, m], confidence),
        )
        for m, name in enumerate(choices.methods)
    ]
    return tuple(sorted(found, key=lambda s: (-s.strength, s.method)))


def _comparisons(
    choices: Choices,
    ours: str,
    methods: Sequence[Strength],
    estimate: FloatArray,
    samples: FloatArray,
    confidence: float,
) -> tuple[Preference, ...]:
    mine, wins = choices.index(ours), choices.wins()
    others = [choices.index(strength.method) for strength in methods if strength.method != ours]
    ps = [_share_not_above(samples[:, mine] - samples[:, other]) for other in others]
    found = []
    for other, p, p_holm in zip(others, ps, holm(ps), strict=True):
        interval = _interval(samples[:, mine] - samples[:, other], confidence)
        difference = float(estimate[mine] - estimate[other])
        found.append(
            Preference(
                other=choices.methods[other],
                won=int(wins[mine, other]),
                lost=int(wins[other, mine]),
                difference=difference,
                interval=interval,
                preferred=float(expit(difference)),
                preferred_interval=interval and (float(expit(interval[0])), float(expit(interval[1]))),
                p=p,
                p_holm=p_holm,
            )
        )
    return tuple(found)


def _share_not_above(differences: FloatArray) -> float | None:
    """Bootstrap p: samples not above 0, those without bounds, and one more: what was seen is a sample too."""
    known = np.isfinite(differences)
    if not _enough(known):
        return None
    return float((1 + (differences[known] <= 0).sum() + (~known).sum()) / (1 + len(differences)))


def _interval(values: FloatArray, confidence: float) -> Interval | None:
    """Percentiles of the samples."""
    known = np.isfinite(values)
    if not _enough(known):
        return None
    low, high = np.quantile(values[known], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _enough(known: NDArray[np.bool_]) -> bool:
    return bool((~known).mean() <= LOST)


def _notes(choices: Choices, samples: FloatArray, alpha: float) -> tuple[str, ...]:
    """What a reader must know beside the figures."""
    notes = []
    if choices.left_out:
        notes.append(f"{choices.left_out:,} choices on gold and training items are left out.")
    if alpha:
        notes.append(
            f"Regularised: each method counts as if chosen {alpha:g} times more, which draws all together."
        )
    known = np.asarray(np.isfinite(samples).all(axis=1))
    if not _enough(known):
        notes.append(
            f"In {(~known).sum():,} of {len(known):,} samples a strength has no bounds: too few choices for "
            "intervals or a test."
        )
    elif not known.all():
        notes.append(
            f"In {(~known).sum():,} of {len(known):,} samples a strength has no bounds; they count against "
            "ours, and are left out of intervals."
        )
    return tuple(notes)


def verdict(tournament: Tournament) -> str:
    """What is shown and what is not, in a few sentences, and no more than the figures say."""
    ours, level = tournament.ours, f"{1 - tournament.confidence:.2g}".removeprefix("0")
    if ours is None:
        return "No method was named as ours, so nothing was tested."
    above = claimed(tournament)
    rest = [c.other for c in tournament.comparisons if c.other not in above and c.p is not None]
    told = []
    if beats_all(tournament) and len(above) > 1:
        p = f"the largest one-sided p is {shown_p(tournament.beats_all_p)}"
        told.append(
            f"{ours} is preferred to each of the {len(above)} other methods: {p}, at the level {level}."
        )
    elif above:
        ps = [c.p_holm for c in tournament.comparisons if c.other in above and c.p_holm is not None]
        kind = "one-sided p" if len(tournament.comparisons) == 1 else "largest one-sided p, adjusted by Holm,"
        told.append(
            f"{ours} is preferred to {listed(above)}: {kind} {shown_p(max(ps))}, at the level {level}."
        )
    if rest:
        names = listed(rest, last="or")
        told.append(
            f"That {ours} is preferred to {names} is not shown, which does not mean that it is not so."
        )
    if any(c.p is None for c in tournament.comparisons):
        told.append("There are too few choices for a test.")
    if above:
        told.append("Raters and line arts are taken for samples of others like them.")
    return " ".join(told)
