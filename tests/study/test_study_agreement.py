"""Agreement of raters with themselves and with each other: published figures, plain definitions."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lacbench.study.agreement import krippendorff_alpha, repeat_agreement
from lacbench.study.ratings import FloatArray

PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Four observers of twelve units: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011."""


def test_alpha_of_the_published_example() -> None:
    rows = [line.replace(".", "nan").split() for line in PUBLISHED.strip().splitlines()]
    assert krippendorff_alpha(np.array([rows], dtype=float)) == pytest.approx(0.815, abs=0.0005)


def plain_alpha(flat: FloatArray) -> float | None:
    """α by its definition, pair by pair; `flat` is (raters, units)."""
    units = [column[~np.isnan(column)] for column in flat.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [score for unit in units for score in unit]
    counts = {score: values.count(score) for score in (1.0, 2.0, 3.0, 4.0, 5.0)}

    def distance(one: float, other: float) -> float:
        low, high = sorted((one, other))
        between = sum(n for score, n in counts.items() if low <= score <= high)
        return 0.0 if one == other else (between - (counts[one] + counts[other]) / 2) ** 2

    observed = sum(
        distance(one, other) / (len(unit) - 1) for unit in units for one, other in permutations(unit, 2)
    )
    expected = sum(distance(one, other) for one, other in permutations(values, 2))
    return None if expected == 0 else 1 - (len(values) - 1) * observed / expected


@given(arrays(np.float64, (4, 6), elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])))
def test_alpha_follows_its_definition(flat: FloatArray) -> None:
    expected, found = plain_alpha(flat), krippendorff_alpha(flat.reshape(4, 2, 3).transpose(1, 0, 2))
    assert found == (None if expected is None else pytest.approx(expected))


def test_alpha_of_perfect_and_of_chance_agreement() -> None:
    row = np.random.default_rng(0).integers(1, 6, (2, 1, 50)).astype(float)
    assert krippendorff_alpha(np.repeat(row, 4, axis=1)) == 1
    chance = krippendorff_alpha(np.random.default_rng(1).integers(1, 6, (6, 16, 94)).astype(float))
    assert chance == pytest.approx(0, abs=0.01)
    assert krippendorff_alpha(np.full((2, 3, 4), 3.0)) is None
    assert krippendorff_alpha(row) is None


def plain_kappa(first: FloatArray, second: FloatArray) -> float:
    """Cohen's weighted kappa from the table of counts, quadratic weights."""
    table = np.zeros((5, 5))
    for one, other in zip(first, second, strict=True):
        table[int(one) - 1, int(other) - 1] += 1
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    weights = np.subtract.outer(range(5), range(5)) ** 2
    return float(1 - (weights * table).sum() / (weights * chance).sum())


def test_repeats() -> None:
    draw = np.random.default_rng(0)
    first = draw.integers(1, 6, 60).astype(float)
    second = np.clip(first + draw.integers(-1, 2, 60), 1, 5)
    found = repeat_agreement(first, second)
    assert found is not None
    assert found.n == 60
    assert found.exact == (first == second).mean()
    assert found.mean_difference == np.abs(first - second).mean()
    assert found.kappa == pytest.approx(plain_kappa(first, second))


def test_repeats_that_say_little() -> None:
    nothing, threes = np.array([]), np.full(4, 3.0)
    assert repeat_agreement(nothing, nothing) is None
    found = repeat_agreement(threes, threes)
    assert found is not None
    assert (found.exact, found.mean_difference, found.kappa) == (1, 0, None)
