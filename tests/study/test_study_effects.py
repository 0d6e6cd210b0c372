"""The crossed test: against its closed form, R's lmerTest, a slow fit, and itself."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from lacbench.errors import StudyError
from lacbench.study.effects import Layout, _unbalanced_squares, crossed, mean_squares
from lacbench.study.ratings import FloatArray

from simulated import scores

HERE = Path(__file__).parent
BALANCED = ("balanced 6 x 10", "balanced 16 x 94", "balanced 24 x 30")
THIN = ("a tenth missing", "a third missing", "each rater 10 of 25", "each rater 30 of 94")

differences = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9), elements=st.integers(-4, 4)
)


def tables() -> dict[str, FloatArray]:
    """The tables that R was given."""
    found: dict[str, list[list[float]]] = {}
    for line in (HERE / "lmertest.txt").read_text().splitlines():
        if line.startswith("# "):
            rows = found.setdefault(line[2:], [])
        else:
            rows.append([float(word) for word in line.replace("NA", "nan").split()])
    return {name: np.array(rows) for name, rows in found.items()}


def told_by_r() -> dict[str, dict[str, float]]:
    with (HERE / "lmertest.csv").open() as file:
        return {row.pop("table"): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)}


def closed_form(d: FloatArray) -> tuple[float, float, float]:
    """t, degrees of freedom and one-sided p, as the definition has them, by loops."""
    raters, items = d.shape
    mean = d.mean()
    square_r = items * sum((d[r].mean() - mean) ** 2 for r in range(raters)) / (raters - 1)
    square_i = raters * sum((d[:, i].mean() - mean) ** 2 for i in range(items)) / (items - 1)
    rest = [(d[r, i] - d[r].mean() - d[:, i].mean() + mean) ** 2 for r in range(raters) for i in range(items)]
    square_e = sum(rest) / ((raters - 1) * (items - 1))
    v = max(square_r - square_e, 0) + max(square_i - square_e, 0) + square_e
    parts = square_r**2 / (raters - 1), square_i**2 / (items - 1), square_e**2 / len(rest[1:])
    df = v**2 / (parts[0] + parts[1] + square_e**2 / ((raters - 1) * (items - 1)))
    t = mean / (v / (raters * items)) ** 0.5
    return t, df, float(stats.t.sf(t, df))


@given(differences)
def test_complete_tables_follow_the_closed_form(d: FloatArray) -> None:
    effect = crossed(d)
    if np.ptp(d) == 0:
        assert effect.t is effect.df is effect.p is effect.interval(0.95) is None
        assert effect.mean == d[0, 0]
        return
    np.testing.assert_allclose((effect.t, effect.df, effect.p), closed_form(d), rtol=1e-9, atol=1e-12)


@given(differences, st.sampled_from([0.5, 0.9, 0.99]))
def test_our_and_their_side_agree(d: FloatArray, confidence: float) -> None:
    one, other = crossed(d), crossed(-d)
    if one.t is None or other.p is None or one.p is None or other.t is None:
        assert one.t is other.p is None
        return
    assert one.t == pytest.approx(-other.t)
    assert one.p == pytest.approx(1 - other.p)
    low, high = one.interval(confidence) or ()
    # An end of the interval is where the test, one-sided at half of what the interval leaves out, turns.
    assert crossed(d - low).p == pytest.approx((1 - confidence) / 2)
    assert crossed(d - high).p == pytest.approx((1 + confidence) / 2)


@given(differences)
def test_the_general_way_gives_the_closed_form_where_nothing_is_missing(d: FloatArray) -> None:
    present = np.ones(d.shape, dtype=bool)
    layout, even = Layout.of(present), Layout.complete(*d.shape)
    for name in ("n", "degrees", "gains", "shares"):
        np.testing.assert_allclose(getattr(layout, name), getattr(even, name))
    np.testing.assert_allclose(_unbalanced_squares(d, present, layout), mean_squares(d), atol=1e-10)


def test_stacks_of_tables_are_taken_at_once() -> None:
    stack = scores(0, (3, 2.8, 3.1), raters=5, items=7)
    together = mean_squares(stack)
    variance, degrees = Layout.complete(5, 7).variance(together)
    for place, d in enumerate(stack):
        np.testing.assert_allclose(together[:, place], mean_squares(d))
        assert variance[place] ** 0.5 == pytest.approx(crossed(d).standard_error)
        assert degrees[place] == pytest.approx(crossed(d).df)


@pytest.mark.parametrize("name", BALANCED)
def test_complete_tables_agree_with_lmertest(name: str) -> None:
    effect, r = crossed(tables()[name]), told_by_r()[name]
    assert effect.mean == pytest.approx(r["estimate"], rel=1e-10)
    assert effect.standard_error == pytest.approx(r["standard_error"], rel=1e-5)
    assert effect.df == pytest.approx(r["df"], rel=3e-5)  # lmer's optimum is good to so much
    assert effect.p == pytest.approx(r["p"], abs=1e-6)
    found = effect.components
    assert (found.rater, found.item, found.residual) == pytest.approx(
        (r["rater"], r["item"], r["residual"]), rel=3e-5
    )


@pytest.mark.parametrize("name", THIN)
def test_tables_with_gaps_are_near_lmertest(name: str) -> None:
    """R's estimate is weighted (REML), ours is the plain mean: near, not equal."""
    effect, r = crossed(tables()[name]), told_by_r()[name]
    assert effect.mean == pytest.approx(r["estimate"], abs=0.25 * r["standard_error"])
    assert effect.standard_error == pytest.approx(r["standard_error"], rel=0.05)
    assert effect.df == pytest.approx(r["df"], rel=0.1)
    assert effect.p == pytest.approx(r["p"], abs=0.01)
    found = effect.components
    for ours, theirs in ((found.rater, r["rater"]), (found.item, r["item"]), (found.residual, r["residual"])):
        assert ours == pytest.approx(theirs, abs=0.035)


@pytest.mark.parametrize("name", ["no rater variance", "no item variance"])
def test_where_one_component_is_0_the_error_is_that_of_r_and_degrees_are_fewer(name: str) -> None:
    """R leaves the component out and takes the other's degrees alone; ours weigh the doubts of all three."""
    effect, r = crossed(tables()[name]), told_by_r()[name]
    assert min(effect.components.rater, effect.components.item) == 0 == min(r["rater"], r["item"])
    assert effect.standard_error == pytest.approx(r["standard_error"], rel=1e-6)
    assert effect.df is not None
    assert 0.98 * r["df"] < effect.df < r["df"]
    assert r["p"] < effect.p < r["p"] + 0.0005


def test_where_both_components_are_0_ours_is_careful() -> None:
    """R pools all mean squares into one error with R·I − 1 degrees; ours keeps the residual's alone."""
    d, r = tables()["neither"], told_by_r()["neither"]
    effect = crossed(d)
    assert (r["rater"], r["item"], round(r["df"])) == (0, 0, d.size - 1)
    assert r["standard_error"] == pytest.approx(d.std(ddof=1) / d.size**0.5, rel=1e-6)
    assert effect.standard_error == pytest.approx((mean_squares(d)[2] / d.size) ** 0.5)
    assert effect.standard_error > r["standard_error"]
    assert effect.df is not None
    assert effect.df < d.size - 1
    assert r["p"] < effect.p < 0.01


def by_turns(d: FloatArray) -> FloatArray:
    """Residuals of the additive model, by projecting on raters and on items until nothing moves."""
    rest = d - np.nanmean(d)
    for _ in range(100_000):
        before = rest
        rest = rest - np.nanmean(rest, axis=1, keepdims=True)
        rest = rest - np.nanmean(rest, axis=0, keepdims=True)
        if np.nanmax(np.abs(rest - before)) < 1e-13:
            break
    return rest


def holes(d: FloatArray, share: float, seed: int) -> FloatArray:
    return np.where(np.random.default_rng(seed).random(d.shape) < share, np.nan, d)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.2, 0.5]), st.sampled_from([(6, 15), (15, 6), (9, 9)]))
def test_gaps_follow_the_moments(seed: int, share: float, shape: tuple[int, int]) -> None:
    ours, other = scores(seed, raters=shape[0], items=shape[1])
    d = holes(ours - other, share, seed)
    d = d[~np.isnan(d).all(axis=1)][:, ~np.isnan(d).all(axis=0)]
    present = ~np.isnan(d)
    try:
        connected = Layout.of(present).degrees[0] == len(d) - 1
    except StudyError:
        connected = False
    assume(connected)
    k, (raters, items) = present.sum(), d.shape
    residual = np.nansum(by_turns(d) ** 2)
    square_e = residual / (k - raters - items + 1)
    items_only = np.nansum((d - np.nanmean(d, axis=0)) ** 2)
    raters_only = np.nansum((d - np.nanmean(d, axis=1, keepdims=True)) ** 2)
    variance_r = max((items_only - residual - (raters - 1) * square_e) / (k - items), 0)
    variance_i = max((raters_only - residual - (items - 1) * square_e) / (k - raters), 0)
    shares = [(present.sum(axis=axis) ** 2).sum() / k**2 for axis in (1, 0)]
    effect = crossed(d)
    assert effect.components.rater == pytest.approx(variance_r, abs=1e-9)
    assert effect.components.item == pytest.approx(variance_i, abs=1e-9)
    assert effect.components.residual == pytest.approx(square_e, abs=1e-9)
    variance = shares[0] * variance_r + shares[1] * variance_i + square_e / k
    assert effect.standard_error == pytest.approx(variance**0.5, rel=1e-9)
    assert (effect.mean, effect.n) == (pytest.approx(np.nanmean(d)), k)


def test_expected_squares_and_components_are_each_others_inverse() -> None:
    for layout in (Layout.complete(5, 8), Layout.even(16, 94, 30), Layout.of(~np.isnan(tables()[THIN[1]]))):
        found = crossed(tables()["balanced 6 x 10"]).components
        back = layout.components(layout.expected(found))
        np.testing.assert_allclose(list(vars(back).values()), list(vars(found).values()))


def test_raters_of_different_line_arts_are_still_compared() -> None:
    """Two groups that share no line art: a degree of freedom goes, the test stays."""
    ours, other = scores(3, (3.4, 3.0), raters=12, items=40)
    d = ours - other
    d[:6, 20:] = d[6:, :20] = np.nan
    assert Layout.of(~np.isnan(d)).degrees.tolist() == [10, 38, 240 - 52 + 2]
    effect = crossed(d)
    assert effect.p is not None
    assert 0 < effect.p < 0.2


@pytest.mark.parametrize(
    "present",
    [np.ones((1, 5)), np.ones((5, 1)), np.eye(4), [[1, 1, 0], [0, 1, 1]], [[1, 1, 0, 0], [0, 0, 1, 1]]],
)
def test_tables_that_cannot_tell_raters_from_line_arts_are_refused(present: object) -> None:
    with pytest.raises(StudyError, match="at least two raters rate the same two line arts"):
        crossed(np.where(np.array(present) > 0, 1.0, np.nan))


def test_variance_between_groups_alone_is_no_test() -> None:
    d = np.full((4, 4), np.nan)
    d[:2, :2], d[2:, 2:] = 1, 3
    effect = crossed(d)
    assert (effect.mean, effect.t, effect.p) == (2, None, None)


def test_gaps_in_groups_that_share_nothing_follow_the_moments_too() -> None:
    ours, other = scores(3, (3.4, 3.0), raters=12, items=40)
    d = holes(ours - other, 0.3, 3)
    d[:6, 20:] = d[6:, :20] = np.nan
    present = ~np.isnan(d)
    layout = Layout.of(present)
    assert layout.degrees[0] == 10
    residual = _unbalanced_squares(d, present, layout)[2]
    assert residual == pytest.approx(np.nansum(by_turns(d) ** 2) / layout.degrees[2], rel=1e-9)
