"""What a table of ratings says, as a whole: figures, invariances, what cannot be analysed, the level held."""

import json
import random
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import stdtr
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from lacbench.errors import StudyError
from lacbench.study.analysis import Analysis, analyse
from lacbench.study.effects import Layout, crossed, mean_squares
from lacbench.study.measures import cluster_p, holm, paper_z_p, standardized, superiority
from lacbench.study.ratings import FloatArray, make_ratings
from lacbench.study.verdict import verdict

from simulated import scores, study, table

MEANS = (3.3, 3.0, 2.7, 2.9)


def with_gaps(cube: FloatArray, share: float, seed: int = 0) -> FloatArray:
    return np.where(np.random.default_rng(seed).random(cube.shape) < share, np.nan, cube)


@pytest.fixture(scope="module", params=[0, 0.1], ids=["complete", "with gaps"])
def cube(request: pytest.FixtureRequest) -> FloatArray:
    return with_gaps(scores(5, MEANS, raters=8, items=20), request.param)


def test_methods(cube: FloatArray) -> None:
    analysis = analyse(study(cube))
    means = {score.method: score.mean for score in analysis.methods}
    assert sorted(means, key=lambda method: -means[method]) == list(means)
    assert set(means) == set("abcd")
    assert (analysis.ours, analysis.comparisons, analysis.beats_all_p) == (None, (), None)
    assert (analysis.n_raters, analysis.n_items, analysis.n_ratings) == (8, 20, np.isfinite(cube).sum())
    for score in analysis.methods:
        values = cube["abcd".index(score.method)]
        there = values[~np.isnan(values)]
        assert (score.n, score.missing) == (len(there), 160 - len(there))
        assert score.counts == tuple((there == k).sum() for k in (1, 2, 3, 4, 5))
        assert (score.mean, score.sd) == pytest.approx((there.mean(), there.std(ddof=1)))
        assert score.interval == crossed(values).interval(0.95)


def test_comparisons(cube: FloatArray) -> None:
    analysis = analyse(study(cube), "b", confidence=0.9)
    assert [c.other for c in analysis.comparisons] == [m.method for m in analysis.methods if m.method != "b"]
    for c in analysis.comparisons:
        other = cube["abcd".index(c.other)]
        d = cube[1] - other
        effect = crossed(d)
        assert (c.difference, c.t, c.df, c.p) == (effect.mean, effect.t, effect.df, effect.p)
        assert (c.interval, c.components) == (effect.interval(0.9), effect.components)
        assert c.n == (~np.isnan(d)).sum()
        assert c.p_cluster == cluster_p(d)
        assert c.p_paper_z == paper_z_p(cube[1], other)
        assert c.superiority == superiority(d)
        assert c.standardized == standardized(cube[1], other, c.difference)
    assert analysis.beats_all_p == max(c.p or 0 for c in analysis.comparisons)
    assert [c.p_holm for c in analysis.comparisons] == holm([c.p for c in analysis.comparisons])


def test_the_second_opinion_is_that_of_statsmodels(cube: FloatArray) -> None:
    for other in cube[1:]:
        d = cube[0] - other
        rater, item = np.nonzero(~np.isnan(d))
        values = d[rater, item]
        fit = OLS(values, np.ones(len(values))).fit(
            cov_type="cluster", cov_kwds={"groups": np.stack([rater, item], axis=1)}, use_t=True
        )
        two_sided = fit.pvalues[0]
        expected = two_sided / 2 if fit.params[0] > 0 else 1 - two_sided / 2
        assert cluster_p(d) == pytest.approx(expected, rel=1e-9)


def test_the_papers_z_is_that_of_statsmodels(cube: FloatArray) -> None:
    for other in cube[1:]:
        sides = (DescrStatsW(side[~np.isnan(side)]) for side in (cube[0], other))
        expected = CompareMeans(*sides).ztest_ind("larger", usevar="unequal")[1]
        assert paper_z_p(cube[0], other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ps", [[0.3], [0.01, 0.01, 0.02], [0.2, 0.001, 1, 0.03, 0, 0.04], [0.9, 0.8]])
def test_holm_is_that_of_statsmodels(ps: list[float]) -> None:
    np.testing.assert_allclose(holm(list(ps)), multipletests(ps, method="holm")[1])


def test_holm_counts_what_could_not_be_tested() -> None:
    assert holm([0.02, None, 0.01]) == [0.04, None, 0.03]


def test_superiority_and_standardized_difference_by_hand() -> None:
    ours, other = np.array([[5.0, 4, np.nan], [3, 2, 1]]), np.array([[4.0, 4, 1], [1, 3, np.nan]])
    assert superiority(ours - other) == (2 + 0.5) / 4
    variances = np.var([5, 4, 3, 2, 1], ddof=1), np.var([4, 4, 1, 1, 3], ddof=1)
    assert standardized(ours, other, 0.5) == pytest.approx(0.5 / np.mean(variances) ** 0.5)


def told(analysis: Analysis) -> dict[str, object]:
    """Everything of an analysis but the names and the digest of the names."""
    found = analysis.as_json()
    for name in ("digest", "screening", "excluded"):
        found.pop(name)
    if found["with_screening"]:
        found["with_screening"] = None
    return found


SMALL = table(with_gaps(scores(8, MEANS, raters=6, items=9), 0.05))


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(shuffle: random.Random) -> None:
    rows = list(zip(*SMALL.values(), strict=True))
    shuffle.shuffle(rows)
    shuffled = dict(zip(SMALL, map(list, zip(*rows, strict=True)), strict=True))
    ways = [analyse(make_ratings(columns), "a", screening="median-4mad") for columns in (SMALL, shuffled)]
    assert ways[0] == ways[1]


def close(one: object, other: object) -> bool:
    """Equal but for the rounding of sums in another order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-9
    return one == other


@settings(max_examples=25)
@given(st.permutations(range(6)), st.permutations(range(9)), st.permutations("abcd"))
def test_names_do_not_matter(raters: list[int], items: list[int], methods: list[str]) -> None:
    renamed = dict(zip("abcd", methods, strict=True))
    columns = {
        **SMALL,
        "rater": [f"{raters[int(str(name)[-2:])]}" for name in SMALL["rater"]],
        "item": [f"{items[int(str(name)[-3:])]}" for name in SMALL["item"]],
        "method": [renamed[str(name)] for name in SMALL["method"]],
    }
    ours = analyse(make_ratings(SMALL), "a", screening="median-4mad")
    theirs = told(analyse(make_ratings(columns), renamed["a"], screening="median-4mad"))
    back = {new: old for old, new in renamed.items()}
    theirs["ours"] = back[str(theirs["ours"])]
    for rows, name in ((theirs["methods"], "method"), (theirs["comparisons"], "other")):
        for row in rows:  # type: ignore[attr-defined]
            row[name] = back[row[name]]
    assert len({score.mean for score in ours.methods}) == 4, "equal means would be told in another order"
    theirs["notes"] = ours.notes
    assert close(told(ours), theirs)


def test_equal_ratings_have_no_p() -> None:
    cube = scores(1, MEANS, raters=6, items=8)
    cube[2:] = 3
    cube[1] = cube[0]
    analysis = analyse(study(cube), "a")
    found = {c.other: c for c in analysis.comparisons}
    same = found["b"]
    assert (same.difference, same.p, same.p_holm, same.t, same.interval) == (0, None, None, None, None)
    assert (same.p_cluster, same.superiority) == (None, 0.5)
    assert found["c"].p is not None
    assert found["c"].p_holm == pytest.approx(min(1, 3 * found["c"].p))
    assert analysis.beats_all_p is None
    assert "All differences from b are 0: without variance there is no test, and no p." in analysis.notes
    assert "All ratings of c are 3: without variance there is no interval." in analysis.notes
    plain = json.loads(json.dumps(analysis.as_json(), allow_nan=False))
    assert [c["p"] for c in plain["comparisons"] if c["other"] == "b"] == [None]


def test_nothing_but_equal_ratings() -> None:
    analysis = analyse(study(np.full((3, 4, 5), 4.0)), "a", screening="median-4mad")
    assert {(c.p, c.p_paper_z, c.p_cluster, c.standardized) for c in analysis.comparisons} == {(None,) * 4}
    assert (analysis.alpha_krippendorff, analysis.excluded) == (None, ())
    json.dumps(analysis.as_json(), allow_nan=False)
    constant = np.stack([np.full((4, 5), 4.0), np.full((4, 5), 3.0)])
    better = analyse(study(constant), "a").comparisons[0]
    assert (better.difference, better.superiority, better.p, better.interval) == (1, 1, None, None)


def one_item(cube: FloatArray) -> FloatArray:
    cube[1, :, 1:] = np.nan
    return cube


def one_rater_each(cube: FloatArray) -> FloatArray:
    cube[0, 1:] = cube[1, :1] = np.nan
    return cube


def nothing_shared(cube: FloatArray) -> FloatArray:
    cube[0, :, 2:] = cube[1, :, :2] = np.nan
    return cube


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (one_item, "method 'b' was rated on one item, 'item-000'; expected two or more"),
        (lambda cube: cube[:, :1], "all ratings are of one rater, rater-00"),
        (lambda cube: cube[:1], "a is the only method that was rated"),
        (one_rater_each, "method 'a': 4 ratings by 1 raters of 4 line arts cannot tell"),
        (nothing_shared, "'a' against 'b': 0 ratings by 0 raters of 0 line arts cannot tell"),
    ],
)
def test_what_cannot_be_analysed(spoil: Callable[[FloatArray], FloatArray], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        analyse(study(spoil(scores(1, raters=5, items=4))), "a")


def test_unknown_names_are_refused() -> None:
    ratings = study(scores(1, raters=5, items=4))
    with pytest.raises(StudyError, match="no method is called 'ours'"):
        analyse(ratings, "ours")
    with pytest.raises(
        StudyError, match="no screening rule is called 'mad'; choose one of: none, median-4mad"
    ):
        analyse(ratings, "a", screening="mad")


def test_with_and_without_screening() -> None:
    cube = scores(3, MEANS, raters=12, items=40)
    cube[:, 4] = 6 - cube[:, 4]
    analysis = analyse(study(cube), "a", screening="median-4mad")
    assert analysis.excluded == ("rater-04",)
    without = analysis.with_screening
    assert without is not None
    expected = analyse(study(np.delete(cube, 4, axis=1)), "a")
    assert without.comparisons == expected.comparisons
    assert without.methods == expected.methods
    assert (analysis.n_raters, without.n_raters, without.with_screening) == (12, 11, None)
    assert analyse(study(cube), "a").with_screening is None


def test_screening_that_leaves_too_few_says_so() -> None:
    cube = np.random.default_rng(0).integers(1, 6, (2, 4, 30)).astype(float)
    analysis = analyse(study(cube), "a", screening="leave-one-out-0.30")
    assert (len(analysis.excluded), analysis.with_screening) == (4, None)
    assert "leaves fewer than two raters" in analysis.notes[-1]


def test_notes_tell_what_is_not_there() -> None:
    cube = scores(3, MEANS, raters=4, items=6)
    cube[0, 0, 0] = np.nan
    columns = table(cube)
    for name, values in columns.items():
        columns[name] = [*values, {"score": 5}.get(name, "gold")]
    columns["role"] = ["main"] * 95 + ["gold"]
    notes = analyse(make_ratings(columns)).notes
    assert "1 of 96 ratings that every rater could have given are not there." in notes
    assert "1 ratings of gold and training items are left out." in notes


def test_a_screened_study_forgets_items_that_nobody_else_saw() -> None:
    cube = scores(4, MEANS, raters=10, items=12)
    cube[:, 2] = 3
    cube[:, np.arange(10) != 2, 0] = np.nan
    analysis = analyse(study(cube), "a", screening="median-4mad")
    assert analysis.excluded == ("rater-02",)
    assert analysis.with_screening is not None
    assert (analysis.n_items, analysis.with_screening.n_items) == (12, 11)


def rejections(seeds: range, spoil: Callable[[FloatArray, int], FloatArray]) -> float:
    """The share of simulated studies, two methods alike, in which one is found better at 5%."""
    found = 0
    for seed in seeds:
        p = analyse(study(spoil(scores(seed), seed)), "a").comparisons[0].p
        found += p is not None and p <= 0.05
    return found / len(seeds)


@pytest.mark.long
@pytest.mark.parametrize("share", [0, 0.2])
def test_the_level_is_held(share: float) -> None:
    """2,000 studies like the paper's, under the null."""
    assert 0.04 <= rejections(range(2000), lambda cube, seed: with_gaps(cube, share, seed)) <= 0.06


def test_the_level_is_held_and_the_papers_z_does_not_hold_it() -> None:
    cubes = np.stack([scores(seed) for seed in range(700)])
    d = cubes[:, 0] - cubes[:, 1]
    variance, degrees = Layout.complete(16, 94).variance(mean_squares(d))
    ps = stdtr(degrees, -d.mean(axis=(1, 2)) / variance**0.5)
    assert ps[3] == pytest.approx(analyse(study(cubes[3]), "a").comparisons[0].p)
    assert 0.035 <= (ps <= 0.05).mean() <= 0.065
    naive = np.array([paper_z_p(a, b) for a, b in cubes])
    assert (naive <= 0.05).mean() > 0.2


def test_intervals_of_mean_opinion_scores_cover_the_truth() -> None:
    truth = np.mean([scores(seed, (3.0,), 200, 200).mean() for seed in range(100, 110)])
    covered = naive = 0
    for seed in range(400):
        values = scores(seed, (3.0,))[0]
        low, high = crossed(values).interval(0.95) or (np.nan, np.nan)
        covered += low <= truth <= high
        reach = NormalDist().inv_cdf(0.975) * values.std(ddof=1) / values.size**0.5
        naive += abs(values.mean() - truth) <= reach
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.5


CELLS = st.sampled_from([1, 2, 3, 4, 5, np.nan])


@settings(max_examples=150)
@given(arrays(np.float64, st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 5)), elements=CELLS))
def test_any_table_is_analysed_or_refused_in_a_sentence(cube: FloatArray) -> None:
    try:
        analysis = analyse(study(cube), "a", screening="leave-one-out-0.30")
    except StudyError:
        return
    json.dumps(analysis.as_json(), allow_nan=False)
    for comparison in analysis.comparisons:
        assert comparison.p is None or 0 <= comparison.p <= 1
        assert comparison.df is None or comparison.df > 0
    assert verdict(analysis)


def test_few_raters_are_told() -> None:
    cube = scores(1, MEANS, raters=4, items=20)
    few = "raters or line arts, fewer than the 4 that the crossed test needs"
    assert not any(few in note for note in analyse(study(cube), "a").notes)
    notes = analyse(study(cube[:, :3]), "a").notes
    assert f"A mean is that of 3 {few}, and its interval is too narrow." in notes
    assert (
        f"A difference is that of 3 {few}: like methods are called different more often than the level "
        "says." in notes
    )
    cube[1, 2:] = np.nan
    notes = analyse(study(cube), "a").notes
    assert any(note.startswith(f"A difference is that of 2 {few}") for note in notes)


def test_differences_that_are_not_those_of_the_means_are_told() -> None:
    cube = scores(1, MEANS, raters=6, items=20)
    assert analyse(study(cube), "a").notes == ()
    cube[1, 3:] = np.nan
    notes = analyse(study(cube), "a").notes
    assert any(note.startswith("Differences are those of pairs") for note in notes)


def test_differences_between_groups_alone_are_not_called_equal() -> None:
    cube = np.full((2, 4, 4), np.nan)
    cube[1, :2, :2] = cube[1, 2:, 2:] = 1
    cube[0, :2, :2], cube[0, 2:, 2:] = 2, 4
    notes = analyse(study(cube), "a").notes
    assert "All ratings of b are 1: without variance there is no interval." in notes
    told = "differ only between groups of raters and line arts that share no rating: without variance there"
    assert f"The differences from b {told} is no test, and no p." in notes
