"""The Fréchet Inception distance between two sets of pictures, with its standard error.

d² = |m₁ − m₂|² + tr S₁ + tr S₂ − 2 tr (S₁S₂)^½ (Dowson and Landau 1982; Heusel et al. 2017)

For any factors with FᵀF = S the last trace is the sum of the singular values of F₁F₂ᵀ: real and not negative
whatever the covariances are, where the square root of the matrix S₁S₂ turns complex or breaks down.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacbench import weights
from lacbench.errors import InputError
from lacbench.files import sha256_file
from lacbench.metrics.decoding import read_on_white
from lacbench.metrics.features import DEFAULT, DIMENSIONS, cached_features, features_key
from lacbench.metrics.networks import ENGINES
from lacbench.metrics.protocols import FeatureProtocol, find_protocol
from lacbench.metrics.sources import Pictures, find, two_or_more
from lacbench.metrics.statistics import (
    Features,
    FeatureStatistics,
    Floats,
    blocks,
    same_dimensions,
    same_protocol,
)
from lacbench.progress import Progress
from lacbench.records import Dataset

ON_WHITE = "/on-white"
"""Ends a protocol's name with a data set: transparency is laid on white there; the FID tools drop it."""
ROUNDING = 1e-7
"""Rounding of the distance relative to the sum of its terms, at worst (a singular covariance alone)."""
Z = 1.959963984540054
"""The 97.5% point of the standard normal distribution: a 95% interval is the value ± Z standard errors."""


@dataclass(frozen=True)
class FidResult:
    """One FID and all that is needed to compare it with another."""

    metric: str
    """Always `fid`."""
    value: float
    """The distance, squared, as everybody reports it; 0 for identical sets."""
    standard_error: float | None
    """Standard error over draws of the first set, the second held fixed; None where its features are gone."""
    interval: tuple[float, float] | None
    """95% interval: value ± 1.96 standard errors, cut at 0. It knows nothing of the bias of small sets."""
    n: tuple[int | None, int | None]
    """Pictures in each set; None where a statistics file does not say."""
    protocol: str
    """How pictures became features; never compare across protocols."""
    weights_sha256: str
    """SHA-256 of the network's weights; empty when both sets came as statistics."""
    digests: tuple[str, str]
    """What was compared: see `Pictures.digest`; for a statistics file its SHA-256."""
    warning: str
    """What to know before quoting the value; empty when there is nothing."""
    skipped: tuple[str, ...] = ()
    """Pictures of either set that could not be read, where that was allowed; they count nowhere else."""
    repeats: tuple[float, ...] = ()
    """The distances whose mean is the value, by a protocol that draws at random; else empty."""

    @property
    def variance(self) -> float | None:
        """Variance of the repeats, NumPy's, as AlacGAN's published code has it; None without."""
        return float(np.var(self.repeats)) if self.repeats else None

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on: not the warning; `skipped`, `repeats` where there are any."""
        without = {"warning"} | {name for name in ("skipped", "repeats") if not getattr(self, name)}
        told = {name: value for name, value in vars(self).items() if name not in without}
        return told | ({"variance": self.variance} if self.repeats else {})


def fid(
    a: Path | Dataset,
    b: Path | Dataset,
    *,
    protocol: str = DEFAULT.name,
    engine: str = ENGINES[0],
    device: str = "cpu",
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> FidResult:
    """FID of a set of pictures `a` against a reference `b`, by a protocol of `protocols.PROTOCOLS`.

    Each is a flat folder of pictures or a zip or tar archive of them, decoded as pytorch-fid does; a data set
    or its folder, of which the illustrations count, with transparency laid on white; or a `.npz` of
    statistics. `device` is torch's name for the place where the network runs, by `engine` (networks.py).

    Raises InputError for a path that is none of these, fewer than two pictures, unreadable ones (they are
    named) unless these are to be skipped, statistics of another protocol, and what `weights.fetch` raises.
    """
    by = _Way(find_protocol(protocol), engine, device, progress)
    (first, skipped_a), (second, skipped_b) = (_found(side, skip_unreadable, progress) for side in (a, b))
    pictures = [side for side in (first, second) if isinstance(side, Pictures)]
    reference = by.statistics(second)
    values, errors = [], []
    for repeat in range(by.protocol.repeats if isinstance(first, Pictures) else 1):
        features = by.features(first, repeat) if isinstance(first, Pictures) else None
        statistics = by.statistics(first, repeat, features)
        label = same_protocol(statistics.protocol, reference.protocol)
        values.append(frechet_distance(statistics, reference))
        if features is not None:
            errors.append(standard_error(features, statistics, reference, by.protocol.passes))
    value, error = float(np.mean(values)), float(np.mean(errors)) if errors else None
    counts = [statistics.n, reference.n]
    for at, side in enumerate((first, second)):
        counts[at] = len(side.paths) if isinstance(side, Pictures) else counts[at]
    return FidResult(
        metric="fid",
        value=value,
        standard_error=error,
        interval=None if error is None else (max(value - Z * error, 0.0), value + Z * error),
        n=(counts[0], counts[1]),
        protocol=(label or by.protocol.label) + ON_WHITE * any(p.reader is read_on_white for p in pictures),
        weights_sha256=weights.digest(by.protocol.weights) if pictures else "",
        digests=(_digest(first), _digest(second)),
        warning=_warning(*counts),
        skipped=skipped_a + skipped_b,
        repeats=tuple(values) if len(values) > 1 else (),
    )


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """The squared Fréchet distance between the Gaussians with these statistics; never NaN, never complex.

    Identical statistics give 0 up to rounding. A result that rounding alone took below 0 is returned as 0.
    Raises InputError when the dimensions differ or a covariance is none.
    """
    same_dimensions(a, b)
    difference = a.mean - b.mean
    terms = difference @ difference + np.trace(a.covariance) + np.trace(b.covariance)
    alive = _alive(a, b)
    cross = np.linalg.svd(factor(a, alive) @ factor(b, alive).T, compute_uv=False).sum()
    value = float(terms - 2 * cross)
    return 0.0 if -ROUNDING * terms < value < 0 else value


def standard_error(
    features: Features | Floats, a: FeatureStatistics, b: FeatureStatistics, passes: int = 1
) -> float:
    """Standard error of the FID over draws of the first set, from its influence function: sd(IF) / √n.

    `features` (n, D) are those that `a` was made of, of the same pictures in the same order `passes` times:
    a picture's influence is then the mean of its own. See `influence`.
    """
    influences = influence(features, a, b).reshape(passes, -1).mean(axis=0)
    return float(influences.std(ddof=1) / np.sqrt(len(influences)))


def influence(features: Features | Floats, a: FeatureStatistics, b: FeatureStatistics) -> Floats:
    """Influence (n,) on the FID of each of the features (n, D) that `a` was made of; they sum to 0.

    IF(x) = 2 (x − m)ᵀ(m − m₂) + (x − m)ᵀ(I − T)(x − m) − mean, with T = S₂^½ (S₂^½ S S₂^½)^−½ S₂^½, the
    optimal transport from the first Gaussian to the second. For any factor FᵀF = S₂ also T = Fᵀ(F S Fᵀ)^−½ F,
    so that with P = (x − m)Fᵀ, one row a picture, (x − m)ᵀT(x − m) is the diagonal of √(n − 1) (P Pᵀ)^½.
    Eigenvalues below 1e-10 of the largest are left out.
    """
    n = len(features)
    alive = _alive(a, b)
    root = factor(b, alive)
    if n <= len(root):
        projected = (features - a.mean)[:, alive] @ root.T
        values, vectors = _spectrum(projected @ projected.T)
        transported = np.sqrt(n - 1) * (vectors**2 @ np.sqrt(values))
        into = None
    else:  # in blocks, so that the memory does not depend on n
        values, vectors = _spectrum(root @ a.covariance[np.ix_(alive, alive)] @ root.T * (n - 1))
        into, transported = root.T @ (vectors / values**0.25), np.empty(n)
    raw, top = np.empty(n), 0
    for block in blocks(features):
        centred, here = block - a.mean, slice(top, top + len(block))
        if into is not None:
            transported[here] = np.sqrt(n - 1) * ((centred[:, alive] @ into) ** 2).sum(axis=1)
        raw[here] = 2 * centred @ (a.mean - b.mean) + (centred**2).sum(axis=1) - transported[here]
        top += len(block)
    return np.asarray(raw - raw.mean(), dtype=np.float64)


def _spectrum(gram: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues (K,) of a Gram matrix above 1e-10 of the largest, and their vectors (·, K)."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * values.max(initial=0)
    return values[kept], vectors[:, kept]


def factor(statistics: FeatureStatistics, alive: NDArray[np.bool_]) -> Floats:
    """F (R, D') with FᵀF = the covariance of the features that are `alive` (D,), D' of them.

    The centred features themselves where they are at hand, else Cholesky's factor, else, for a singular
    covariance, the one from its eigenvectors. Raises InputError for a clearly negative eigenvalue.
    """
    if statistics.rows is not None:
        return statistics.rows[:, alive]
    covariance = statistics.covariance[np.ix_(alive, alive)]
    try:
        return np.asarray(np.linalg.cholesky(covariance).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-6 * values[-1]:
        raise InputError(
            f"the statistics' sigma is no covariance: expected no negative eigenvalue, got {values[0]:.3g}; "
            "compute it again"
        )
    return np.asarray(np.sqrt(values.clip(0))[:, None] * vectors.T, dtype=np.float64)


@dataclass(frozen=True)
class _Way:
    """How sets are measured."""

    protocol: FeatureProtocol
    engine: str
    device: str
    progress: Progress | None

    def features(self, pictures: Pictures, repeat: int = 0) -> Features:
        return cached_features(
            pictures,
            protocol=self.protocol,
            repeat=repeat,
            engine=self.engine,
            device=self.device,
            progress=self.progress,
        )

    def statistics(
        self, source: Pictures | Path, repeat: int = 0, features: Features | None = None
    ) -> FeatureStatistics:
        """Statistics of a set; those of many pictures are kept in the cache folder."""
        if isinstance(source, Path):
            return FeatureStatistics.load(source)
        if self.protocol.passes * len(source.paths) <= DIMENSIONS:
            features = self.features(source, repeat) if features is None else features
            return replace(FeatureStatistics.from_features(features), protocol=self.protocol.label)
        key = features_key(source, self.protocol, repeat, self.engine, self.device, self.progress)
        path = weights.cache_folder() / "statistics" / f"{key}.npz"
        with suppress(InputError):
            return FeatureStatistics.load(path)
        features = self.features(source, repeat) if features is None else features
        made = replace(FeatureStatistics.from_features(features), protocol=self.protocol.label)
        made.save(path)
        return made


def _found(
    source: Path | Dataset, skip: bool, progress: Progress | None
) -> tuple[Pictures | Path, tuple[str, ...]]:
    """What a source stands for, and the names of what was skipped of it."""
    found = find(source)
    if not skip or isinstance(found, Path):
        return found, ()
    found, skipped = found.readable(progress)
    two_or_more(found, source)
    return found, skipped


def _alive(a: FeatureStatistics, b: FeatureStatistics) -> NDArray[np.bool_]:
    """Features (D,) that vary in both sets; a dead one adds nothing to the cross term and stops Cholesky."""
    return np.asarray((np.diagonal(a.covariance) > 0) & (np.diagonal(b.covariance) > 0))


def _digest(source: Pictures | Path) -> str:
    return source.digest if isinstance(source, Pictures) else sha256_file(source)


def _warning(*counts: int | None) -> str:
    small = [n for n in counts if n is not None and n < DIMENSIONS]
    if not small:
        return ""
    return (
        f"computed from {min(small):,} pictures, fewer than the {DIMENSIONS:,} features: FID is biased "
        "upwards then; compare it only with FIDs of as many pictures, against the same reference"
    )
