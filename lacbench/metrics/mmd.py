"""Maximum mean discrepancy (MMD²) of two sets of features, its standard error, and CMMD.

MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y) (Gretton et al., A Kernel Two-Sample Test, JMLR 2012). Kernels
are taken block by block: memory does not grow with the product of the sets' sizes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lacbench.errors import InputError
from lacbench.metrics.statistics import Features, Floats, Z

BLOCK = 1024
"""Features whose kernels with as many others are held at a time."""
SIGMA = 10.0
"""Width of CMMD's Gaussian kernel."""
SCALE = 1000.0
"""By what CMMD is multiplied, to be easier to read."""

Kernel = Callable[[Floats, Floats], Floats]
"""(M, D) and (N, D) → (M, N)."""


@dataclass(frozen=True)
class Discrepancy:
    """The MMD² of two sets, estimated in two ways."""

    unbiased: float
    """Without the kernel of a feature with itself (Gretton et al., eq. 3); may be negative for like sets."""
    biased: float
    """With it (eq. 5): never negative."""
    standard_error: float | None
    """Of the unbiased estimate, over draws of the first set, the second held fixed; None below four
    features."""


@dataclass(frozen=True)
class MmdResult:
    """One discrepancy between two sets of pictures."""

    metric: str
    """`kid` or `cmmd`."""
    value: float
    """The discrepancy; smaller is better."""
    standard_error: float | None
    """Standard error over draws of the first set, the second held fixed; None below four pictures."""
    n: tuple[int, int]
    """Pictures in each set."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval: value ± 1.96 standard errors."""
        if self.standard_error is None:
            return None
        return self.value - Z * self.standard_error, self.value + Z * self.standard_error

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on."""
        return {**vars(self), "interval": self.interval}


def cmmd(a: Features | Floats, b: Features | Floats) -> MmdResult:
    """CMMD of CLIP embeddings (N, D) from a reference's (M, D) (Jayasumana et al., Rethinking FID, 2024).

    1000 times the biased MMD² with the kernel exp(−|x − y|² / 2σ²), σ = 10, of embeddings of length 1, which
    those of the protocol `CLIP` are. Raises InputError as `check` does.
    """

    def gaussian(x: Floats, y: Floats) -> Floats:
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        return np.asarray(np.exp(squares.clip(0) / (-2 * SIGMA**2)))

    found = discrepancy(a, b, gaussian)
    error = None if found.standard_error is None else SCALE * found.standard_error
    return MmdResult("cmmd", SCALE * found.biased, error, (len(a), len(b)))


def discrepancy(a: Features | Floats, b: Features | Floats, kernel: Kernel) -> Discrepancy:
    """MMD² of features (N, D) from a reference's (M, D), in float64.

    With the reference fixed, the unbiased estimate is a U-statistic of the first set with h(x, x′) = k(x, x′)
    − g(x) − g(x′), where g(x) is the mean of k(x, y) over the reference, and has an unbiased estimate of its
    variance (Hoeffding 1948; Sutherland and Deka, Unbiased estimators for the variance of MMD estimators,
    2019). Raises InputError as `check` does.
    """
    check(a, b)
    cross = np.concatenate([_means(x, b, kernel) for x in _blocks(a)])
    first, second = _within(a, kernel, cross), _within(b, kernel, np.zeros(len(b)))
    (n, m), shared = (len(a), len(b)), 2 * float(cross.mean())
    return Discrepancy(
        unbiased=first.off / (n * (n - 1)) + second.off / (m * (m - 1)) - shared,
        biased=(first.off + first.diagonal) / n**2 + (second.off + second.diagonal) / m**2 - shared,
        standard_error=_standard_error(first.rows, first.squares),
    )


def check(a: Features | Floats, b: Features | Floats) -> None:
    """Raise InputError unless both are two features or more, finite, of the same dimensions."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            "expected two sets of features, (N, D) and (M, D), of two pictures or more each, "
            f"got {a.shape} and {b.shape}; take both by the same protocol"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("the features are not finite; expected numbers; compute them again")


@dataclass(frozen=True)
class _Within:
    """Sums of kernels within one set."""

    off: float
    """Of k over ordered pairs of two different features."""
    diagonal: float
    """Of k of each feature with itself."""
    rows: Floats
    """(N,) of h over the others, for each feature."""
    squares: float
    """Of h² over ordered pairs."""


def _within(features: Features | Floats, kernel: Kernel, cross: Floats) -> _Within:
    """Sums over the pairs within a set; `cross` (N,) is what h takes off for each feature."""
    off = diagonal = squares = 0.0
    rows = np.zeros(len(features))
    for i in range(0, len(features), BLOCK):
        x = np.asarray(features[i : i + BLOCK], dtype=np.float64)
        for j in range(i, len(features), BLOCK):
            k = kernel(x, np.asarray(features[j : j + BLOCK], dtype=np.float64))
            h = k - cross[i : i + BLOCK, None] - cross[j : j + BLOCK]
            if i == j:
                diagonal += float(np.trace(k))
                np.fill_diagonal(k, 0)
                np.fill_diagonal(h, 0)
            else:  # the pairs are ordered: these blocks stand for two
                rows[j : j + BLOCK] += h.sum(axis=0)
            times = 1 if i == j else 2
            rows[i : i + BLOCK] += h.sum(axis=1)
            off, squares = off + times * float(k.sum()), squares + times * float((h**2).sum())
    return _Within(off, diagonal, rows, squares)


def _standard_error(rows: Floats, squares: float) -> float | None:
    """Standard error of a U-statistic of order 2: Var = (4 (n − 2) ζ₁ + 2 ζ₂) / (n (n − 1)), each ζ unbiased.

    ζ₁ = E h(x, x′) h(x, x″) − θ² and ζ₂ = E h² − θ²; the products are means over pairs, triples and
    quadruples of different features. An estimate below 0 counts as 0.
    """
    n = len(rows)
    if n < 4:
        return None
    pairs, total, by_row = n * (n - 1), float(rows.sum()), float((rows**2).sum())
    triples = (by_row - squares) / (pairs * (n - 2))
    theta = (total**2 - 4 * by_row + 2 * squares) / (pairs * (n - 2) * (n - 3))
    variance = (4 * (n - 2) * (triples - theta) + 2 * (squares / pairs - theta)) / pairs
    return float(np.sqrt(max(variance, 0.0)))


def _means(x: Floats, reference: Features | Floats, kernel: Kernel) -> Floats:
    """Mean kernel (B,) of each of x (B, D) with the reference."""
    sums = np.zeros(len(x))
    for y in _blocks(reference):
        sums += kernel(x, y).sum(axis=1)
    return sums / len(reference)


def _blocks(features: Features | Floats) -> Iterator[Floats]:
    for start in range(0, len(features), BLOCK):
        yield np.asarray(features[start : start + BLOCK], dtype=np.float64)
