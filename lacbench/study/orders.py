"""Who rates what, and when: one seed, one order for each rater.

A rater sees each of their line arts once a round: in round b the i-th line art of rater r shows block number
r · k + i + offset(b), modulo B. A block is a method (rating) or a combination of methods (pairwise), B how
many there are, and k the number of line arts that a rater sees. So a line art never shows a block twice, and
each block comes once among every B trials of a round.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from math import comb, gcd
from typing import Literal, TypeVar

import numpy as np

from lacbench.errors import StudyError

Role = Literal["training", "main", "repeat", "gold"]
Thing = TypeVar("Thing")

TRIES = 100
"""Orders that are tried before a design counts as one without room for its repeats and gold pictures."""
FAR = 3
"""A repeat comes at least a third of the main trials after its first."""


class Dice:
    """Draws by lot that are the same in every release of NumPy: Philox's own numbers, counted from a key."""

    def __init__(self, seed: int, stream: int) -> None:
        self._raw = np.random.Philox(key=seed + (stream << 64)).random_raw

    def below(self, n: int) -> int:
        """A whole number from 0 to n − 1, all equally likely."""
        limit = 2**64 - 2**64 % n
        while (raw := int(self._raw())) >= limit:
            pass
        return raw % n

    def shuffled(self, things: Sequence[Thing]) -> list[Thing]:
        """The things in an order drawn by lot (Fisher and Yates)."""
        order = list(things)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


BLOCKS, ITEMS, SUBSETS, RATERS = range(4)
"""Streams of a study's dice: what raters share, line arts that are drawn, who sees which, the first rater."""


@dataclass(frozen=True)
class Showing:
    """One trial as it is planned."""

    item: int
    """Number of the line art."""
    methods: tuple[int, ...]
    """Numbers of the methods, in order of place; of a gold picture, M + its number."""
    role: Role
    """What it is for."""


@dataclass(frozen=True)
class Plan:
    """The numbers of a design; see `Design` for what they mean."""

    seed: int
    """Key of all that is drawn by lot."""
    raters: int
    """R."""
    items: int
    """K line arts, numbered from 0; those of training trials come after them."""
    methods: int
    """M."""
    per_rater: int
    """k line arts for each rater."""
    shown: int = 1
    """Methods in a trial."""
    comparisons: int | None = None
    """Trials of a line art that a rater sees; None for all B blocks."""
    repeats: int = 0
    """Trials that a rater gets a second time."""
    training: int = 0
    """Practice trials, of a line art each."""
    gold: tuple[int, ...] = ()
    """Number of each gold picture's line art."""

    @property
    def blocks(self) -> int:
        """B, the combinations of methods that a trial can show."""
        return comb(self.methods, self.shown)

    @property
    def rounds(self) -> int:
        """Trials of a line art that a rater sees."""
        return self.blocks if self.comparisons is None else self.comparisons

    @property
    def main(self) -> int:
        """Trials of a rater that enter the analysis."""
        return self.per_rater * self.rounds


def plan_orders(plan: Plan) -> list[tuple[Showing, ...]]:
    """Every rater's trials in their order. Raises StudyError for a design that cannot be had."""
    check(plan)
    blocks, offsets = _shared(plan)
    training = tuple(
        Showing(plan.items + number, blocks[number % len(blocks)], "training")
        for number in range(plan.training)
    )
    return [
        training + _session(plan, rater, items, blocks, offsets) for rater, items in enumerate(subsets(plan))
    ]


def check(plan: Plan) -> None:
    """Raise StudyError, with the nearest numbers that go, where the design cannot be had."""
    k, n = plan.per_rater, plan.raters * plan.per_rater
    if plan.items < 2 or k < 2:
        raise StudyError(
            f"the study shows {min(plan.items, k)} line art; expected two or more, since none may come twice "
            "in a row; add some"
        )
    if k > plan.items:
        raise StudyError(
            f"items_per_rater = {k} asks for more than the study's {plan.items} line arts; take less"
        )
    if n % plan.items:
        step, others = plan.items // gcd(plan.items, plan.raters), plan.items // gcd(plan.items, k)
        raise StudyError(
            f"{plan.raters} raters of {k} line arts each cannot see {plan.items} line arts equally often; "
            f"take items_per_rater = {_nearest(k, step)}, or raters = {_nearest(plan.raters, others)}"
        )
    if plan.rounds > plan.blocks:
        raise StudyError(
            f"comparisons = {plan.rounds} asks for more than the {plan.blocks} combinations of {plan.shown} "
            f"among {plan.methods} methods; take less"
        )
    if plan.rounds < plan.blocks and n % plan.blocks:
        raise StudyError(
            f"{plan.raters} raters of {k} line arts with {plan.rounds} of {plan.blocks} comparisons each "
            "cannot compare all methods equally often; take raters = "
            f"{_nearest(plan.raters, _both(plan.blocks, k, plan.items))}, or leave out `comparisons`"
        )
    if plan.repeats > plan.main // 4:
        raise StudyError(
            f"repeats = {plan.repeats} is more than a quarter of a rater's {plan.main} trials, which leaves "
            "no room between a trial and its repeat; take less"
        )


def subsets(plan: Plan) -> list[list[int]]:
    """The line arts of each rater; among the first so many raters, too, counts differ by 1 at most."""
    dice, left = Dice(plan.seed, SUBSETS), list[int]()
    found = []
    for _ in range(plan.raters):
        items, left = left[: plan.per_rater], left[plan.per_rater :]
        if len(items) < plan.per_rater:
            # The next lap through all line arts: those that the rater has already go to its end.
            lap = sorted(dice.shuffled(range(plan.items)), key=lambda item: item in items)
            wanted = plan.per_rater - len(items)
            items, left = items + lap[:wanted], dice.shuffled(lap[wanted:])
        found.append(items)
    return found


def _shared(plan: Plan) -> tuple[list[tuple[int, ...]], list[int]]:
    """The blocks, and the offsets of the rounds, which all raters share so that counts come out even."""
    dice = Dice(plan.seed, BLOCKS)
    blocks = dice.shuffled(list(combinations(range(plan.methods), plan.shown)))
    return blocks, dice.shuffled(range(len(blocks)))[: plan.rounds]


def _session(
    plan: Plan, rater: int, items: list[int], blocks: list[tuple[int, ...]], offsets: list[int]
) -> tuple[Showing, ...]:
    """One rater's trials after training."""
    dice = Dice(plan.seed, RATERS + rater)
    for _ in range(TRIES):
        numbered = {item: rater * plan.per_rater + i for i, item in enumerate(dice.shuffled(items))}
        main: list[tuple[int, int]] = []
        for offset in dice.shuffled(offsets):
            block = {item: (number + offset) % len(blocks) for item, number in numbered.items()}
            main += _round(dice, block, main[-1][0] if main else None)
        showings = _placed(dice, main, blocks)
        wishes = [*_repeats(plan, dice, showings, main), *_gold(plan, dice, len(main))]
        if (session := _inserted(showings, wishes)) is not None:
            return session
    raise StudyError(
        f"a session of {plan.main} trials of {plan.per_rater} line arts has no room for {plan.repeats} "
        f"repeats and {len(plan.gold)} gold pictures without showing a line art twice in a row; take fewer "
        "of them, or more line arts"
    )


def _round(dice: Dice, block: dict[int, int], previous: int | None) -> list[tuple[int, int]]:
    """Line arts with their blocks, in an order that has each block once among every B trials."""
    columns: dict[int, list[int]] = {}
    for item in dice.shuffled(list(block)):
        columns.setdefault(block[item], []).append(item)
    order = [
        item
        for row in zip_longest(*columns.values())
        for item in dice.shuffled([item for item in row if item is not None])
    ]
    if order[0] == previous:
        order[:2] = order[1::-1]
    return [(item, block[item]) for item in order]


def _placed(dice: Dice, main: list[tuple[int, int]], blocks: list[tuple[int, ...]]) -> list[Showing]:
    """The trials with their methods in order of place: each of a block's is in each place equally often."""
    turns = Counter({block: dice.below(len(blocks[block])) for block in range(len(blocks))})
    showings = []
    for item, block in main:
        turn = turns[block] % len(blocks[block])
        showings.append(Showing(item, blocks[block][turn:] + blocks[block][:turn], "main"))
        turns[block] += 1
    return showings


@dataclass(frozen=True)
class _Wish:
    """A trial to be put among the main ones."""

    showing: Showing
    gap: int
    """Before which main trial it should come, best of all."""
    earliest: int
    """Before which main trial it may come at the earliest."""


def _repeats(plan: Plan, dice: Dice, showings: list[Showing], main: list[tuple[int, int]]) -> list[_Wish]:
    """Trials of the first half, of each block equally often; each is to come again half a session later."""
    half = (len(main) + 1) // 2
    seen, ranked = Counter[int](), []
    for at in dice.shuffled(range(half)):
        ranked.append((seen[main[at][1]], at))
        seen[main[at][1]] += 1
    chosen = [at for _, at in sorted(ranked, key=lambda pair: pair[0])[: plan.repeats]]
    return [
        _Wish(
            Showing(showings[at].item, showings[at].methods, "repeat"), at + half, at + 1 + len(main) // FAR
        )
        for at in chosen
    ]


def _gold(plan: Plan, dice: Dice, trials: int) -> list[_Wish]:
    """Each gold picture somewhere in a part of the session of its own."""
    order, wishes = dice.shuffled(range(len(plan.gold))), []
    for part, gold in enumerate(order):
        first, last = part * trials // len(order), (part + 1) * trials // len(order)
        gap = 1 + first + dice.below(max(last - first, 1))
        wishes.append(_Wish(Showing(plan.gold[gold], (plan.methods + gold,), "gold"), gap, 1))
    return wishes


def _inserted(main: list[Showing], wishes: list[_Wish]) -> tuple[Showing, ...] | None:
    """The main trials with the others among them, one at most between two; None where one finds no place."""
    gaps: dict[int, Showing] = {}
    for wish in wishes:
        near = sorted(range(wish.earliest, len(main) + 1), key=lambda gap: abs(gap - wish.gap))
        item = wish.showing.item
        free = (
            gap for gap in near if gap not in gaps and item not in [s.item for s in main[gap - 1 : gap + 1]]
        )
        if (place := next(free, None)) is None:
            return None
        gaps[place] = wish.showing
    return tuple(
        showing
        for gap in range(len(main) + 1)
        for showing in [gaps.get(gap), main[gap] if gap < len(main) else None]
        if showing is not None
    )


def _nearest(wanted: int, step: int) -> int:
    """The multiple of `step` that is nearest to `wanted`, at least one."""
    return max(round(wanted / step), 1) * step


def _both(blocks: int, per_rater: int, items: int) -> int:
    """The least number of raters that serves all blocks and all line arts equally."""
    a, b = blocks // gcd(blocks, per_rater), items // gcd(items, per_rater)
    return a * b // gcd(a, b)
