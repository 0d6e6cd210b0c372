"""Whether a score card is true: the submission is scored again, and every figure compared."""

from dataclasses import dataclass
from pathlib import Path

from lacbench.errors import InputError
from lacbench.hints import AnyHints
from lacbench.metrics.figure import Figure
from lacbench.metrics.registry import METRICS
from lacbench.progress import Progress
from lacbench.records import Dataset
from lacbench.scorecard import ScoreCard, score

RELATIVE = 1e-3
"""Share of a figure by which two machines may differ: features agree to 1e-5, and distances of few pictures
lose two digits of these."""
COUNTED = frozenset({"precision", "recall", "density", "coverage"})
"""Figures that count pictures: rounding may move one of them over an edge."""


@dataclass(frozen=True)
class Check:
    """One thing that a card tells, and what was found."""

    name: str
    """The figure's name, or that of a digest."""
    told: str
    """What the card tells, as text."""
    found: str
    """What was found; empty where it could not be."""
    agrees: bool
    """Whether they are the same, within the tolerance."""
    why: str = ""
    """The tolerance, or why nothing was found."""
    note: bool = False
    """Whether they differ, which is worth knowing but no disagreement."""


def verify_card(
    card: ScoreCard,
    submission: Path,
    dataset: Dataset,
    *,
    hints: AnyHints | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Check, ...]:
    """Score the submission again and compare: digests first, then every figure of the card.

    Figures agree within 0.1% of themselves, those that count pictures within two of them; standard errors and
    intervals, which rank methods too, within as much. Raises what `score` raises.
    """
    names = [name for name in card.metrics if any(name in metric.figures for metric in METRICS.values())]
    if not names:
        raise InputError(
            f"the card of {card.name} holds no figure that this lacbench knows; nothing to verify"
        )
    if card.dataset != dataset.digest:
        raise InputError(
            f"the card of {card.name} is of another data set: expected digest {card.dataset[:12]}, got "
            f"{dataset.digest[:12]}; name that one"
        )
    again = score(
        submission, dataset, metrics=names, hints=hints, device=device, progress=progress,
    )  # fmt: skip
    return (*_digests(card, again), *(_figure(name, card, again) for name in card.metrics))


def _digests(card: ScoreCard, again: ScoreCard) -> list[Check]:
    """What both cards name by its digest."""
    found = []
    for what, told, now in (
        ("digest of", card.digests, again.digests),
        ("weights", card.weights, again.weights),
    ):
        for name in told:
            same = _noted if told is card.digests and name == "code" else _same
            found.append(same(f"{what} {name}", told[name], now.get(name, "")))
    return [*found, _same("hints", str(card.hints).lower(), str(again.hints).lower())]


def _same(name: str, told: str, found: str) -> Check:
    return Check(name, told, found, told == found, "" if found else "there is none")


def _noted(name: str, told: str, found: str) -> Check:
    """Another version of lacbench may well find the same figures, which is for these to show."""
    differs = told != found
    return Check(name, told, found, True, "another lacbench made the card" if differs else "", differs)


def _figure(name: str, card: ScoreCard, again: ScoreCard) -> Check:
    """One figure, and its standard error."""
    told = Figure.from_json(card.metrics[name])
    if name not in again.metrics:
        return Check(name, _shown(told), "", False, "this lacbench does not know it")
    found = Figure.from_json(again.metrics[name])
    how: dict[str, tuple[object, object]] = {"better": (told.better, found.better), "n": (told.n, found.n)}
    how |= {key: (told.more.get(key), found.more.get(key)) for key in ("protocol", "weights_sha256")}
    if differing := [key for key, (old, new) in how.items() if old != new]:
        return Check(name, _shown(told), _shown(found), False, f"they differ in {', '.join(differing)}")
    slack = tolerance(name, found)
    agrees = all(_near(old, new, slack) for old, new in zip(_numbers(told), _numbers(found), strict=True))
    return Check(name, _shown(told), _shown(found), agrees, f"within {slack:.2g}")


def _numbers(figure: Figure) -> tuple[float | None, ...]:
    """All that ranks a method."""
    return figure.value, figure.standard_error, *(figure.interval or (None, None))


def tolerance(name: str, figure: Figure) -> float:
    """By how much the same figure of two machines may differ."""
    if name in COUNTED and not isinstance(figure.n, int):
        return 2 / min(count for count in figure.n if count)
    return max(RELATIVE * abs(figure.value or 0.0), 1e-6)


def _near(told: float | None, found: float | None, slack: float) -> bool:
    if told is None or found is None:
        return told is found
    return abs(told - found) <= slack


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    return f"{figure.value:.6g}" + (f" ± {figure.standard_error:.3g}" if figure.standard_error else "")
