"""What simulated raters said: scores and choices, as columns of a table."""

import itertools
from typing import Any

import numpy as np

METHODS = ("ours", "second", "third", "fourth", "fifth", "sixth")


def simulated(
    seed: int = 0,
    raters: int = 8,
    items: int = 20,
    methods: tuple[str, ...] = METHODS,
    gap: float = 0.3,
    missing: float = 0.0,
) -> dict[str, list[Any]]:
    """Columns of ratings with rater, taste and image effects; each method is `gap` worse than the one before.

    Two in a hundred are rated twice; times fall over the session.
    """
    random = np.random.default_rng(seed)
    lenient, easy = random.normal(0, 0.4, raters), random.normal(0, 0.39, (items, len(methods)))
    taste = random.normal(0, 0.23, (raters, len(methods)))
    rows: list[tuple[Any, ...]] = []
    for r in range(raters):
        cells = [divmod(int(c), len(methods)) for c in random.permutation(items * len(methods))]
        for position, (i, m) in enumerate(c for c in cells if random.random() >= missing):
            truth = 3.6 - gap * m + lenient[r] + taste[r, m] + easy[i, m]
            times = random.lognormal(7.8 - 0.005 * position + 0.3 * lenient[r], 0.5, 2)
            scores = np.clip(np.rint(truth + random.normal(0, 0.65, 2)), 1, 5).astype(int)
            for n, role in enumerate(["main", "repeat"][: 1 + (random.random() < 0.02)]):
                names = (f"rater-{r + 1:02}", f"item-{i:03}", methods[m])
                rows.append((*names, int(scores[n]), role, float(times[n]), position + n * items))
    columns = ("rater", "item", "method", "score", "role", "milliseconds", "position")
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


def chosen(
    seed: int = 0,
    truth: tuple[float, ...] = (1.0, 0.5, 0.0, -0.5),
    raters: int = 8,
    items: int = 15,
    shown: int = 2,
    share: float = 1.0,
    spread: float = 0.0,
) -> dict[str, list[Any]]:
    """Columns of choices by Luce's model among methods of true log strengths; `spread`: of tastes and images.

    Every rater sees a `share` of all sets of methods on all items.
    """
    random = np.random.default_rng(seed)
    taste, easy = (random.normal(0, spread, (n, len(truth))) for n in (raters, items))
    rows: list[tuple[str, ...]] = []
    for r, i, places in itertools.product(
        range(raters), range(items), itertools.combinations(range(len(truth)), shown)
    ):
        if random.random() < share:
            order = random.permutation(places)
            utility = [truth[m] + taste[r, m] + easy[i, m] + random.gumbel() for m in order]
            names = [METHODS[m] for m in order]
            best = names[int(np.argmax(utility))]
            rows.append((f"rater-{r + 1:02}", f"item-{i:03}", *names, *[""] * (3 - shown), best))
    columns = ("rater", "item", "first", "second", "third", "best")
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
