"""How steady raters are, and how far they agree with each other."""

from dataclasses import dataclass

import numpy as np

from lacbench.study.ratings import SCORES, FloatArray


@dataclass(frozen=True)
class RepeatAgreement:
    """First and second scores of the same outputs by the same raters."""

    n: int
    """Outputs rated twice."""
    exact: float
    """Share of equal scores."""
    mean_difference: float
    """Mean of |second − first|."""
    kappa: float | None
    """Cohen's kappa with quadratic weights; None where all scores are equal."""


def repeat_agreement(first: FloatArray, second: FloatArray) -> RepeatAgreement | None:
    """Agreement of scores (M,) with those given later (M,); None where there are none."""
    if not len(first):
        return None
    apart = second - first
    # Cohen (1968): 1 − the mean squared difference of pairs over that of all firsts with all seconds.
    by_chance = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    return RepeatAgreement(
        n=len(first),
        exact=float((apart == 0).mean()),
        mean_difference=float(np.abs(apart).mean()),
        kappa=float(1 - (apart**2).mean() / by_chance) if by_chance > 0 else None,
    )


def krippendorff_alpha(cube: FloatArray) -> float | None:
    """Krippendorff's α for ordinal scores 1–5 (M, R, I), NaN where missing: raters agree on outputs.

    α = 1 − observed over expected disagreement (Krippendorff, Content Analysis, 2019, chapter 12): 1 is
    perfect, 0 chance. Outputs with one rating do not count. None where no output has two, or all scores are
    equal.
    """
    # (outputs, 5): how many raters gave each score.
    counts = np.stack([(cube == score).sum(axis=1).ravel() for score in SCORES], axis=1).astype(np.float64)
    counts = counts[counts.sum(axis=1) > 1]
    per_pair = counts / (counts.sum(axis=1, keepdims=True) - 1)
    observed = counts.T @ per_pair - np.diag(per_pair.sum(axis=0))
    totals = counts.sum(axis=0)
    # Distance of two scores: the ratings between them, half of their own included.
    middle = np.cumsum(totals) - totals / 2
    distance = (middle[:, None] - middle) ** 2
    n, expected = totals.sum(), float((np.outer(totals, totals) * distance).sum())
    return float(1 - (n - 1) * (observed * distance).sum() / expected) if expected > 0 else None
