"""How long the analysis of a study takes, and which tests hold their level.

    python benchmarks/significance.py
    python benchmarks/significance.py --studies 2000    how often each test is wrong, and finds a gap

A study is the paper's: 16 raters, 94 line arts, 6 methods. Times are medians, without imports; statsmodels
gives the second opinion alone, the two-way cluster-robust test, of the same five comparisons in the same run.
Scores are simulated: raters and line arts differ, raters have tastes, line arts suit some methods, the rest
is chance.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from statsmodels.regression.linear_model import OLS

from lacbench.study.analysis import analyse
from lacbench.study.effects import crossed
from lacbench.study.measures import cluster_p, paper_z_p
from lacbench.study.ratings import FloatArray, Ratings, make_ratings, read_ratings

RATERS, ITEMS, MEANS = 16, 94, (3.186, 2.955, 2.8, 2.7, 2.6, 2.5)
GAP = MEANS[0] - MEANS[1]
SDS = {
    "raters and line arts differ": (0, 0, 0.65),
    "tastes too": (0.23, 0.39, 0.65),
    "strong tastes": (0.4, 0.39, 0.65),
}


def scores(
    means: tuple[float, ...], sds: tuple[float, float, float], draw: np.random.Generator
) -> FloatArray:
    """Whole scores 1–5, (methods, raters, line arts)."""
    shape = len(means), RATERS, ITEMS
    common = 0.4 * draw.normal(size=(RATERS, 1)) + 0.4 * draw.normal(size=ITEMS)
    rater, item, residual = sds
    tastes = rater * draw.normal(size=(shape[0], RATERS, 1)) + item * draw.normal(size=(shape[0], 1, ITEMS))
    return np.clip(
        np.rint(np.reshape(means, (-1, 1, 1)) + common + tastes + residual * draw.normal(size=shape)), 1, 5
    )


def columns(cube: FloatArray) -> dict[str, list[object]]:
    """One entry a rating."""
    cells = np.argwhere(~np.isnan(cube))
    names = {
        axis: [f"{axis}-{k:02}" for k in cells[:, n]] for n, axis in enumerate(("method", "rater", "item"))
    }
    return {**names, "score": [int(score) for score in cube[tuple(cells.T)]]}


def by_statsmodels(ratings: Ratings) -> list[float]:
    """Two-way cluster-robust p, one-sided, of the first method against the others."""
    ps = []
    for other in ratings.methods[1:]:
        d = ratings.differences(ratings.methods[0], other)
        groups = np.argwhere(~np.isnan(d))
        values = d[tuple(groups.T)]
        how = {"cov_type": "cluster", "cov_kwds": {"groups": groups}, "use_t": True}
        fit = OLS(values, np.ones(len(values))).fit(**how)
        ps.append(fit.pvalues[0] / 2 if values.mean() > 0 else 1 - fit.pvalues[0] / 2)
    return ps


def milliseconds(work: Callable[[], object], turns: int) -> tuple[float, float]:
    """Median and longest time of some turns."""
    found = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - start))
    return float(np.median(found)), max(found)


def times(turns: int) -> None:
    """Print how long reading and analysing take."""
    draw = np.random.default_rng(0)
    cube = scores(MEANS, SDS["tastes too"], draw)
    thin = np.where(draw.random(cube.shape) < 0.1, np.nan, cube)
    spoiled = cube.copy()
    spoiled[:, 3] = draw.integers(1, 6, spoiled[:, 3].shape)
    studies = {
        name: make_ratings(columns(c)) for name, c in (("", cube), ("thin", thin), ("spoiled", spoiled))
    }
    full, ours = studies[""], studies[""].methods[0]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ratings.csv"
        rows = zip(*columns(cube).values(), strict=True)
        file.write_text("method,rater,item,score\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
        work: dict[str, Callable[[], object]] = {
            "five comparisons, complete": lambda: analyse(full, ours, screening="median-4mad"),
            "with a tenth missing": lambda: analyse(studies["thin"], ours, screening="median-4mad"),
            "with and without a flagged rater": lambda: analyse(
                studies["spoiled"], ours, screening="median-4mad"
            ),
            "reading 9,024 ratings from CSV": lambda: read_ratings(file),
            "statsmodels, cluster-robust alone": lambda: by_statsmodels(full),
        }
        click.echo("| | median ms | longest |\n|---|---:|---:|")
        for name, one in work.items():
            one()
            click.echo("| {} | {:.1f} | {:.1f} |".format(name, *milliseconds(one, turns)))
    apart = [
        abs(cluster_p(full.differences(ours, other)) - p)
        for other, p in zip(full.methods[1:], by_statsmodels(full), strict=True)
    ]
    click.echo(f"\nlargest difference from statsmodels' p: {max(apart):.1g}")


def levels(studies: int) -> None:
    """Print how often each test says p ≤ .05: methods alike / the first ahead by the paper's gap."""
    click.echo("| | " + " | ".join(SDS) + " |\n|---|" + "---|" * len(SDS))
    tests: dict[str, Callable[[FloatArray, FloatArray], float | None]] = {
        "z of pooled ratings (the paper's)": paper_z_p,
        "two-way cluster-robust": lambda a, b: cluster_p(a - b),
        "crossed random effects": lambda a, b: crossed(a - b).p,
    }
    found = {name: [] for name in tests}
    for sds in SDS.values():
        draw = np.random.default_rng(1)
        hits = {name: [0, 0] for name in tests}
        for _ in range(studies):
            for place, gap in enumerate((0.0, GAP)):
                ours, other = scores((3 + gap, 3.0), sds, draw)
                for name, test in tests.items():
                    p = test(ours, other)
                    hits[name][place] += p is not None and p <= 0.05
        for name, (wrong, right) in hits.items():
            found[name].append(f"{wrong / studies:.3f} / {right / studies:.3f}")
    for name, cells in found.items():
        click.echo(f"| {name} | " + " | ".join(cells) + " |")


@click.command()
@click.option("--turns", default=50, show_default=True, help="How often each is timed.")
@click.option("--studies", default=0, help="Simulate so many studies of each kind instead.")
def main(turns: int, studies: int) -> None:
    """Print a table."""
    levels(studies) if studies else times(turns)


if __name__ == "__main__":
    main()
