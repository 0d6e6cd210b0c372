"""Who rates what, and when."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise
from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import StudyError
from lacbench.study.orders import Dice, Plan, Showing, plan_orders, subsets

PAPER = Plan(seed=3, raters=16, items=94, methods=6, per_rater=94, repeats=40, training=6, gold=(1, 5, 95))


@st.composite
def plans(draw: st.DrawFn, shown: int = 1) -> Plan:
    """Designs that can be had, the smallest ones too."""
    items = draw(st.integers(4, 14))
    raters = draw(st.integers(1, 8))
    step = items // gcd(items, raters)
    per_rater = draw(st.sampled_from([k for k in range(step, items + 1, step) if k >= 4] or [items]))
    methods = draw(st.integers(max(2, shown), 5))
    plan = Plan(draw(st.integers(0, 2**63 - 1)), raters, items, methods, per_rater, shown=shown)
    repeats = draw(st.integers(0, plan.main // 4))
    gold = tuple(draw(st.lists(st.integers(0, items + 3), max_size=3)))
    return Plan(
        plan.seed, raters, items, methods, per_rater, shown, None, repeats, draw(st.integers(0, 4)), gold
    )


def of_role(order: tuple[Showing, ...], *roles: str) -> list[Showing]:
    return [showing for showing in order if showing.role in roles]


@settings(max_examples=150)
@given(plans())
def test_every_rater_scores_every_method_of_their_line_arts_once(plan: Plan) -> None:
    orders = plan_orders(plan)
    assert len(orders) == plan.raters
    seen = Counter()
    for order in orders:
        main = of_role(order, "main")
        items = {s.item for s in main}
        assert len(items) == plan.per_rater and items <= set(range(plan.items))
        assert Counter((s.item, s.methods) for s in main) == Counter(
            (item, (method,)) for item in items for method in range(plan.methods)
        )
        seen.update(items)
    assert len(seen) == plan.items and len(set(seen.values())) == 1


@settings(max_examples=150)
@given(plans() | plans(shown=2) | plans(shown=3))
def test_no_line_art_comes_twice_in_a_row(plan: Plan) -> None:
    for order in plan_orders(plan):
        assert all(a.item != b.item for a, b in pairwise(order))


@settings(max_examples=100)
@given(plans())
def test_each_method_comes_equally_often_in_each_part_of_the_session(plan: Plan) -> None:
    for order in plan_orders(plan):
        main = [s.methods[0] for s in of_role(order, "main")]
        for start in range(0, len(main), plan.per_rater):  # one round through the rater's line arts
            counts = np.bincount(main[start : start + plan.per_rater], minlength=plan.methods)
            assert counts.max() - counts.min() <= 1
        for stop in range(1, len(main) + 1):
            counts = np.bincount(main[:stop], minlength=plan.methods)
            assert counts.max() - counts.min() <= 3


@settings(max_examples=100)
@given(plans() | plans(shown=2))
def test_repeats_are_far_from_their_first_and_of_each_method_equally_often(plan: Plan) -> None:
    for order in plan_orders(plan):
        again = of_role(order, "repeat")
        assert len(again) == len(set(again)) == plan.repeats
        main = of_role(order, "main")
        early = Counter(tuple(sorted(s.methods)) for s in main[: (len(main) + 1) // 2])
        blocks = Counter(tuple(sorted(s.methods)) for s in again)
        for block in combinations(range(plan.methods), plan.shown):  # less often only where it came no more
            assert blocks[block] == early[block] or max(blocks.values(), default=0) - blocks[block] <= 1
        for showing in again:
            first = order.index(Showing(showing.item, showing.methods, "main"))
            between = of_role(order[first + 1 : order.index(showing)], "main")
            assert len(between) >= plan.main // 3


@settings(max_examples=60)
@given(plans())
def test_training_comes_first_on_line_arts_of_its_own_and_gold_among_the_others(plan: Plan) -> None:
    for order in plan_orders(plan):
        assert [s.role for s in order[: plan.training]] == ["training"] * plan.training
        training = of_role(order, "training")
        assert [s.item for s in training] == list(range(plan.items, plan.items + plan.training))
        gold = of_role(order, "gold")
        assert sorted((s.methods[0] - plan.methods, s.item) for s in gold) == list(enumerate(plan.gold))
        assert order[plan.training].role == "main"


@settings(max_examples=60)
@given(plans(shown=2) | plans(shown=3))
def test_every_pair_of_methods_is_compared_equally_often_in_every_place(plan: Plan) -> None:
    pairs, places = Counter(), Counter()
    for order in plan_orders(plan):
        main = of_role(order, "main")
        for showing in main:
            assert len(set(showing.methods)) == plan.shown
            pairs.update((showing.item, *sorted(pair)) for pair in combinations(showing.methods, 2))
        assert len({(s.item, frozenset(s.methods)) for s in main}) == len(main)
        own = Counter((tuple(sorted(s.methods)), s.methods) for s in main)
        turns = {}
        for (block, shown), count in own.items():
            turns.setdefault(block, []).append(count)
            places[shown] += 1
        for counts in turns.values():  # a block is shown in its turns by turns
            assert max(counts) - (min(counts) if len(counts) == plan.shown else 0) <= 1
    assert len(set(pairs.values())) == 1


def test_some_of_the_comparisons_are_shared_among_line_arts_equally() -> None:
    plan = Plan(seed=1, raters=10, items=12, methods=6, per_rater=6, shown=2, comparisons=4)
    pairs = Counter()
    for order in plan_orders(plan):
        assert len(order) == 24
        assert len({(s.item, frozenset(s.methods)) for s in order}) == 24
        assert all(a.item != b.item for a, b in pairwise(order))
        pairs.update(frozenset(s.methods) for s in order)
    assert len(pairs) == 15 and set(pairs.values()) == {16}


def test_the_papers_study() -> None:
    orders = plan_orders(PAPER)
    assert {len(order) for order in orders} == {94 * 6 + 40 + 6 + 3}
    gaps = []
    for order in orders:
        main = of_role(order, "main")
        for sixth in range(6):
            counts = np.bincount([s.methods[0] for s in main[94 * sixth : 94 * (sixth + 1)]], minlength=6)
            assert set(counts) == {15, 16}
        for item in range(94):
            places = [place for place, s in enumerate(main) if s.item == item]
            gaps += [b - a for a, b in pairwise(places)]
    assert np.mean(gaps) == pytest.approx(94, rel=0.02)
    # Where a rater meets a method says nothing of which one it is.
    methods = [np.array([s.methods[0] for s in of_role(order, "main")]) for order in orders]
    means = [np.flatnonzero(shown == method).mean() for shown in methods for method in range(6)]
    assert np.ptp(means) < 12


def test_the_same_seed_gives_the_same_orders_and_raters_have_their_own() -> None:
    assert plan_orders(PAPER) == plan_orders(PAPER)
    orders = plan_orders(PAPER)
    assert len(set(orders)) == PAPER.raters
    other = plan_orders(Plan(seed=4, raters=16, items=94, methods=6, per_rater=94))
    assert not set(other) & set(plan_orders(Plan(seed=3, raters=16, items=94, methods=6, per_rater=94)))
    # More raters change nothing for those who were there.
    fewer = Plan(seed=3, raters=4, items=94, methods=6, per_rater=94)
    assert plan_orders(fewer) == plan_orders(Plan(seed=3, raters=16, items=94, methods=6, per_rater=94))[:4]


def test_dice_are_philox_of_random123() -> None:
    """philox4x64-10's published vector for a key and counter of zeros; NumPy counts before it draws."""
    raw = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [hex(word) for word in raw] == [
        "0x16554d9eca36314c", "0xdb20fe9d672d0fdc", "0xd7e772cee186176b", "0x7e68b68aec7ba23b",
    ]  # fmt: skip
    # What was drawn by this release is drawn by every later one.
    assert Dice(7, 2).shuffled(range(10)) == [0, 1, 9, 2, 7, 8, 4, 6, 3, 5]


def test_dice_are_fair() -> None:
    dice = Dice(5, 0)
    counts = Counter(tuple(dice.shuffled("abc")) for _ in range(6000))
    assert len(counts) == 6 and all(abs(count - 1000) < 5 * 29 for count in counts.values())
    assert {dice.below(3) for _ in range(100)} == {0, 1, 2}


@settings(max_examples=60)
@given(plans())
def test_raters_who_never_come_leave_the_others_balanced(plan: Plan) -> None:
    seen = Counter(dict.fromkeys(range(plan.items), 0))
    for items in subsets(plan):
        seen.update(items)
        assert max(seen.values()) - min(seen.values()) <= 1


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"per_rater": 1}, "shows 1 line art"),
        ({"items": 1, "per_rater": 1}, "shows 1 line art"),
        ({"per_rater": 13}, "asks for more than the study's 12 line arts"),
        ({"raters": 5, "per_rater": 5}, "take items_per_rater = 12, or raters = 12"),
        ({"raters": 16, "items": 94, "per_rater": 30}, "take items_per_rater = 47, or raters = 47"),
        ({"shown": 2, "comparisons": 7}, "more than the 6 combinations of 2 among 4 methods"),
        ({"shown": 2, "comparisons": 2, "raters": 3, "methods": 5}, "cannot compare"),
        ({"repeats": 13}, "more than a quarter of a rater's 48 trials"),
        ({"items": 2, "per_rater": 2, "gold": (0, 1, 0, 1)}, "no room"),
    ],
)
def test_designs_that_cannot_be_had_are_refused(told: dict[str, object], sentence: str) -> None:
    usual = {"seed": 0, "raters": 4, "items": 12, "methods": 4, "per_rater": 12}
    with pytest.raises(StudyError, match=sentence):
        plan_orders(Plan(**{**usual, **told}))


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=0, raters=10, items=12, methods=4, per_rater=5),
        Plan(seed=0, raters=16, items=94, methods=2, per_rater=30),
        Plan(seed=0, raters=3, items=12, methods=5, per_rater=12, shown=2, comparisons=2),
    ],
)
def test_what_a_refusal_proposes_can_be_had(plan: Plan) -> None:
    with pytest.raises(StudyError) as refusal:
        plan_orders(plan)
    raters = int(str(refusal.value).split("raters = ")[1].split(",")[0])
    assert len(plan_orders(replace(plan, raters=raters))) == raters
