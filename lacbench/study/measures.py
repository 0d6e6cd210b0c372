"""Other ways to put a difference between paired ratings, and the adjustment for several comparisons."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, stdtr

from lacbench.study.ratings import FloatArray


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted by Holm (1979), in their order; None counts as a comparison, and stays None."""
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = adjusted[place] = max(largest, min(1.0, p * (len(ps) - rank)))
    return adjusted


def cluster_p(differences: FloatArray) -> float | None:
    """One-sided p of the mean of a raters × items table (R, I), NaN where missing, two-way cluster-robust.

    Cameron, Gelbach and Miller (2011): the variance clustered by raters, plus that by items, less that of
    single numbers, each with its G / (G − 1); t with min(R, I) − 1 degrees of freedom. As statsmodels'
    `OLS(…).fit(cov_type="cluster", cov_kwds={"groups": …}, use_t=True)`. None where the variance is not
    above 0, as it can be of small tables.
    """
    present = ~np.isnan(differences)
    n, mean = int(present.sum()), differences[present].mean()
    rest = np.where(present, differences - mean, 0.0)
    variance, fewest = 0.0, n
    for axis in (1, 0):
        groups = int(present.any(axis=axis).sum())
        variance += (rest.sum(axis=axis) ** 2).sum() / n**2 * groups / (groups - 1)
        fewest = min(fewest, groups)
    variance -= (rest**2).sum() / n / (n - 1)
    return float(stdtr(fewest - 1, -mean / variance**0.5)) if variance > 0 else None


def paper_z_p(ours: FloatArray, other: FloatArray) -> float | None:
    """One-sided p of the z of two methods' pooled ratings, NaN where missing: the test of arXiv:1808.03240.

    It takes ratings for independent, as they are only where raters and images are fixed: of studies like the
    paper's in which methods are alike, it calls more than a quarter significant at 5%. None without variance.
    """
    a, b = ours[~np.isnan(ours)], other[~np.isnan(other)]
    variance = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
    return float(ndtr((b.mean() - a.mean()) / variance**0.5)) if variance > 0 else None


def superiority(differences: FloatArray) -> float:
    """Share of differences above 0, those of 0 counting half; NaN where missing.

    The probability of superiority of paired ratings (Grissom and Kim 2012): that a rater scores ours higher
    than the other one on the same item, ties broken by a coin.
    """
    values = differences[~np.isnan(differences)]
    return float((values > 0).mean() + (values == 0).mean() / 2)


def standardized(ours: FloatArray, other: FloatArray, difference: float) -> float | None:
    """The difference over the root of the mean of both methods' variances; NaN where missing.

    Cohen's d as Westfall, Kenny and Judd (2014) advise for crossed designs: all that makes single ratings
    differ is in the denominator, so that it does not depend on how many raters and items there were. None
    without variance.
    """
    variances = [table[~np.isnan(table)].var(ddof=1) for table in (ours, other)]
    return float(difference / np.mean(variances) ** 0.5) if max(variances) > 0 else None
