"""How many raters and line arts a study needs: the power of the crossed test, by the noncentral t."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainccinv, gammaincinv, ndtr, stdtrit

from lacbench.errors import StudyError
from lacbench.study.effects import Components, Layout, crossed
from lacbench.study.ratings import FloatArray, Ratings

SD_RATER, SD_ITEM, SD_RESIDUAL = 0.23, 0.39, 0.65
"""Of one method's scores: raters' taste for the method, how it suits the item, and chance; fitted to public
votes on video quality. What raters and items have in common for all methods cancels in differences."""
AIM = 0.8
"""The power that `Plan.detectable` has."""
_Z = np.linspace(-8, 8, 1601)
"""Normal quantiles at which the distribution of a standard error is taken."""


@dataclass(frozen=True)
class Plan:
    """What a study of a size can show."""

    raters: int
    items: int
    items_per_rater: int
    """Items that each rater sees, all methods of each."""
    power: float
    """Chance of p ≤ alpha, one-sided, where the true difference is the gap."""
    detectable: float
    """The true difference that has a power of 0.8."""


def plan(
    raters: Sequence[int],
    items: Sequence[int],
    gap: float,
    components: Components | None = None,
    *,
    items_per_rater: int | None = None,
    alpha: float = 0.05,
) -> tuple[Plan, ...]:
    """Power for each number of raters with each number of items, in that order.

    `gap` is the true difference of mean scores, `components` are the variances of single differences, those
    of `typical()` where none are given. Raises StudyError for a study too small to be analysed.
    """
    components = components or typical()
    found = []
    for n_raters, n_items in product(raters, items):
        seen = min(items_per_rater or n_items, n_items)
        layout = _layout(n_raters, n_items, seen)
        reach = detectable(layout, components, alpha)
        found.append(Plan(n_raters, n_items, seen, power(layout, components, gap, alpha), reach))
    return tuple(found)


def _layout(raters: int, items: int, seen: int) -> Layout:
    try:
        return Layout.even(raters, items, seen)
    except StudyError as error:
        raise StudyError(f"{raters} raters who see {seen} of {items} line arts: {error}") from error


def power(layout: Layout, components: Components, gap: float, alpha: float = 0.05) -> float:
    """Chance that the one-sided crossed test of a study of that layout gives p ≤ alpha.

    By the noncentral t distribution, with the standard error and the degrees of freedom of the expected mean
    squares. Simulated studies, in which these vary, are within .025 of it.
    """
    variance, degrees = layout.variance(layout.expected(components))
    if not variance > 0:
        raise StudyError("there is no variance to plan with; expected variances above 0")
    return _exceeding(-float(stdtrit(degrees, alpha)), float(degrees), gap / float(variance) ** 0.5)


def _exceeding(t: float, degrees: float, shift: float) -> float:
    """Chance that a noncentral t is above `t`: of a normal's, over what its standard error can come to.

    SciPy's `nctdtr` is NaN from a shift of 38 up, which few degrees of freedom at a small level need.
    """
    density = np.exp(-(_Z**2) / 2)
    return float(np.average(ndtr(shift - t * _errors(degrees)), weights=density))


@lru_cache(maxsize=1)
def _errors(degrees: float) -> FloatArray:
    """Quantiles, at those of the normal in `_Z`, of an estimated standard error over the true one."""
    lower, upper = (gamma(degrees / 2, ndtr(-np.abs(_Z))) for gamma in (gammaincinv, gammainccinv))
    errors: FloatArray = np.sqrt(2 / degrees * np.where(_Z < 0, lower, upper))
    return errors


def detectable(layout: Layout, components: Components, alpha: float = 0.05) -> float:
    """The gap at which `power` is 0.8."""
    variance, degrees = layout.variance(layout.expected(components))
    certain = 10 * (1 - stdtrit(degrees, alpha)) * variance**0.5
    return float(brentq(lambda gap: power(layout, components, gap, alpha) - AIM, 0, certain))


def typical(
    sd_rater: float = SD_RATER, sd_item: float = SD_ITEM, sd_residual: float = SD_RESIDUAL
) -> Components:
    """Variances of differences between two methods, each of whose scores has these standard deviations."""
    return Components(2 * sd_rater**2, 2 * sd_item**2, 2 * sd_residual**2)


def estimated(ratings: Ratings, ours: str) -> Components:
    """Variances of the differences of `ours` from the other methods, mean over these. Raises StudyError."""
    found = [
        crossed(ratings.differences(ours, other), f"{ours!r} against {other!r}").components
        for other in ratings.methods
        if other != ours
    ]
    if not found:
        raise StudyError(f"{ours} is the only method that was rated; expected another one to compare it with")
    return Components(
        *(float(np.mean([getattr(c, name) for c in found])) for name in ("rater", "item", "residual"))
    )
