"""Statistics of features: n, mean, covariance; in one pass, mergeable, and in pytorch-fid's file format."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError
from lacbench.files import atomic

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
BLOCK = 2048
"""Feature vectors that are looked at together, where there are many."""
LARGE = 1e100
"""A mean or covariance beyond this is of no features; squares of smaller ones do not overflow."""
MOST = 8192
"""Dimensions of a statistics file, at most: the covariance then takes 512 MB."""
Z = 1.959963984540054
"""The 97.5% point of the standard normal distribution: a 95% interval is the value ± Z standard errors."""


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of a set of feature vectors, in float64.

    Raises InputError when the shapes do not belong together or a value is not finite.
    """

    n: int | None
    """Feature vectors; None where a statistics file does not say."""
    mean: Floats
    """(D,) mean."""
    covariance: Floats
    """(D, D) covariance, unbiased (divided by n − 1)."""
    rows: Floats | None = field(default=None, repr=False)
    """(n, D) matrix R with RᵀR = covariance, kept where n ≤ D: centred features over √(n − 1)."""
    protocol: str = ""
    """By which protocol pictures became features; empty where a statistics file does not say."""

    def __post_init__(self) -> None:
        dimensions = self.mean.shape[0] if self.mean.ndim == 1 else 0
        if not dimensions or self.covariance.shape != (dimensions, dimensions):
            raise InputError(
                "expected a mean (D,) and a covariance (D, D), "
                f"got {self.mean.shape} and {self.covariance.shape}; compute the statistics again"
            )
        if not all((abs(values) < LARGE).all() for values in (self.mean, self.covariance)):
            raise InputError(
                f"the statistics are not finite; expected numbers below {LARGE:g}; compute the features again"
            )

    @classmethod
    def from_features(cls, features: Features | Floats) -> "FeatureStatistics":
        """Statistics of features (n, D), n ≥ 2. Raises InputError for fewer than two.

        Few are looked at twice, many in a stream: the memory does not depend on n then.
        """
        n, dimensions = features.shape
        _at_least_two(n)
        if n > dimensions:
            accumulator = Accumulator()
            for block in blocks(features):
                accumulator.update(block)
            return accumulator.statistics()
        with np.errstate(invalid="ignore"):  # what is not finite is refused below, in a sentence
            mean = features.mean(axis=0, dtype=np.float64)
            rows = (features - mean) / np.sqrt(n - 1)
        return cls(n, mean, rows.T @ rows, rows)

    def save(self, path: Path) -> None:
        """Write pytorch-fid's `.npz` (`mu`, `sigma`), with `n` and `protocol` where they are known.

        Raises OutputError.
        """
        arrays: dict[str, Any] = {"mu": self.mean, "sigma": self.covariance}
        if self.n is not None:
            arrays["n"] = np.asarray(self.n)
        if self.protocol:
            arrays["protocol"] = np.asarray(self.protocol)
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "FeatureStatistics":
        """Read pytorch-fid's `.npz`, which may be a stranger's; `n` and `protocol` are optional.

        Raises InputError for anything else, and for more than MOST dimensions.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                _check_size(arrays.zip)
                mean, covariance = _real(arrays["mu"]), _real(arrays["sigma"])
                n = _count(arrays["n"]) if "n" in arrays else None
                protocol = _word(arrays["protocol"]) if "protocol" in arrays else ""
                statistics = cls(n, mean, covariance, protocol=protocol)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except Exception as error:  # a damaged file can raise anything in the libraries
            raise InputError(
                f"{path} cannot be read as statistics: expected pytorch-fid's .npz with mu (D,) and "
                f"sigma (D, D), got {error or 'an empty file'}; compute it again"
            ) from error
        if np.diagonal(covariance).min() < 0:
            raise InputError(f"{path}: sigma has a negative variance, as no covariance has; compute it again")
        if abs(covariance - covariance.T).max() > 1e-6 * abs(covariance).max():
            raise InputError(f"{path}: sigma is not symmetric, as every covariance is; compute it again")
        return statistics


def blocks(features: Features | Floats, size: int = BLOCK) -> Iterator[Features | Floats]:
    """The features (n, D) in blocks (≤ size, D); those mapped from a file are read: none stays resident."""
    for top in range(0, len(features), size):
        part = features[top : top + size]
        if (
            isinstance(features, np.memmap)
            and features.filename is not None
            and features.flags.c_contiguous
            and isinstance(features.base, mmap)  # not a slice, whose `offset` is that of the whole
        ):
            offset = features.offset + top * features.strides[0]
            read = np.fromfile(features.filename, features.dtype, part.size, offset=offset)
            part = read.reshape(part.shape)
        yield part


class Accumulator:
    """Statistics of features that come in batches: memory for one covariance, however many there are."""

    def __init__(self) -> None:
        self.n = 0
        """Feature vectors seen."""
        self._mean: Floats = np.zeros(0)
        self._scatter: Floats = np.zeros((0, 0))

    def update(self, batch: Features | Floats) -> None:
        """Take in features (B, D), B ≥ 0, by Chan, Golub and LeVeque (1979)."""
        if not len(batch):
            return
        with np.errstate(invalid="ignore"):  # what is not finite is refused at the end, in a sentence
            mean = batch.mean(axis=0, dtype=np.float64)
            centred = batch - mean
            scatter = centred.T @ centred
        if self.n:
            mean, scatter = _chan(self.n, self._mean, self._scatter, len(batch), mean, scatter)
        self.n, self._mean, self._scatter = self.n + len(batch), mean, scatter

    def statistics(self) -> FeatureStatistics:
        """Statistics of what was seen so far. Raises InputError for fewer than two vectors."""
        _at_least_two(self.n)
        return FeatureStatistics(self.n, self._mean, self._scatter / (self.n - 1))


def merge(a: FeatureStatistics, b: FeatureStatistics) -> FeatureStatistics:
    """Statistics of two sets together, by Chan, Golub and LeVeque (1979).

    Raises InputError when one does not know its n, or when the dimensions differ.
    """
    if a.n is None or b.n is None:
        raise InputError(
            "statistics without n cannot be merged; expected a file that says n; compute it again"
        )
    same_dimensions(a, b)
    n, scatters = a.n + b.n, (a.covariance * (a.n - 1), b.covariance * (b.n - 1))
    mean, scatter = _chan(a.n, a.mean, scatters[0], b.n, b.mean, scatters[1])
    return FeatureStatistics(n, mean, scatter / (n - 1), protocol=same_protocol(a.protocol, b.protocol))


def same_protocol(a: str, b: str) -> str:
    """The protocol of both; empty stands for any. Raises InputError where they differ."""
    if a and b and a != b:
        raise InputError(f"features by the protocols {a} and {b} do not compare; take both by one")
    return a or b


def same_dimensions(a: FeatureStatistics, b: FeatureStatistics) -> None:
    """Raise InputError unless both are of features of the same dimensions."""
    if a.mean.shape != b.mean.shape:
        raise InputError(
            f"the statistics have {a.mean.size} and {b.mean.size} dimensions; expected the same; "
            "compute both with the same network"
        )


def _check_size(file: zipfile.ZipFile) -> None:
    """Refuse arrays that unpack to more than those of MOST dimensions do, before they are unpacked."""
    for info in file.infolist():
        if info.file_size > 8 * MOST**2 + 1024:
            raise ValueError(f"{info.filename} of {info.file_size:,} bytes: more than {MOST:,} dimensions")


def _real(array: NDArray[Any]) -> Floats:
    if array.dtype.kind not in "fiu":
        raise TypeError(f"values of type {array.dtype}")
    return np.asarray(array, dtype=np.float64)


def _count(array: NDArray[Any]) -> int:
    if array.shape or array.dtype.kind not in "iu" or array < 2:
        raise ValueError(f"an n of {array}, not of 2 or more")
    return int(array)


def _word(array: NDArray[Any]) -> str:
    word = str(array)
    if array.shape or array.dtype.kind != "U" or len(word) > 100 or not word.isprintable():
        raise ValueError("a protocol that is no name")
    return word


def _chan(
    n_a: int, mean_a: Floats, scatter_a: Floats, n_b: int, mean_b: Floats, scatter_b: Floats
) -> tuple[Floats, Floats]:
    """Mean and scatter (sum of squares about the mean) of two sets together."""
    n, difference = n_a + n_b, mean_b - mean_a
    mean = mean_a + difference * (n_b / n)
    return mean, scatter_a + scatter_b + np.outer(difference, difference) * (n_a * n_b / n)


def _at_least_two(n: int) -> None:
    if n < 2:
        raise InputError(
            f"got {n} picture{'s' * (n != 1)}, which has no covariance; expected two or more; add some"
        )
