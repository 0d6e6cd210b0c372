"""Power: the noncentral t against simulated studies and against the figures measured beforehand."""

import numpy as np
import pytest
from scipy.special import nctdtr, stdtr, stdtrit

from lacbench.errors import StudyError
from lacbench.study.effects import Components, Layout, mean_squares
from lacbench.study.planning import _exceeding, estimated, plan, typical

from simulated import scores, study

MEASURED = {
    8: (0.37, 0.49, 0.54),
    16: (0.49, 0.71, 0.81),
    24: (0.55, 0.81, 0.92),
    32: (0.58, 0.86, 0.96),
}
"""Power at a gap of .231 with 30, 94, 300 line arts: 10,000 simulated studies each, realistic variances."""


def test_it_agrees_with_what_was_measured() -> None:
    plans = plan(list(MEASURED), [30, 94, 300], 0.231)
    assert [(p.raters, p.items) for p in plans] == [(r, i) for r in MEASURED for i in (30, 94, 300)]
    expected = [power for row in MEASURED.values() for power in row]
    np.testing.assert_allclose([p.power for p in plans], expected, atol=0.025)


@pytest.mark.parametrize(("raters", "items"), [(6, 20), (16, 60)])
def test_it_agrees_with_the_test_of_simulated_differences(raters: int, items: int) -> None:
    found, gap, studies = Components(0.1, 0.3, 0.9), 0.4, 4000
    draw = np.random.default_rng(3).normal
    d = (
        gap
        + found.rater**0.5 * draw(size=(studies, raters, 1))
        + found.item**0.5 * draw(size=(studies, 1, items))
        + found.residual**0.5 * draw(size=(studies, raters, items))
    )
    variance, degrees = Layout.complete(raters, items).variance(mean_squares(d))
    p = stdtr(degrees, -d.mean(axis=(1, 2)) / variance**0.5)
    (planned,) = plan([raters], [items], gap, found)
    assert planned.power == pytest.approx((p <= 0.05).mean(), abs=0.03)


def test_the_detectable_gap_has_the_power_that_it_says() -> None:
    (first,) = plan([12], [40], 0.2, alpha=0.01)
    (second,) = plan([12], [40], first.detectable, alpha=0.01)
    assert second.power == pytest.approx(0.8, abs=1e-6)
    assert plan([12], [40], 1e-9)[0].power == pytest.approx(0.05, abs=1e-6)


def test_raters_who_see_a_part() -> None:
    whole, part, more = (plan([16], [94], 0.231, items_per_rater=n)[0] for n in (None, 30, 200))
    assert whole == more
    assert (part.items_per_rater, whole.items_per_rater) == (30, 94)
    few = plan([16], [30], 0.231)[0]
    assert few.power < part.power < whole.power


def test_parts_follow_the_layout_of_such_a_study() -> None:
    """16 raters, each of whom sees 10 of 40 line arts, each of which is seen by 4."""
    present = np.array([[(item - rater) % 4 == 0 for item in range(40)] for rater in range(16)])
    present[8:] = [[(item - 3 * rater - item // 4) % 4 == 0 for item in range(40)] for rater in range(8)]
    assert set(present.sum(axis=1)) == {10}
    real, planned = Layout.of(present), Layout.even(16, 40, 10)
    np.testing.assert_allclose(real.shares, planned.shares, rtol=0.2)
    assert abs(real.degrees - planned.degrees).max() <= 3


def test_typical_variances_are_those_of_differences() -> None:
    assert typical() == Components(2 * 0.23**2, 2 * 0.39**2, 2 * 0.65**2)
    assert typical(sd_item=0.1).item == pytest.approx(0.02)


def test_estimates_come_near_the_truth() -> None:
    found = estimated(study(scores(1, (3.2, 3.0, 2.9, 3.1), 60, 200)), "a")
    assert found.rater == pytest.approx(2 * 0.23**2, rel=0.2)
    assert found.item == pytest.approx(2 * 0.39**2, rel=0.2)
    assert found.residual == pytest.approx(2 * (0.65**2 + 1 / 12), rel=0.1)  # and what rounding adds


def test_what_cannot_be_planned() -> None:
    with pytest.raises(StudyError, match="no variance to plan with"):
        plan([4], [4], 0.2, Components(0, 0, 0))
    with pytest.raises(StudyError, match=r"2 raters who see 1 of 4 line arts: 2 ratings by .* cannot tell"):
        plan([2], [4], 0.2, items_per_rater=1)
    with pytest.raises(StudyError, match="the only method"):
        estimated(study(scores(1)[:1]), "a")


@pytest.mark.parametrize("degrees", [0.34, 1, 4, 25, 1e5])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-4])
def test_the_noncentral_t_is_scipys_where_that_has_it(degrees: float, alpha: float) -> None:
    t = -stdtrit(degrees, alpha)
    for shift in (0, 0.5, 2, 8, 35):
        assert _exceeding(t, degrees, shift) == pytest.approx(1 - nctdtr(degrees, shift, t), abs=1e-5)


@pytest.mark.parametrize(
    ("raters", "items", "alpha"), [(2, 94, 0.01), (8, 30, 1e-4), (2, 2, 1e-10), (1_000_000, 30, 1e-4)]
)
def test_small_levels_and_few_raters_have_a_power(raters: int, items: int, alpha: float) -> None:
    (first,) = plan([raters], [items], 4, alpha=alpha)
    assert 0 <= first.power <= 1
    (second,) = plan([raters], [items], first.detectable, alpha=alpha)
    assert second.power == pytest.approx(0.8, abs=1e-4)


def test_a_pilot_too_thin_is_told_with_its_methods() -> None:
    cube = scores(1)
    cube[0, :, 1:] = np.nan
    with pytest.raises(StudyError, match="'a' against 'b': 16 ratings by 16 raters of 1 line arts"):
        estimated(study(cube), "a")
