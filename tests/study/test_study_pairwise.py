"""Choices among two or three methods: read and checked, their strengths, what is claimed of them."""

import csv
from itertools import permutations
from pathlib import Path
from typing import Any

import choix
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp

from lacbench.errors import StudyError
from lacbench.study.bradley_terry import fit, strengths
from lacbench.study.choices import Choices, make_choices, read_choices
from lacbench.study.pairwise import compare

from opinions import METHODS, chosen


def duel(won: int, lost: int) -> dict[str, list[Any]]:
    """Columns of choices between a and b, each of another item, by raters in turn."""
    n = won + lost
    columns = {"first": ["a"] * n, "second": ["b"] * n, "best": ["a"] * won + ["b"] * lost}
    return {"rater": [f"r{k % 7}" for k in range(n)], "item": [f"i{k}" for k in range(n)], **columns}


@pytest.mark.parametrize(("won", "lost"), [(34, 16), (5, 45), (20, 20)])
def test_two_methods_have_the_odds_that_were_counted(won: int, lost: int) -> None:
    choices = make_choices(duel(won, lost))
    found = compare(choices, "a", draws=50).comparisons[0]
    assert (found.won, found.lost) == (won, lost)
    assert found.difference == pytest.approx(logit(won / (won + lost)), abs=1e-7)
    assert found.preferred == pytest.approx(won / (won + lost), abs=1e-8)


def test_regularised_odds_are_drawn_together() -> None:
    # At the maximum, with worths a + b = 2: a = (9 + α) / (10 / 2 + α), b likewise.
    assert np.exp(np.ptp(fit(make_choices(duel(9, 1)), 0.5))) == pytest.approx(9.5 / 1.5, abs=1e-6)


@pytest.mark.parametrize("shown", [2, 3])
def test_strengths_are_of_greatest_likelihood(shown: int) -> None:
    choices = make_choices(chosen(3, shown=shown, raters=4, items=6))

    def misfit(params: np.ndarray) -> float:
        log_worth = np.where(choices.shown, params, -np.inf)
        return float((logsumexp(log_worth, axis=1) - params[choices.best]).sum())

    best = minimize(misfit, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    assert fit(choices) == pytest.approx(best - best.mean(), abs=1e-4)


@pytest.mark.parametrize("shown", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_many_samples_at_once_are_those_of_choix(shown: int, alpha: float) -> None:
    choices = make_choices(chosen(5, shown=shown))
    sets, place = np.unique(choices.shown, axis=0, return_inverse=True)
    counts = np.zeros((2, *sets.shape))
    np.add.at(counts[0], (place.ravel(), choices.best), 1)
    counts[1] = counts[0][:, ::-1] * sets + 1 * sets
    found = strengths(counts, sets, np.zeros(4), alpha)
    assert found[0] == pytest.approx(fit(choices, alpha), abs=1e-5)
    rows = [
        (int(m), tuple(np.flatnonzero(sets[s] & (np.arange(4) != m)).tolist()))
        for s, m in zip(*np.nonzero(counts[1]), strict=True)
        for _ in range(int(counts[1, s, m]))
    ]
    second = choix.mm_top1(4, rows, alpha=alpha)
    assert found[1] == pytest.approx(second - second.mean(), abs=1e-5)


@pytest.mark.parametrize("shown", [2, 3])
def test_the_truth_is_found_again(shown: int) -> None:
    truth = np.array([1.0, 0.4, -0.2, -1.2])
    choices = make_choices(chosen(1, tuple(truth), raters=20, items=40, shown=shown))
    found = compare(choices, "ours", draws=400)
    assert [m.method for m in found.methods] == list(METHODS[:4])
    for strength, true in zip(found.methods, truth, strict=True):
        assert strength.strength == pytest.approx(true, abs=0.15)
        assert strength.interval and strength.interval[0] < strength.strength < strength.interval[1]
    for contrast, true in zip(found.comparisons, truth[0] - truth[1:], strict=True):
        assert contrast.interval and contrast.interval[0] < true < contrast.interval[1]
        assert contrast.preferred_interval == tuple(expit(contrast.interval))
        assert contrast.p == 1 / 401 and contrast.p_holm == pytest.approx(3 / 401)
    assert found.beats_all_p == 1 / 401


def test_intervals_are_wider_where_raters_differ() -> None:
    widths = []
    for spread in (0.0, 0.8):
        columns = chosen(2, (0.5, 0.0), raters=10, items=40, spread=spread)
        low, high = compare(make_choices(columns), "ours").comparisons[0].interval or (0, 0)
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]


def test_the_bootstrap_samples_raters_and_items() -> None:
    # Raters are of one mind each, so that only how often each is drawn matters: a binomial of their number.
    raters, items = 12, 5
    rows = [(f"r{r:02}", f"i{i}", "a", "b", "ab"[r < 4]) for r in range(raters) for i in range(items)]
    names = ("rater", "item", "first", "second", "best")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    found = compare(make_choices(columns), "a", draws=4000).comparisons[0]
    drawn = np.random.default_rng(0).binomial(raters, 8 / 12, 100_000) / raters
    expected = np.quantile(drawn, [0.025, 0.975])
    assert found.preferred_interval == pytest.approx(tuple(expected), abs=0.02)
    assert found.p == pytest.approx((drawn <= 0.5).mean(), abs=0.02)


@pytest.mark.long
def test_the_level_holds_where_raters_and_images_differ() -> None:
    ps = []
    for seed in range(400):
        columns = chosen(seed, (0.0, 0.0, 0.0), raters=12, items=20, spread=0.5, share=0.7)
        ps.append([c.p for c in compare(make_choices(columns), "ours", draws=400, seed=seed).comparisons])
    false = (np.array(ps, float) <= 0.05).mean()
    assert 0.005 < false < 0.065, false


def test_the_same_seed_gives_the_same_figures_in_any_order_of_rows() -> None:
    columns = chosen(4, share=0.5)
    order = np.random.default_rng(0).permutation(len(columns["best"]))
    shuffled = {name: [values[k] for k in order] for name, values in columns.items()}
    one, two = (compare(make_choices(c), "ours", draws=100, seed=3) for c in (columns, shuffled))
    assert one == two
    assert compare(make_choices(columns), "ours", draws=100, seed=4).comparisons != one.comparisons


@settings(max_examples=20)
@given(st.permutations(range(4)), st.integers(0, 50))
def test_other_names_for_the_same_methods_change_nothing(order: list[int], seed: int) -> None:
    columns = chosen(seed, share=0.6)
    renamed = dict(zip(METHODS[:4], (METHODS[k] for k in order), strict=True))
    named = {k: [renamed.get(v, v) for v in values] for k, values in columns.items()}
    before, after = make_choices(columns), make_choices(named)
    mine = dict(zip(before.methods, fit(before), strict=True))
    theirs = dict(zip(after.methods, fit(after), strict=True))
    assert all(theirs[renamed[name]] == pytest.approx(mine[name], abs=1e-6) for name in mine)


def test_without_ours_nothing_is_claimed() -> None:
    found = compare(make_choices(chosen()), draws=20)
    assert found.comparisons == () and found.beats_all_p is None and len(found.methods) == 4


def test_methods_that_never_met_are_refused() -> None:
    columns = {"rater": ["r", "s"] * 4, "item": list("iijjkkll"), "first": list("aaaacccc"),
               "second": list("bbbbdddd"), "best": list("ababcdcd")}  # fmt: skip
    with pytest.raises(StudyError, match="no choice compares a, b with c, d; show methods of both"):
        compare(make_choices(columns))


@pytest.mark.parametrize(("won", "lost"), [(10, 0), (0, 10)])
def test_a_strength_without_bounds_is_refused_unless_regularised(won: int, lost: int) -> None:
    choices = make_choices(duel(won, lost))
    with pytest.raises(StudyError, match=r"^[ab]: (always|never) chosen beside [ab], so that its"):
        compare(choices, "a")
    found = compare(choices, "a", alpha=0.5, draws=50)
    assert np.isfinite(found.comparisons[0].difference)
    assert "as if chosen 0.5 times more" in found.notes[0]


def test_too_few_choices_have_no_intervals() -> None:
    found = compare(make_choices(duel(13, 1)), "a", draws=200)
    contrast = found.comparisons[0]
    assert contrast.interval is contrast.p is contrast.p_holm is found.beats_all_p is None
    assert "too few choices for intervals or a test" in found.notes[0]


def test_samples_without_bounds_count_against_ours() -> None:
    found = compare(make_choices(duel(60, 8)), "a", draws=1000)
    assert "they count against ours" in found.notes[0]
    without = int(found.notes[0].split()[1].replace(",", ""))
    assert 0 < without <= 50
    assert found.comparisons[0].p == pytest.approx((1 + without) / 1001)


@pytest.mark.parametrize("axis", ["rater", "item"])
def test_one_rater_or_one_item_is_refused(axis: str) -> None:
    columns = chosen(raters=3, items=3)
    columns[axis] = [f"only-{k}" for k in range(1)] * len(columns["best"])
    if axis == "rater":
        columns["item"] = [f"i{k}" for k in range(len(columns["best"]))]
    else:
        columns["rater"] = [f"r{k}" for k in range(len(columns["best"]))]
    with pytest.raises(StudyError, match="expected choices of two raters or more on two line arts or more"):
        compare(make_choices(columns))


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(StudyError, match="no method is called 'nobody'; choose one of: fourth, ours"):
        compare(make_choices(chosen()), "nobody")


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_both_kinds_of_file_are_read_alike(tmp_path: Path) -> None:
    columns = chosen(1, shown=3, raters=3, items=4)
    pd.DataFrame(columns).to_parquet(tmp_path / "c.parquet")
    tables = read_choices(tmp_path / "c.parquet"), read_choices(write_csv(tmp_path / "c.csv", columns))
    assert tables[0].digest == tables[1].digest == make_choices(columns).digest
    assert (tables[0].shown.sum(axis=1) == 3).all() and len(tables[0]) == len(columns["best"])
    assert np.isnan(tables[0].milliseconds).all()


def test_repeats_and_gold_are_kept_apart() -> None:
    columns = {**duel(3, 2), "role": ["main"] * 5}
    more = {"rater": ["r0", "r1", "r2", "r0"], "item": ["i0", "i1", "i9", "i8"],
            "first": ["b", "a", "a", "a"], "second": ["a", "b", "b", "b"], "best": ["a", "b", "a", "a"],
            "role": ["repeat", "repeat", "gold", "training"]}  # fmt: skip
    found = make_choices({name: columns[name] + more[name] for name in columns})
    assert len(found) == 5 and (found.repeated, found.repeated_alike, found.left_out) == (2, 1, 2)
    assert found.wins().tolist() == [[0, 3], [2, 0]]


BAD = [
    ({"best": "c"}, "line 3: expected the best out of a, b, got 'c'"),
    ({"best": ""}, "line 3: the best is empty"),
    ({"second": "a"}, "line 3: expected different methods side by side, got a, a"),
    ({"first": ""}, "line 3: the first is empty"),
    ({"role": "extra"}, "line 3: expected a role out of main"),
    ({"role": "repeat", "item": "i9"}, "line 3: a repeat of a choice that has no first one"),
    ({"rater": "r0", "item": "i0", "first": "b", "second": "a"},
     r"line 3: rater 'r0' chose among a, b of item 'i0' before, at .*line 2; keep one"),
    ({"milliseconds": "-3"}, "line 3: expected a number in milliseconds, got '-3'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), BAD)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, str], told: str) -> None:
    columns = {**duel(2, 1), "role": ["main"] * 3, "milliseconds": [900] * 3}
    for name, value in change.items():
        columns[name][1] = value
    with pytest.raises(StudyError, match=told):
        read_choices(write_csv(tmp_path / "c.csv", columns))


def test_missing_columns_and_empty_tables_are_named(tmp_path: Path) -> None:
    columns = duel(2, 1)
    del columns["second"]
    told = r"expected the columns rater, item, first, second, best, got .*; add second"
    with pytest.raises(StudyError, match=told):
        make_choices(columns)
    with pytest.raises(StudyError, match="there are no choices"):
        make_choices({name: [] for name in duel(1, 1)})


def test_all_orders_of_three_are_one_set() -> None:
    rows = [(f"r{k}", "i", *names, "a") for k, names in enumerate(permutations("abc"))]
    names = ("rater", "item", "first", "second", "third", "best")
    found: Choices = make_choices(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    assert len(np.unique(found.shown, axis=0)) == 1
    assert found.wins().tolist() == [[0, 6, 6], [0, 0, 0], [0, 0, 0]]
