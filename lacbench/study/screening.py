"""Which raters do not look: rules that a study states beforehand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import StudyError
from lacbench.study.agreement import RepeatAgreement, repeat_agreement
from lacbench.study.ratings import FloatArray, Ratings

LEAST_CORRELATION = 0.30
"""Of the rule `leave-one-out-0.30`."""
DEVIATIONS = 4
"""Of the rule `median-4mad`: so many median absolute deviations below the median …"""
NORMAL = 1.482602218505602
"""… each scaled so that it is the standard deviation where correlations are normal."""


@dataclass(frozen=True)
class RaterCheck:
    """What speaks for and against a rater."""

    rater: str
    n: int
    """Ratings, repeats not counted."""
    mean: float
    """Mean score."""
    correlation: float
    """Pearson's, with the mean of the other raters over outputs; 0 where all scores are the same."""
    milliseconds: float | None
    """Median time of a rating; None where not told."""
    repeat: RepeatAgreement | None
    """How steady; None where nothing was rated twice."""
    flags: tuple[str, ...]
    """The rules that would leave this rater out."""


def check_raters(ratings: Ratings, cube: FloatArray | None = None) -> tuple[RaterCheck, ...]:
    """Look at every rater by every rule; `cube` is `ratings.cube()`, where it is at hand."""
    cube = ratings.cube() if cube is None else cube
    scores = cube.transpose(1, 0, 2).reshape(len(ratings.raters), -1)
    correlations = leave_one_out(scores)
    found = {name: rule(scores, correlations) for name, rule in _RULES.items()}
    return tuple(
        _check(ratings, place, scores[place], correlations[place], found) for place in range(len(scores))
    )


def flagged(checks: tuple[RaterCheck, ...], rule: str) -> tuple[str, ...]:
    """The raters that a rule would leave out. Raises StudyError for an unknown rule."""
    if rule not in RULES:
        raise StudyError(f"no screening rule is called {rule!r}; choose one of: {', '.join(RULES)}")
    return tuple(check.rater for check in checks if rule in check.flags)


def leave_one_out(scores: FloatArray) -> FloatArray:
    """Correlation (R,) of raters' scores (R, outputs), NaN where missing, with the mean of the others'."""
    present = ~np.isnan(scores)
    filled = np.where(present, scores, 0.0)
    others = present.sum(axis=0) - present
    mean = (filled.sum(axis=0) - filled) / np.maximum(others, 1)
    both = present & (others > 0)
    n = np.maximum(both.sum(axis=1, keepdims=True), 1)

    def centred(values: FloatArray) -> FloatArray:
        values = np.where(both, values, 0.0)
        return np.where(both, values - values.sum(axis=1, keepdims=True) / n, 0.0)

    own, theirs = centred(filled), centred(mean)
    size = np.sqrt((own**2).sum(axis=1) * (theirs**2).sum(axis=1))
    # What rounding leaves of a constant rater is no correlation.
    return np.where(size > 1e-9, (own * theirs).sum(axis=1) / np.maximum(size, 1e-9), 0.0)


def _check(
    ratings: Ratings, place: int, scores: FloatArray, correlation: float, found: dict[str, NDArray[np.bool_]]
) -> RaterCheck:
    repeats, mine = ratings.repeats, ratings.repeats.rater == place
    times = ratings.milliseconds[ratings.rater == place]
    times = times[~np.isnan(times)]
    given = scores[~np.isnan(scores)]
    return RaterCheck(
        rater=ratings.raters[place],
        n=len(given),
        mean=float(given.mean()),
        correlation=float(correlation),
        milliseconds=float(np.median(times)) if len(times) else None,
        repeat=repeat_agreement(repeats.first[mine], repeats.second[mine]),
        flags=tuple(name for name, flags in found.items() if flags[place]),
    )


def _median_4mad(scores: FloatArray, correlations: FloatArray) -> NDArray[np.bool_]:
    median = np.median(correlations)
    limit = median - DEVIATIONS * NORMAL * np.median(np.abs(correlations - median))
    # Where raters are all but equal, rounding alone must flag nobody.
    return np.asarray(correlations < limit - 1e-9)


def _low_correlation(scores: FloatArray, correlations: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(correlations < LEAST_CORRELATION)


def _bt500(scores: FloatArray, correlations: FloatArray) -> NDArray[np.bool_]:
    """ITU-R BT.500-14, annex 1, 2.3.1: scores far from an output's mean, too often and on both sides."""
    present = ~np.isnan(scores)
    n = np.maximum(present.sum(axis=0), 1)
    apart = np.where(present, scores - np.where(present, scores, 0.0).sum(axis=0) / n, 0.0)
    second, fourth = ((apart**power).sum(axis=0) / n for power in (2, 4))
    kurtosis = np.divide(fourth, second**2, out=np.zeros_like(second), where=second > 0)
    normal = (kurtosis >= 2) & (kurtosis <= 4)
    sd = np.sqrt(second * n / np.maximum(n - 1, 1))
    reach = np.where(normal, 2.0, np.sqrt(20)) * sd
    # An output on which all agree has no spread, and nobody is far from its mean.
    above = (present & (sd > 0) & (apart >= reach)).sum(axis=1)
    below = (present & (sd > 0) & (apart <= -reach)).sum(axis=1)
    far = above + below
    return np.asarray((far > 0.05 * present.sum(axis=1)) & (np.abs(above - below) < 0.3 * far))


_RULES: dict[str, Callable[[FloatArray, FloatArray], NDArray[np.bool_]]] = {
    "median-4mad": _median_4mad,
    "bt500": _bt500,
    "leave-one-out-0.30": _low_correlation,
}
RULES = ("none", *_RULES)
"""Screening rules. `median-4mad`: the correlation with the other raters is over 4 median absolute deviations
(scaled to a standard deviation) below its median; `leave-one-out-0.30`: it is below .30; `bt500`: as in ITU-R
BT.500."""
