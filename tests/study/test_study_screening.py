"""Screening rules against plain versions of them, and against raters who do not look."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from lacbench.errors import StudyError
from lacbench.study.ratings import FloatArray, make_ratings
from lacbench.study.screening import RULES, check_raters, flagged, leave_one_out

from simulated import scores, study, table

MEANS = (3.2, 3.0, 2.6, 2.4, 2.2, 2.0)


def gaps(cube: FloatArray, seed: int) -> FloatArray:
    return np.where(np.random.default_rng(seed).random(cube.shape) < 0.3, np.nan, cube)


def by_rater(cube: FloatArray) -> FloatArray:
    return cube.transpose(1, 0, 2).reshape(cube.shape[1], -1)


@pytest.mark.parametrize("spoil", [lambda cube, seed: cube, gaps], ids=["complete", "with gaps"])
def test_leave_one_out_is_pearsons(spoil: Callable[[FloatArray, int], FloatArray]) -> None:
    flat = by_rater(spoil(scores(2, MEANS[:3], raters=6, items=10), 2))
    flat[4] = np.where(np.isnan(flat[4]), np.nan, 3)
    flat[:, 0] = [5, *[np.nan] * 5]  # what nobody else rated does not count
    found = leave_one_out(flat)
    for rater, own in enumerate(flat):
        others = np.delete(flat, rater, axis=0)
        both = ~np.isnan(own) & ~np.isnan(others).all(axis=0)
        if rater == 4:
            assert found[rater] == 0
        else:
            expected = stats.pearsonr(own[both], np.nanmean(others[:, both], axis=0)).statistic
            assert found[rater] == pytest.approx(expected)


def bt500(flat: FloatArray) -> list[bool]:
    """ITU-R BT.500-14, annex 1, 2.3.1, as it is written there."""
    raters, outputs = flat.shape
    p, q = [0] * raters, [0] * raters
    for output in range(outputs):
        given = [score for score in flat[:, output] if not np.isnan(score)]
        n, mean = len(given), sum(given) / len(given)
        moments = {power: sum((score - mean) ** power for score in given) / n for power in (2, 4)}
        if moments[2] == 0:
            continue
        spread = (sum((score - mean) ** 2 for score in given) / (n - 1)) ** 0.5
        factor = 2 if 2 <= moments[4] / moments[2] ** 2 <= 4 else 20**0.5
        for rater in range(raters):
            p[rater] += flat[rater, output] >= mean + factor * spread
            q[rater] += flat[rater, output] <= mean - factor * spread
    rated = (~np.isnan(flat)).sum(axis=1)
    return [
        bool((a + b) / n > 0.05 and abs((a - b) / (a + b)) < 0.3) for a, b, n in zip(p, q, rated, strict=True)
    ]


def test_bt500_is_that_of_the_recommendation() -> None:
    some = 0
    for seed in range(12):
        cube = scores(seed, MEANS, raters=15, items=20)
        cube[:, :5] = np.random.default_rng(seed).integers(1, 6, (6, 5, 20))
        cube = gaps(cube, seed) if seed % 2 else cube
        checks = check_raters(study(cube))
        expected = bt500(by_rater(cube))
        assert [("bt500" in check.flags) for check in checks] == expected
        some += sum(expected)
    assert 5 < some < 100


def spoiled(kind: str, cube: FloatArray, rater: int, draw: np.random.Generator) -> None:
    noise = draw.integers(1, 6, cube[:, rater].shape)
    cube[:, rater] = {
        "random": noise,
        "constant": np.full_like(noise, 3),
        "inverted": 6 - cube[:, rater],
        "half random": np.where(draw.random(noise.shape) < 0.5, noise, cube[:, rater]),
    }[kind]


@pytest.mark.parametrize("kind", ["random", "constant", "inverted", "half random"])
def test_who_does_not_look_is_caught_and_hardly_anybody_else(kind: str) -> None:
    caught = lost = 0
    for seed in range(40):
        cube = scores(seed, MEANS)
        for rater in (0, 9):
            spoiled(kind, cube, rater, np.random.default_rng(1000 + seed))
        names = flagged(check_raters(study(cube)), "median-4mad")
        caught += len({"rater-00", "rater-09"} & set(names))
        lost += len(set(names) - {"rater-00", "rater-09"})
    assert caught >= (0.9 * 80 if kind == "half random" else 80)
    assert lost <= 0.005 * 40 * 14


def test_rules_are_those_of_their_names() -> None:
    cube = scores(1, MEANS)
    cube[:, 2] = 3
    checks = check_raters(study(cube))
    found = np.array([check.correlation for check in checks])
    limit = np.median(found) - 4 * stats.median_abs_deviation(found, scale="normal")
    for check in checks:
        assert ("median-4mad" in check.flags) == (check.correlation < limit)
        assert ("leave-one-out-0.30" in check.flags) == (check.correlation < 0.3)
    assert flagged(checks, "leave-one-out-0.30") == ("rater-02",)
    assert flagged(checks, "none") == ()
    with pytest.raises(StudyError, match=r"choose one of: none, median-4mad, bt500, leave-one-out-0\.30"):
        flagged(checks, "P.913")
    assert RULES[0] == "none"


def test_raters_all_alike_are_not_flagged() -> None:
    cube = np.repeat(scores(1, MEANS, raters=1), 5, axis=1)
    assert [check.flags for check in check_raters(study(cube))] == [()] * 5


def test_what_is_told_of_a_rater() -> None:
    cube = scores(1, MEANS[:2], raters=3, items=4)
    columns = table(cube)
    mine = [k for k, name in enumerate(columns["rater"]) if name == "rater-01"]
    columns["milliseconds"] = [100 * k if k in mine else None for k in range(24)]
    columns["role"] = ["main"] * 24
    for place in mine[:2]:
        for name, values in columns.items():
            values.append({"role": "repeat", "milliseconds": 9e9}.get(name, values[place]))
    first, second, _ = check_raters(make_ratings(columns))
    assert (first.n, first.milliseconds, first.repeat) == (8, None, None)
    assert second.mean == cube[:, 1].mean()
    assert second.milliseconds == np.median([100 * k for k in mine])
    assert second.repeat is not None
    assert (second.repeat.n, second.repeat.exact) == (2, 1)
