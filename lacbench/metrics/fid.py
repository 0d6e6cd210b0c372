"""The Fréchet Inception distance between two sets of pictures, with its standard error.

d² = |m₁ − m₂|² + tr S₁ + tr S₂ − 2 tr (S₁S₂)^½ (Dowson and Landau 1982; Heusel et al. 2017)

For any factors with FᵀF = S the last trace is the sum of the singular values of F₁F₂ᵀ: real and not negative
whatever the covariances are, where the square root of the matrix S₁S₂ turns complex or breaks down.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacbench import weights
from lacbench.errors import InputError
from lacbench.files import sha256_file
from lacbench.images import read
from lacbench.metrics.features import DIMENSIONS, PROTOCOL, SUFFIXES, Pictures, cached_features
from lacbench.metrics.statistics import Features, FeatureStatistics, Floats, same_dimensions
from lacbench.progress import Progress
from lacbench.records import Dataset

ON_WHITE = f"{PROTOCOL}/on-white"
"""The protocol with a data set: transparency is laid on white there, where pytorch-fid drops it."""
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

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on: all but the warning."""
        return {name: value for name, value in vars(self).items() if name != "warning"}


def fid(
    a: Path | Dataset, b: Path | Dataset, *, device: str = "cpu", progress: Progress | None = None
) -> FidResult:
    """FID of a set of pictures `a` against a reference `b`, by the protocol `pytorch-fid`.

    Each is a flat folder of pictures, decoded as pytorch-fid does; a data set or its folder, of which the
    illustrations count, with transparency laid on white; or a `.npz` of statistics. `device` is torch's name
    for the place where the network runs.

    Raises InputError for a path that is none of these, fewer than two pictures, or unreadable ones (they are
    named), and what `weights.fetch` raises.
    """
    sources = find(a), find(b)
    sides = [_measure(source, device, progress) for source in sources]
    (first, features), (second, _) = sides
    value = frechet_distance(first, second)
    error = None if features is None else standard_error(features, first, second)
    return FidResult(
        metric="fid",
        value=value,
        standard_error=error,
        interval=None if error is None else (max(value - Z * error, 0.0), value + Z * error),
        n=(first.n, second.n),
        protocol=ON_WHITE if any(isinstance(s, Pictures) and s.reader is read for s in sources) else PROTOCOL,
        weights_sha256=weights.digest("inception") if any(isinstance(s, Pictures) for s in sources) else "",
        digests=(_digest(sources[0]), _digest(sources[1])),
        warning=_warning(first.n, second.n),
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


def standard_error(features: Features | Floats, a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Standard error of the FID over draws of the first set, from its influence function: sd(IF) / √n.

    `features` (n, D) are those that `a` was made of. See `influence`.
    """
    return float(influence(features, a, b).std(ddof=1) / np.sqrt(len(features)))


def influence(features: Features | Floats, a: FeatureStatistics, b: FeatureStatistics) -> Floats:
    """Influence (n,) on the FID of each of the features (n, D) that `a` was made of; they sum to 0.

    IF(x) = 2 (x − m)ᵀ(m − m₂) + (x − m)ᵀ(I − T)(x − m) − mean, with T = S₂^½ (S₂^½ S S₂^½)^−½ S₂^½, the
    optimal transport from the first Gaussian to the second. For any factor FᵀF = S₂ also T = Fᵀ(F S Fᵀ)^−½ F,
    so that with P = (x − m)Fᵀ, one row a picture, (x − m)ᵀT(x − m) is the diagonal of √(n − 1) (P Pᵀ)^½.
    Eigenvalues below 1e-10 of the largest are left out.
    """
    centred, alive = features - a.mean, _alive(a, b)
    projected = centred[:, alive] @ factor(b, alive).T
    n, dimensions = projected.shape
    gram = projected @ projected.T if n <= dimensions else projected.T @ projected
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * values.max(initial=0)
    values, vectors = values[kept], vectors[:, kept]
    left = vectors if n <= dimensions else projected @ vectors / np.sqrt(values)
    transported = np.sqrt(n - 1) * (left**2 @ np.sqrt(values))
    raw = 2 * centred @ (a.mean - b.mean) + (centred**2).sum(axis=1) - transported
    return np.asarray(raw - raw.mean(), dtype=np.float64)


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


def find(source: Path | Dataset) -> Pictures | Path:
    """The pictures that `source` stands for, or the statistics file that it is; raises as `fid` does."""
    if isinstance(source, Dataset):
        pictures = Pictures.of((source.file(member) for member in source.illustrations), read)
    elif (source / "illustrations.parquet").is_file():
        from lacbench.manifest import load_dataset

        return find(load_dataset(source))
    elif source.is_dir():
        pictures = Pictures.of(_flat(source))
    elif source.is_file() and source.suffix == ".npz":
        return source
    else:
        raise InputError(
            f"{source} is {'a file' if source.exists() else 'not there'}; expected a folder of pictures, "
            "a data set, or a .npz of statistics; check the path"
        )
    if len(pictures.paths) < 2:
        where = source.folder if isinstance(source, Dataset) else source
        raise InputError(
            f"{where} has too few pictures: got {len(pictures.paths)}, expected two or more, since one "
            "has no covariance; add some"
        )
    return pictures


def _flat(folder: Path) -> list[Path]:
    """The pictures of a folder; subfolders are refused, since half a set would be scored in silence."""
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    subfolders = [entry.name for entry in entries if entry.is_dir()]
    pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    if subfolders:
        raise InputError(
            f"{folder} has subfolders ({', '.join(subfolders[:3])}{' …' * (len(subfolders) > 3)}); expected "
            "the pictures in one flat folder; name that one, or move them"
        )
    if not pictures:
        raise InputError(
            f"{folder} has {'no pictures, only other files' if entries else 'nothing in it'}; expected "
            f"{', '.join(sorted(SUFFIXES))}; check the path"
        )
    return pictures


def _measure(
    source: Pictures | Path, device: str, progress: Progress | None
) -> tuple[FeatureStatistics, Features | None]:
    """Statistics of a set, and its features where it is pictures."""
    if isinstance(source, Path):
        return FeatureStatistics.load(source), None
    features = cached_features(source, device=device, progress=progress)
    return FeatureStatistics.from_features(features), features


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
