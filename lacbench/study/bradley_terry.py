"""Bradley-Terry strengths of choices among two or three methods: by choix, and of many samples at once.

Bradley and Terry (1952); of three, Luce's choice model: P(best) is exp(strength) over its sum among those
shown.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lacbench.errors import MissingError, StudyError
from lacbench.study.choices import Choices
from lacbench.study.ratings import FloatArray

MOST_STEPS = 20_000
"""Steps after which a sample that still moves is given up, as if it had no bounds."""


def fit(choices: Choices, alpha: float = 0.0) -> FloatArray:
    """Log strengths (M,) of mean 0, by choix: of greatest likelihood, regularised where `alpha` is above 0.

    Without regularisation there must be one (`check_bounded`). Raises MissingError where choix is missing.
    """
    try:
        import choix
    except ImportError as error:
        raise MissingError("pairwise mode needs choix; run: pip install 'lacbench[study]'") from error
    if not alpha and (choices.shown.sum(axis=1) == 2).all():
        found = choix.ilsr_pairwise_dense(choices.wins().astype(np.float64))
    else:
        beaten = choices.shown.copy()
        beaten[np.arange(len(choices)), choices.best] = False
        rows = [
            (int(b), tuple(np.flatnonzero(row).tolist())) for b, row in zip(choices.best, beaten, strict=True)
        ]
        solve = functools.partial(choix.mm_top1, alpha=alpha) if alpha else choix.ilsr_top1
        found = solve(len(choices.methods), rows)
    return np.asarray(found - found.mean(), np.float64)


def strengths(
    counts: FloatArray, sets: NDArray[np.bool_], start: FloatArray, alpha: float = 0.0
) -> FloatArray:
    """Log strengths (B, M) of many samples at once, of mean 0; NaN where a sample leaves them without bounds.

    `counts` (B, S, M): how often each method was chosen out of each set shown; `sets` (S, M): the methods of
    each; `start` (M,). By minorisation and maximisation (Hunter 2004; `alpha`: Caron and Doucet 2012), as
    `choix.mm_top1`.
    """
    found = np.full((len(counts), sets.shape[1]), np.nan)
    active = np.flatnonzero(_bounded(counts, sets) | (alpha > 0))
    chosen, times = counts.sum(axis=1), counts.sum(axis=2)
    worth = np.tile(np.exp(start) / np.exp(start).mean(), (len(active), 1))
    for _ in range(MOST_STEPS):
        share = (times[active] / (worth @ sets.T)) @ sets
        new = (chosen[active] + alpha) / (share + alpha)
        new /= new.mean(axis=1, keepdims=True)  # the scale at which choix regularises
        moves = np.abs(np.log(new / worth)).max(axis=1) > 1e-7
        found[active[~moves]] = np.log(new[~moves])
        active, worth = active[moves], new[moves]
        if not len(active):
            break
    return np.asarray(found - found.mean(axis=1, keepdims=True))


def _bounded(counts: FloatArray, sets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which samples (B, S, M) have finite strengths: from each method one gets to each by who beat whom."""
    reach = np.einsum("bsm,sl->bml", counts, sets.astype(np.float64)) > 0
    reach |= np.eye(sets.shape[1], dtype=bool)
    for _ in range(sets.shape[1].bit_length()):
        reach = reach.astype(np.float32) @ reach.astype(np.float32) > 0
    return np.asarray(reach.all(axis=(1, 2)))


def check_bounded(choices: Choices) -> None:
    """Raise StudyError where a strength has no bounds, and say whose."""
    wins = choices.wins()
    groups, weak = connected_components(wins, connection="weak")
    if groups > 1:
        ends = [_names(choices, weak == 0), _names(choices, weak != 0)]
        raise StudyError(f"no choice compares {ends[0]} with {ends[1]}; show methods of both side by side")
    groups, strong = connected_components(wins, connection="strong")
    # Of the smallest group first: that is the one to name.
    for group in np.argsort(np.bincount(strong), kind="stable") if groups > 1 else ():
        inside = strong == group
        for verdict, across in (("never", wins[inside][:, ~inside]), ("always", wins[~inside][:, inside])):
            if not across.any():
                told = f"{_names(choices, inside)}: {verdict} chosen beside {_names(choices, ~inside)}"
                raise StudyError(
                    f"{told}, so that its strength has no bounds; ask for more choices, leave out what is on "
                    "one side, or regularise"
                )


def _names(choices: Choices, which: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, is_one in zip(choices.methods, which, strict=True) if is_one)
