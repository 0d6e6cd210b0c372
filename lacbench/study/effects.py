"""The mean of a raters × items table of numbers, when raters and items are both samples.

Model: y_ri = μ + rater_r + item_i + residual_ri, all but μ random. Variance components by moments (Henderson
1953, method 3; the classical mean squares where nothing is missing), the mean's standard error from them,
Student's t with Satterthwaite's degrees of freedom. On complete tables this is what R's
`lmerTest::lmer(y ~ 1 + (1 | rater) + (1 | item))` gives, unless a component is estimated at 0
(docs/significance.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtr, stdtrit

from lacbench.errors import StudyError
from lacbench.study.ratings import FloatArray

Interval = tuple[float, float]

ROUNDING = 1e-20
"""A variance below this is none: scores are whole numbers."""


@dataclass(frozen=True)
class Components:
    """Variance components of a raters × items table, estimates below 0 set to 0."""

    rater: float
    """Between raters (of a table of differences: raters' taste for one method over the other)."""
    item: float
    """Between items (of differences: how much the line art decides which method does better)."""
    residual: float
    """What is left."""


@dataclass(frozen=True)
class Layout:
    """Who rated what, as far as the variance of the mean depends on it."""

    n: float
    """Numbers in the table."""
    degrees: FloatArray
    """(3,) degrees of freedom of the mean squares: raters given items, items given raters, residuals."""
    gains: FloatArray
    """(2,) how often the component of raters, of items counts in the expectation of its mean square."""
    shares: FloatArray
    """(2,) Σnᵢ²/n² over raters' and items' counts: their components' weights in the mean's variance."""

    @classmethod
    def complete(cls, raters: int, items: int) -> "Layout":
        """Every rater rated every item."""
        return cls.even(raters, items, items)

    @classmethod
    def even(cls, raters: int, items: int, items_per_rater: int) -> "Layout":
        """Every rater rated as many items, and every item was rated as often."""
        n = raters * items_per_rater
        return cls._of_counts(n, raters, items, 1, 1 / raters, 1 / items)

    @classmethod
    def of(cls, present: NDArray[np.bool_]) -> "Layout":
        """The layout of (R, I) cells that hold a number; no row and no column is without one."""
        n = int(present.sum())
        by_rater, by_item = present.sum(axis=1), present.sum(axis=0)
        groups = 1 if present.all() else int(_groups(present).max()) + 1
        shares = ((by_rater / n) ** 2).sum(), ((by_item / n) ** 2).sum()
        return cls._of_counts(n, len(by_rater), len(by_item), groups, *shares)

    @classmethod
    def _of_counts(cls, n: int, raters: int, items: int, groups: int, *shares: float) -> "Layout":
        degrees = np.array([raters - groups, items - groups, n - raters - items + groups], dtype=np.float64)
        if degrees.min() < 1:
            raise StudyError(
                f"{n} ratings by {raters} raters of {items} line arts cannot tell what is the raters', what "
                "the line arts' and what chance; let at least two raters rate the same two line arts"
            )
        gains = np.array([n - items, n - raters]) / degrees[:2]
        return cls(n, degrees, gains, np.array(shares))

    def variance(self, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Variance of the mean, and its degrees of freedom (Satterthwaite 1946).

        `squares` (3, …) are mean squares of raters, items, residuals, or their expectations. Components
        below 0 count as 0. Where there is no variance at all, the degrees of freedom are NaN.
        """
        weights = self.shares / self.gains
        excess = np.maximum(squares[:2] - squares[2], 0)
        variance = np.tensordot(weights, excess, 1) + squares[2] / self.n
        each = np.append(weights, 1 / self.n - weights.sum())
        with np.errstate(invalid="ignore"):
            degrees = variance**2 / np.tensordot(each**2 / self.degrees, squares**2, 1)
        return variance, degrees

    def components(self, squares: FloatArray) -> Components:
        """Variance components of mean squares (3,)."""
        rater, item = np.maximum(squares[:2] - squares[2], 0) / self.gains
        return Components(float(rater), float(item), float(squares[2]))

    def expected(self, components: Components) -> FloatArray:
        """The mean squares (3,) that components lead one to expect."""
        between = np.array([components.rater, components.item])
        return np.append(components.residual + self.gains * between, components.residual)


@dataclass(frozen=True)
class Effect:
    """A table's mean, as an estimate for raters and items like these."""

    mean: float
    """The mean of all numbers."""
    standard_error: float | None
    """Of the mean; None where the numbers do not vary."""
    df: float | None
    """Satterthwaite's degrees of freedom; None where the numbers do not vary."""
    components: Components
    n: int
    """Numbers in the table."""

    @property
    def t(self) -> float | None:
        """Student's t of the mean against 0."""
        return None if self.standard_error is None else self.mean / self.standard_error

    @property
    def p(self) -> float | None:
        """One-sided p: how likely so large a mean is, or a larger one, where the truth is 0."""
        return None if self.t is None or self.df is None else float(stdtr(self.df, -self.t))

    def interval(self, confidence: float) -> Interval | None:
        """The two-sided interval of the mean."""
        if self.standard_error is None or self.df is None:
            return None
        reach = float(stdtrit(self.df, (1 + confidence) / 2)) * self.standard_error
        return self.mean - reach, self.mean + reach


def crossed(table: FloatArray, what: str = "") -> Effect:
    """The mean of a raters × items table (R, I), NaN where missing.

    Raises StudyError where the table, called `what`, is too small or too thin: fewer than two raters or items
    in common.
    """
    present = ~np.isnan(table)
    present = present[present.any(axis=1)]
    table = table[(~np.isnan(table)).any(axis=1)][:, present.any(axis=0)]
    present = present[:, present.any(axis=0)]
    try:
        layout = Layout.of(present)
    except StudyError as error:
        raise StudyError(f"{what}: {error}" if what else str(error)) from error
    values = table[present]
    squares = mean_squares(table) if present.all() else _unbalanced_squares(table, present, layout)
    variance, degrees = layout.variance(squares)
    if np.ptp(values) == 0 or variance < ROUNDING:
        return Effect(float(values.mean()), None, None, Components(0.0, 0.0, 0.0), len(values))
    components = layout.components(squares)
    return Effect(float(values.mean()), float(variance**0.5), float(degrees), components, len(values))


def mean_squares(tables: FloatArray) -> FloatArray:
    """Mean squares (3, …) of raters, items and residuals of complete tables (…, R, I)."""
    raters, items = tables.shape[-2:]
    mean = tables.mean(axis=(-2, -1), keepdims=True)
    by_rater = tables.mean(axis=-1, keepdims=True) - mean
    by_item = tables.mean(axis=-2, keepdims=True) - mean
    rest = tables - mean - by_rater - by_item
    return np.stack(
        [
            items * (by_rater**2).sum(axis=(-2, -1)) / (raters - 1),
            raters * (by_item**2).sum(axis=(-2, -1)) / (items - 1),
            (rest**2).sum(axis=(-2, -1)) / ((raters - 1) * (items - 1)),
        ]
    )


def _unbalanced_squares(table: FloatArray, present: NDArray[np.bool_], layout: Layout) -> FloatArray:
    """Mean squares of raters given items, items given raters, residuals; numbers are missing."""
    mean = table[present].mean()
    values = np.where(present, table - mean, 0.0)
    rest = _residuals(values, present)
    without = [
        values - values.sum(axis=axis, keepdims=True) / present.sum(axis=axis, keepdims=True)
        for axis in (0, 1)
    ]
    left = (rest[present] ** 2).sum()
    sums = [(other[present] ** 2).sum() - left for other in without]
    squares: FloatArray = np.maximum([*sums, left], 0) / layout.degrees
    return squares


def _residuals(values: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Residuals of the additive model, least squares; `values` (R, I) are 0 where none is present.

    The longer side's effects are eliminated, so that one small system is left. Its solution is what
    projecting in turns on raters and on items goes to: at once, and also where the design is thin.
    """
    if len(values) > values.shape[1]:
        return _residuals(values.T, present.T).T
    mask = present.astype(np.float64)
    by_item = mask.sum(axis=0)
    system = np.diag(mask.sum(axis=1)) - (mask / by_item) @ mask.T
    target = values.sum(axis=1) - mask @ (values.sum(axis=0) / by_item)
    # In each group the raters' effects are known but for a constant: let their sum be 0.
    group = _groups(present)[: len(present)]
    rater = np.linalg.solve(system + (group[:, None] == group), target)
    item = (values.sum(axis=0) - rater @ mask) / by_item
    return np.where(present, values - rater[:, None] - item, 0.0)


def _groups(present: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The groups, from 0, of raters and then of items (R + I,), that share no rating with others."""
    raters, items = np.nonzero(present)
    size = sum(present.shape)
    links = csr_array((np.ones(len(raters)), (raters, items + len(present))), shape=(size, size))
    labels: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return labels
