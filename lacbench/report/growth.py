"""How an FID hangs on the number of pictures: of quarters, of halves, of all, and with infinitely many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lacbench.metrics.features import kept_features
from lacbench.metrics.fid import ON_WHITE, reference_statistics
from lacbench.metrics.frechet import frechet_distance, limit, standard_error
from lacbench.metrics.protocols import PROTOCOLS, FeatureProtocol
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import Features, FeatureStatistics, Z
from lacbench.records import Dataset
from lacbench.report.gallery import Method
from lacbench.tables import Score

PARTS = (4, 2, 1)
"""Into how many parts a set is split."""
FEWEST = 8
"""Pictures, at least: a quarter of fewer has no covariance."""


@dataclass(frozen=True)
class Point:
    """The FID of so many pictures."""

    n: int
    """Pictures in a part."""
    value: float
    """The mean over the parts."""
    interval: tuple[float, float]
    """95% interval of that mean; it knows nothing of the bias."""


@dataclass(frozen=True)
class Growth:
    """One method's FIDs by the number of pictures."""

    score: Score
    """The card."""
    points: tuple[Point, ...]
    """By rising number of pictures; the last one is the card's own."""
    infinity: float
    """FID∞; see `frechet.limit`."""


def growths(dataset: Dataset, methods: Sequence[Method]) -> tuple[list[Growth], dict[str, list[str]]]:
    """Of each method whose features lie in the cache folder; and the names of the others, by the reason.

    Nothing is fetched and no network runs.
    """
    found: list[Growth] = []
    without: dict[str, list[str]] = {}
    sides: dict[str, FeatureStatistics | None] = {}
    for method in methods:
        if method.score.fid:
            told = _growth(dataset, method, sides)
            if isinstance(told, Growth):
                found.append(told)
            else:
                without.setdefault(told, []).append(method.name)
    return found, without


def _growth(
    dataset: Dataset, method: Method, references: dict[str, FeatureStatistics | None]
) -> Growth | str:
    """A method's FIDs, or why there are none; `references` remembers statistics of the illustrations."""
    fid, device = method.score.figures["fid"], method.score.card.environment.get("device", "cpu")
    told = str(fid.more.get("protocol", "")).removesuffix(ON_WHITE)
    protocol = PROTOCOLS.get(told.partition("@")[0])
    if protocol is None or protocol.label != told:
        return "its protocol is not one of this version of lacbench"
    if protocol.repeats > 1 or protocol.passes > 1:
        return "its protocol takes features that are not one a picture"
    if fid.interval is None or len(method.outputs) < FEWEST:
        return f"it has fewer than {FEWEST} outputs here, or no interval"
    outputs = Pictures.of(method.outputs.values())
    digests = fid.more.get("digests")
    if not isinstance(digests, list | tuple) or digests[0] != outputs.digest:
        return "its outputs are not those that were scored"
    features = kept_features(outputs, protocol=protocol, device=device)
    if protocol.name + device not in references:
        references[protocol.name + device] = _reference(dataset, protocol, device)
    reference = references[protocol.name + device]
    if features is None or reference is None:
        return "its features are not in the cache folder of this machine; `lacbench score` leaves them there"
    return Growth(method.score, _points(method.score, features, reference), limit(features, reference).value)


def _reference(dataset: Dataset, protocol: FeatureProtocol, device: str) -> FeatureStatistics | None:
    """Statistics of the illustrations, where their features are kept."""
    pictures = find(dataset)
    if (
        not isinstance(pictures, Pictures)
        or kept_features(pictures, protocol=protocol, device=device) is None
    ):
        return None
    return reference_statistics(pictures, protocol=protocol.name, device=device)


def _points(score: Score, features: Features, reference: FeatureStatistics) -> tuple[Point, ...]:
    """FIDs of disjoint parts, drawn by lot; the whole set's is taken from the card."""
    shuffled = features[np.random.default_rng(0).permutation(len(features))]
    points = []
    for parts in PARTS[:-1]:
        values, errors = [], []
        for start in range(parts):
            part = shuffled[start::parts]
            statistics = FeatureStatistics.from_features(part)
            values.append(frechet_distance(statistics, reference))
            errors.append(standard_error(part, statistics, reference))
        value, error = float(np.mean(values)), float(np.sqrt(np.mean(np.square(errors)) / parts))
        points.append(Point(len(features) // parts, value, (max(value - Z * error, 0.0), value + Z * error)))
    fid = score.figures["fid"]
    assert fid.value is not None and fid.interval is not None
    return (*points, Point(len(features), fid.value, fid.interval))


def axis(grown: Sequence[Growth]) -> tuple[float, ...]:
    """Ticks, round numbers, from below all values and intervals to beyond them; empty for no methods."""
    ends = [end for one in grown for point in one.points for end in (point.value, *point.interval)]
    ends += [one.infinity for one in grown]
    if not ends:
        return ()
    low, high = min(ends), max(max(ends), min(ends) + 1)
    power = 10 ** math.floor(math.log10((high - low) / 3))
    step = next(s * power for s in (1, 2, 5, 10) if s * power * 4 >= high - low)
    return tuple(i * step for i in range(math.floor(low / step), math.ceil(high / step) + 1))
