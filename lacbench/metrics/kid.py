"""The kernel Inception distance (Bińkowski et al., Demystifying MMD GANs, ICLR 2018).

The unbiased MMD² of Inception features with the kernel (xᵀy / D + 1)³. Unlike FID it is not biased by small
sets.
"""

from dataclasses import dataclass

import numpy as np

from lacbench.errors import InputError
from lacbench.metrics.mmd import MmdResult, discrepancy
from lacbench.metrics.statistics import Features, Floats

SUBSETS = 100
"""Subsets that torch-fidelity draws."""
SUBSET = 1000
"""Features in each of them."""


@dataclass(frozen=True)
class SubsetKid:
    """KID as the mean over random subsets."""

    mean: float
    """Mean of the subsets' KIDs."""
    sd: float
    """Their standard deviation, which torch-fidelity prints: the spread of so small a set, no error of the
    mean."""

    def as_json(self) -> dict[str, float]:
        """The fields that scripts may rely on."""
        return dict(vars(self))


def kid(a: Features | Floats, b: Features | Floats) -> MmdResult:
    """KID of features (N, D) from a reference's (M, D), of all pairs at once, not of subsets.

    It may be negative for like sets, as its mean is 0 for equal distributions. Raises InputError as
    `lacbench.metrics.mmd.check` does.
    """
    found = discrepancy(a, b, polynomial)
    return MmdResult("kid", found.unbiased, found.standard_error, (len(a), len(b)))


def subset_kid(
    a: Features | Floats,
    b: Features | Floats,
    *,
    subsets: int = SUBSETS,
    size: int = SUBSET,
    seed: int = 0,
) -> SubsetKid:
    """KID as papers report it: mean and spread over random subsets of both sets, drawn by `seed`.

    Raises InputError when `size` is more than the smaller set has, or below 2.
    """
    smaller = min(len(a), len(b))
    if not 2 <= size <= smaller:
        raise InputError(
            f"expected subsets of 2 to {smaller:,} features, which the smaller set has, got {size:,}; "
            "choose another size, or take the KID of all features"
        )
    random = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        x, y = (side[random.choice(len(side), size, replace=False)] for side in (a, b))
        values.append(discrepancy(x, y, polynomial).unbiased)
    return SubsetKid(float(np.mean(values)), float(np.std(values)))


def polynomial(x: Floats, y: Floats) -> Floats:
    """The kernel (xᵀy / D + 1)³ of features (M, D) and (N, D): (M, N)."""
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
