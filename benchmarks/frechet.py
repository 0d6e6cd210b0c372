"""How long the Fréchet distance of two sets' statistics takes, against SciPy's square root of their product.

    python benchmarks/frechet.py
    python benchmarks/frechet.py --features A.npy B.npy    with features of pictures instead of made ones

Made features have the Inception's 2,048 dimensions, and a spectrum that falls as its does. The ways take
turns; time is that of the processor, so that what else runs on the machine counts little, and covers the
distance alone, from means and covariances that are at hand. The peer is pytorch-fid's own function. The small
set keeps its features, as `FeatureStatistics.from_features` does.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance

from lacbench.metrics.frechet import frechet_distance
from lacbench.metrics.statistics import Features, FeatureStatistics

DIMENSIONS = 2048
SMALL = 600

Distance = Callable[[FeatureStatistics, FeatureStatistics], float]


def made(n: int, seed: int) -> Features:
    """Features like those of the network: not negative, correlated."""
    mixing = np.random.default_rng(0).normal(size=(DIMENSIONS, DIMENSIONS))
    mixing *= (1 + np.arange(DIMENSIONS))[:, None] ** -0.75 / 8
    features = np.random.default_rng(seed).normal(size=(n, DIMENSIONS)) @ mixing
    return np.maximum(features + 0.05 * (1 + seed) + 0.3, 0).astype(np.float32)


def theirs(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """pytorch-fid's, by SciPy's sqrtm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SciPy's, about an argument that pytorch-fid gives it
        return float(calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def take_turns(a: FeatureStatistics, b: FeatureStatistics, turns: int) -> list[tuple[str, float, float]]:
    """The median processor's seconds of each way, and what it says."""
    ways: dict[str, Distance] = {"pytorch-fid": theirs, "lacbench": frechet_distance}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    said: dict[str, float] = {}
    for _ in range(turns):
        for name, way in ways.items():
            start = time.process_time()
            said[name] = way(a, b)
            seconds[name].append(time.process_time() - start)
    return [(name, float(np.median(seconds[name])), said[name]) for name in ways]


@click.command()
@click.option(
    "--features", nargs=2, type=click.Path(path_type=Path, exists=True), help="Two .npy files (N, 2048)."
)
@click.option("--turns", default=3, show_default=True, help="How often each way is timed.")
def main(features: tuple[Path, Path] | None, turns: int) -> None:
    """Print a table: at full rank, and with 600 pictures in the first set."""
    a, b = map(np.load, features) if features else (made(2779, 0), made(5000, 1))
    large, reference = FeatureStatistics.from_features(a), FeatureStatistics.from_features(b)
    small = FeatureStatistics.from_features(a[:SMALL])
    click.echo("| pictures | way | CPU s | times as fast | distance |")
    click.echo("|---|---|---:|---:|---:|")
    for first in (large, small):
        found = take_turns(first, reference, turns)
        for name, seconds, value in found:
            times = found[0][1] / seconds
            counts = f"{first.n:,} against {reference.n:,}"
            click.echo(f"| {counts} | {name} | {seconds:.2f} | {times:.1f} | {value:.6f} |")


if __name__ == "__main__":
    main()
