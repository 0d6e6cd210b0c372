"""Precision, recall, density and coverage of a set of features against a reference, exactly.

Precision and recall: Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative
Models, NeurIPS 2019; density and coverage: Naeem et al., Reliable Fidelity and Diversity Metrics, ICML 2020.
Around each feature lies a ball that reaches to the k-th nearest of its own set; what lies inside a ball is
nearer than its radius, so that a feature exactly on it does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.metrics.mmd import check
from lacbench.metrics.statistics import Features, Floats

PRECISION_K = 3
"""Neighbours for precision and recall, as Kynkäänniemi et al. take."""
DENSITY_K = 5
"""Neighbours for density and coverage, as Naeem et al. take."""
BLOCK = 1024
"""Features whose distances to a whole set are held at a time."""
EQUAL = 1e-12
"""Squared distances that differ by less than this share of the largest squared norm are the same:
rounding."""


@dataclass(frozen=True)
class PrdcResult:
    """How much of a set is like the reference (precision, density), and how much of that it covers."""

    precision: float
    """Share of the set inside a ball of the reference; 0 to 1."""
    recall: float
    """Share of the reference inside a ball of the set; 0 to 1."""
    density: float
    """Balls of the reference that a feature of the set lies in, on average, divided by k; about 1 for a set
    drawn from the reference's distribution, and not bounded by it."""
    coverage: float
    """Share of the reference's balls that have a feature of the set inside; 0 to 1."""
    precision_k: int
    """Neighbours for precision and recall."""
    density_k: int
    """Neighbours for density and coverage."""
    n: tuple[int, int]
    """Pictures in each set."""

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on."""
        return dict(vars(self))


def prdc(
    a: Features | Floats,
    b: Features | Floats,
    *,
    precision_k: int = PRECISION_K,
    density_k: int = DENSITY_K,
) -> PrdcResult:
    """Precision, recall, density and coverage of features (N, D) against a reference's (M, D).

    The `prdc` package takes one k, 5, for all four. Memory is that of a block of distances. Raises InputError
    for features that are unlike or not finite, and for sets of no more than k features.
    """
    check(a, b)
    most = max(precision_k, density_k)
    if min(precision_k, density_k) < 1 or min(len(a), len(b)) <= most:
        raise InputError(
            f"expected k of 1 or more and sets of more than k features, got k of {precision_k} and "
            f"{density_k}, and sets of {len(a):,} and {len(b):,}; choose a smaller k, or add pictures"
        )
    centre = b.mean(axis=0, dtype=np.float64)  # nearer to 0, squared distances lose fewer digits
    x, y = a - centre, b - centre
    equal = EQUAL * max(float((x**2).sum(axis=1).max()), float((y**2).sum(axis=1).max()))
    reach = _radii(x, (precision_k,))[0] - equal
    narrow, wide = _radii(y, (precision_k, density_k)) - equal
    inside, balls = np.zeros(len(x), dtype=bool), 0
    recalled, covered = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
    for rows, distances in _distances(y, x):
        inside |= (distances < narrow[rows, None]).any(axis=0)
        recalled[rows] = (distances < reach).any(axis=1)
        within = distances < wide[rows, None]
        balls += int(within.sum())
        covered[rows] = within.any(axis=1)
    return PrdcResult(
        precision=float(inside.mean()),
        recall=float(recalled.mean()),
        density=balls / (density_k * len(x)),
        coverage=float(covered.mean()),
        precision_k=precision_k,
        density_k=density_k,
        n=(len(x), len(y)),
    )


def _radii(features: Floats, ks: tuple[int, ...]) -> Floats:
    """Squared distance (K, N) of each feature to its k-th nearest of the others, for each k."""
    radii = np.empty((len(ks), len(features)))
    for rows, distances in _distances(features, features):
        np.fill_diagonal(distances[:, rows], np.inf)  # a feature is no neighbour of its own
        nearest = [k - 1 for k in ks]
        radii[:, rows] = np.partition(distances, nearest, axis=1)[:, nearest].T
    return radii


def _distances(x: Floats, y: Floats) -> Iterator[tuple[slice, Floats]]:
    """Squared distances of blocks of x (N, D) to all of y (M, D): which rows of x, and (B, M)."""
    squares: NDArray[np.float64] = (y**2).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        yield slice(start, start + len(block)), (block**2).sum(axis=1)[:, None] + squares - 2 * block @ y.T
