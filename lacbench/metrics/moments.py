"""Sums of feature vectors about a fixed origin: those of several batches, or processes, simply add up."""

from dataclasses import replace

import numpy as np
from scipy.linalg import lapack

from lacbench.errors import InputError
from lacbench.metrics.statistics import Features, FeatureStatistics, Floats


class Moments:
    """The number of feature vectors x, Σ (x − c) and Σ (x − c)(x − c)ᵀ, in float64, about an origin c.

    Sums of squares lose the digits that the mean has before the spread: an origin near the mean, such as the
    reference's, keeps them (Chan, Golub and LeVeque, Algorithms for Computing the Sample Variance, 1983).
    """

    def __init__(self, origin: Floats) -> None:
        """Nothing seen yet; `origin` is (D,)."""
        self.origin: Floats = np.array(origin, dtype=np.float64)
        """c, (D,)."""
        self.n = 0
        """Feature vectors seen."""
        self.sum: Floats = np.zeros_like(self.origin)
        """Σ (x − c), (D,)."""
        self.products: Floats = np.zeros((self.origin.size, self.origin.size))
        """Σ (x − c)(x − c)ᵀ, (D, D)."""

    def update(self, features: Features | Floats) -> None:
        """Take in feature vectors (B, D), B ≥ 0."""
        with np.errstate(invalid="ignore"):  # what is not finite is refused by `statistics`, in a sentence
            centred = features - self.origin
            self.n += len(centred)
            self.sum += centred.sum(axis=0)
            self.products += centred.T @ centred

    def add(self, other: "Moments") -> None:
        """Take in what another has seen, about whatever origin. Raises InputError for other dimensions."""
        if other.origin.shape != self.origin.shape:
            raise InputError(
                f"sums of {other.origin.size} and {self.origin.size} features do not add up; take both with "
                "the same network"
            )
        other = other.about(self.origin)
        self.n += other.n
        self.sum = self.sum + other.sum
        self.products = self.products + other.products

    def about(self, origin: Floats) -> "Moments":
        """The same sums about another origin (D,)."""
        moved, step = Moments(origin), self.origin - origin
        cross = np.outer(self.sum, step)
        moved.n, moved.sum = self.n, self.sum + self.n * step
        moved.products = self.products + cross + cross.T + self.n * np.outer(step, step)
        return moved

    def statistics(self) -> FeatureStatistics:
        """Mean and covariance of all that was seen. Raises InputError for fewer than two vectors."""
        n = self.n
        if n < 2:
            raise InputError(
                f"got {n} picture{'s' * (n != 1)}; expected two or more, since one has no covariance"
            )
        with np.errstate(invalid="ignore"):
            mean = self.sum / n
            covariance = (self.products - n * np.outer(mean, mean)) / (n - 1)
        statistics = FeatureStatistics(n, self.origin + mean, covariance)
        return replace(statistics, rows=_rows(covariance, n - 1)) if n <= mean.size else statistics


def _rows(covariance: Floats, rank: int) -> Floats:
    """R (≤ rank, D) with RᵀR = a covariance (D, D) of that rank at most, by Cholesky's method with pivots.

    Of n vectors the covariance has rank n − 1: what is beyond is rounding, whose roots would add up.
    """
    upper, pivots, found, _ = lapack.dpstrf(covariance)
    found = min(found, rank)
    rows = np.zeros((max(found, 1), len(covariance)))
    rows[:found, pivots - 1] = np.triu(upper)[:found]
    return rows
