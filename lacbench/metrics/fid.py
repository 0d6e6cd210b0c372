"""The Fréchet Inception distance of two sets of pictures, with its standard error (Heusel et al., 2017)."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lacbench import weights
from lacbench.errors import InputError
from lacbench.files import sha256_file
from lacbench.metrics.decoding import read_on_white
from lacbench.metrics.features import DEFAULT, cached_features, features_key
from lacbench.metrics.frechet import frechet_distance, limit, standard_error
from lacbench.metrics.networks import ENGINES
from lacbench.metrics.protocols import PROTOCOLS, FeatureProtocol, find_protocol
from lacbench.metrics.shares import ALONE, Share
from lacbench.metrics.sources import Pictures, find, two_or_more
from lacbench.metrics.statistics import Features, FeatureStatistics, Z, same_protocol
from lacbench.progress import Progress
from lacbench.records import Dataset

ON_WHITE = "/on-white"
"""Ends a protocol's name with a data set: transparency is laid on white there; the FID tools drop it."""


@dataclass(frozen=True)
class FidResult:
    """One FID and all that is needed to compare it with another."""

    metric: str
    """`fid`, or what the Fréchet distance of the protocol's features is called."""
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
    repeats: "Repeats | None" = None
    """The distances whose mean is the value, by a protocol that draws at random; else None."""
    infinity: float | None = None
    """FID∞: the value with infinitely many pictures in the first set; None where not asked for."""
    bias: float | None = None
    """The value less FID∞."""

    def as_json(self) -> dict[str, object]:
        """The fields that scripts may rely on: not the warning; those with a default if they differ."""
        optional = {"skipped", "repeats", "infinity", "bias"}
        without = {"warning"} | {name for name in optional if getattr(self, name) in ((), None)}
        told = {name: value for name, value in vars(self).items() if name not in without}
        return told | ({"repeats": self.repeats.as_json()} if self.repeats else {})


@dataclass(frozen=True)
class Repeats:
    """FIDs of one submission by a protocol that draws at random, each drawn anew."""

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
    protocol: str | FeatureProtocol = DEFAULT.name,
    engine: str = ENGINES[0],
    device: str = "cpu",
    skip_unreadable: bool = False,
    infinity: bool = False,
    repeats: int | None = None,
    share: Share = ALONE,
    progress: Progress | None = None,
) -> FidResult:
    """FID of a set of pictures `a` against a reference `b`, by a protocol, or its name in `PROTOCOLS`.

    Each is a flat folder of pictures or a zip or tar archive of them, decoded as pytorch-fid does; a data set
    or its folder, of which the illustrations count, with transparency laid on white; or a `.npz` of
    statistics. `device` is torch's name for the place where the network runs, by `engine` (networks.py).
    `repeats` is how often a protocol that draws at random does so, in place of its own number.
    With `infinity` also FID∞ is estimated (`frechet.limit`). The first of several processes tells its
    `share`; the others call `take_share`.

    Raises InputError for a path that is none of these, fewer than two pictures, unreadable ones (they are
    named) unless these are to be skipped, statistics of another protocol or width, repeats of a protocol that
    draws nothing, FID∞ of statistics, of fewer than six pictures or by a protocol that repeats, and what
    `weights.fetch` raises.
    """
    protocol = _repeated(protocol, repeats)
    by = _Way(protocol, engine, device, progress, share)
    (first, skipped_a), (second, skipped_b) = (_found(side, skip_unreadable, progress) for side in (a, b))
    pictures = [side for side in (first, second) if isinstance(side, Pictures)]
    if infinity and not isinstance(first, Pictures):
        raise InputError(f"FID∞ needs pictures; {a} has statistics only; name the folder that they are of")
    if infinity and protocol.repeats > 1:
        raise InputError(f"FID∞ is of one distance; {protocol.name} takes several; leave out one of the two")
    if pictures:
        _check_alike(protocol, first, second)
    reference, endless = by.statistics(second), None
    values, errors = [], []
    for repeat in range(protocol.repeats if isinstance(first, Pictures) else 1):
        features = by.features(first, repeat) if isinstance(first, Pictures) else None
        statistics = by.statistics(first, repeat, features)
        label = same_protocol(statistics.protocol, reference.protocol)
        values.append(frechet_distance(statistics, reference))
        if features is not None:
            errors.append(standard_error(features, statistics, reference, protocol.passes))
            endless = limit(features, reference) if infinity else None
    value, error = float(np.mean(values)), float(np.mean(errors)) if errors else None
    counts = [statistics.n, reference.n]
    for at, side in enumerate((first, second)):
        counts[at] = len(side.paths) if isinstance(side, Pictures) else counts[at]
    return FidResult(
        metric=PROTOCOLS.get(label.partition("@")[0], protocol).metric,
        value=value,
        standard_error=error,
        interval=None if error is None else (max(value - Z * error, 0.0), value + Z * error),
        n=(counts[0], counts[1]),
        protocol=(label or protocol.label) + ON_WHITE * any(p.reader is read_on_white for p in pictures),
        weights_sha256=weights.digest(protocol.weights) if pictures else "",
        digests=(_digest(first), _digest(second)),
        warning=_warning(reference.mean.size, *counts),
        skipped=skipped_a + skipped_b,
        repeats=Repeats(tuple(values)) if len(values) > 1 else None,
        infinity=endless.value if endless else None,
        bias=endless.bias if endless else None,
    )


def _check_alike(protocol: FeatureProtocol, *sides: Pictures | Path) -> None:
    """Raise InputError for statistics that pictures by the protocol do not compare with, before the work."""
    for path in (side for side in sides if isinstance(side, Path)):
        statistics = FeatureStatistics.load(path)
        same_protocol(statistics.protocol, protocol.label)
        if statistics.mean.size != protocol.dimensions:
            raise InputError(
                f"{path} has statistics of {statistics.mean.size:,} dimensions; expected "
                f"{protocol.dimensions:,}, as features by {protocol.name} have; compute it with that network"
            )


def take_share(
    a: Path | Dataset,
    b: Path | Dataset,
    *,
    share: Share,
    protocol: str | FeatureProtocol = DEFAULT.name,
    engine: str = ENGINES[0],
    device: str = "cpu",
    skip_unreadable: bool = False,
    repeats: int | None = None,
) -> None:
    """What all processes but the first do of `fid`: their share of the features of both sets."""
    protocol = _repeated(protocol, repeats)
    by = _Way(protocol, engine, device, None, share)
    for at, side in enumerate((b, a)):
        found, _ = _found(side, skip_unreadable, None)
        for repeat in range(protocol.repeats if at else 1):
            if isinstance(found, Pictures):
                by.features(found, repeat)


def _repeated(protocol: str | FeatureProtocol, repeats: int | None) -> FeatureProtocol:
    """The protocol, with another number of repeats where one is given."""
    protocol = find_protocol(protocol) if isinstance(protocol, str) else protocol
    if repeats is None:
        return protocol
    if protocol.repeats == 1 or repeats < 1:
        raise InputError(
            f"{repeats} repeats by {protocol.name}: expected one or more, by a protocol that draws at random "
            "(alacgan2018); leave them out"
        )
    return replace(protocol, repeats=repeats)


@dataclass(frozen=True)
class _Way:
    """How sets are measured."""

    protocol: FeatureProtocol
    engine: str
    device: str
    progress: Progress | None
    share: Share = ALONE

    def features(self, pictures: Pictures, repeat: int = 0) -> Features:
        return cached_features(
            pictures,
            protocol=self.protocol,
            repeat=repeat,
            engine=self.engine,
            device=self.device,
            share=self.share,
            progress=self.progress,
        )

    def statistics(
        self, source: Pictures | Path, repeat: int = 0, features: Features | None = None
    ) -> FeatureStatistics:
        """Statistics of a set; those of many pictures are kept in the cache folder."""
        if isinstance(source, Path):
            return FeatureStatistics.load(source)
        if self.protocol.passes * len(source.paths) <= self.protocol.dimensions:
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


def _digest(source: Pictures | Path) -> str:
    return source.digest if isinstance(source, Pictures) else sha256_file(source)


def _warning(dimensions: int, *counts: int | None) -> str:
    small = [n for n in counts if n is not None and n < dimensions]
    if not small:
        return ""
    return (
        f"computed from {min(small):,} pictures, fewer than the {dimensions:,} features: the distance is "
        "biased upwards then; compare it only with those of as many pictures, against the same reference"
    )
