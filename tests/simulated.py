"""Simulated rating studies, with the variances that the documentation calls realistic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lacbench.study.ratings import FloatArray, Ratings, make_ratings

METHODS = "abcdefghij"


def scores(
    seed: int,
    means: Sequence[float] = (3.0, 3.0),
    raters: int = 16,
    items: int = 94,
    sds: tuple[float, float, float] = (0.23, 0.39, 0.65),
) -> FloatArray:
    """Whole scores 1–5, (methods, raters, items): raters and items differ, and differ by method."""
    draw = np.random.default_rng(seed).normal
    common = 0.4 * draw(size=(raters, 1)) + 0.4 * draw(size=items)
    rater, item, residual = sds
    cube = [
        mean + common + rater * draw(size=(raters, 1)) + item * draw(size=items)
        + residual * draw(size=(raters, items))
        for mean in means
    ]  # fmt: skip
    return np.clip(np.rint(cube), 1, 5)


def table(cube: FloatArray, names: Sequence[str] = METHODS) -> dict[str, list[object]]:
    """Columns of one entry a rating of a (methods, raters, items) array, NaN where there is none."""
    cells = np.argwhere(~np.isnan(cube))
    return {
        "rater": [f"rater-{r:02}" for r in cells[:, 1]],
        "item": [f"item-{i:03}" for i in cells[:, 2]],
        "method": [names[m] for m in cells[:, 0]],
        "score": [int(score) for score in cube[tuple(cells.T)]],
    }


def study(cube: FloatArray, names: Sequence[str] = METHODS) -> Ratings:
    return make_ratings(table(cube, names))


def write_csv(path: Path, columns: dict[str, list[object]]) -> Path:
    rows = [columns.keys(), *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path
