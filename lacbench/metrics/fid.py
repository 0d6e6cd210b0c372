"""The Fréchet Inception distance of two sets of pictures, with its standard error (Heusel et al., 2017)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacbench import weights
from lacbench.errors import InputError
from lacbench.files import sha256_file
from lacbench.images import read
from lacbench.metrics.features import DIMENSIONS, PROTOCOL, SUFFIXES, Pictures, cached_features
from lacbench.metrics.frechet import frechet_distance, limit, standard_error
from lacbench.metrics.statistics import Features, FeatureStatistics, Z
from lacbench.progress import Progress
from lacbench.records import Dataset

ON_WHITE = f"{PROTOCOL}/on-white"
"""The protocol with a data set: transparency is laid on white there, where pytorch-fid drops it."""


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
    infinity: float | None = None
    """FID∞: the value with infinitely many pictures in the first set; None where not asked for."""
    bias: float | None = None
    """The value less FID∞."""

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on: all but the warning, and FID∞ only where it was asked for."""
        without = {"warning"} | ({"infinity", "bias"} if self.infinity is None else set())
        return {name: value for name, value in vars(self).items() if name not in without}


@dataclass(frozen=True)
class Repeats:
    """FIDs of one submission by a protocol that draws at random, once for each seed."""

    values: tuple[float, ...]
    """The FIDs, one or more."""

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.values))

    @property
    def variance(self) -> float:
        """Their variance, divided by their number: AlacGAN's published code prints NumPy's `var`."""
        return float(np.var(self.values))

    def as_json(self) -> dict[str, object]:
        """What scripts may rely on."""
        return {"mean": self.mean, "variance": self.variance, "values": list(self.values)}


def fid(
    a: Path | Dataset,
    b: Path | Dataset,
    *,
    device: str = "cpu",
    infinity: bool = False,
    progress: Progress | None = None,
) -> FidResult:
    """FID of a set of pictures `a` against a reference `b`, by the protocol `pytorch-fid`.

    Each is a flat folder of pictures, decoded as pytorch-fid does; a data set or its folder, of which the
    illustrations count, with transparency laid on white; or a `.npz` of statistics. `device` is torch's name
    for the place where the network runs. With `infinity` also FID∞ is estimated (`frechet.limit`).

    Raises InputError for a path that is none of these, fewer than two pictures, or unreadable ones (they are
    named), for FID∞ of statistics or of fewer than six pictures, and what `weights.fetch` raises.
    """
    sources = find(a), find(b)
    sides = [_measure(source, device, progress) for source in sources]
    (first, features), (second, _) = sides
    value = frechet_distance(first, second)
    error = None if features is None else standard_error(features, first, second)
    if infinity and features is None:
        raise InputError(f"FID∞ needs pictures; {a} has statistics only; name the folder that they are of")
    endless = limit(features, second) if infinity and features is not None else None
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
        infinity=endless.value if endless else None,
        bias=endless.bias if endless else None,
    )


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
