"""What the figures of an analysis come to, in plain words, and no more than they say."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lacbench.study.analysis import Analysis, Comparison

if TYPE_CHECKING:
    from lacbench.study.pairwise import Tournament


def verdict(analysis: Analysis) -> str:
    """A few sentences: what is shown, what is not, and whether it holds without raters who are flagged."""
    if analysis.ours is None:
        return "No method was named as ours, so nothing was tested."
    told = _claims(analysis)
    if analysis.with_screening:
        raters = listed(analysis.excluded)
        without = f"without {raters}, whom the rule {analysis.rule} flags"
        if _parts(analysis.with_screening) == _parts(analysis):
            told += f" It is the same {without}."
        else:
            told += f" This changes {without}: {_claims(analysis.with_screening)}"
    return told


def claimed(analysis: "Analysis | Tournament") -> tuple[str, ...]:
    """The methods that ours is shown to be rated above, at the level 1 − confidence.

    All of them where the test of the whole claim says so (`beats_all_p`), else those whose p, adjusted by
    Holm, does.
    """
    level = level_of(analysis.confidence)
    if beats_all(analysis):
        return tuple(c.other for c in analysis.comparisons)
    return tuple(c.other for c in analysis.comparisons if c.p_holm is not None and c.p_holm <= level)


def level_of(confidence: float) -> float:
    """The level of claims: 1 − confidence as one would write it, .1 of .9 and not .09999999999999998."""
    return round(1 - confidence, 12)


def beats_all(analysis: "Analysis | Tournament") -> bool:
    """Whether ours is shown to be rated above every other method."""
    return analysis.beats_all_p is not None and analysis.beats_all_p <= level_of(analysis.confidence)


def shown_p(p: float | None) -> str:
    """A p as it is printed."""
    if p is None:
        return "–"
    return "< .0001" if p < 0.0001 else f"{p:.4f}".removeprefix("0")


def _claims(analysis: Analysis) -> str:
    """What is shown and what is not."""
    ours, level = analysis.ours, f"{level_of(analysis.confidence):.6g}".removeprefix("0")
    above = set(claimed(analysis))
    shown = [c for c in analysis.comparisons if c.other in above]
    rest = [c for c in analysis.comparisons if c.other not in above]
    told = []
    if beats_all(analysis) and len(shown) > 1:
        p = f"the largest one-sided p is {shown_p(analysis.beats_all_p)}"
        told.append(
            f"{ours} is rated above each of the {len(shown)} other methods: {p}, at the level {level}."
        )
    elif shown:
        ps = [c.p_holm for c in shown if c.p_holm is not None]
        kind = "one-sided p" if len(analysis.comparisons) == 1 else "largest one-sided p, adjusted by Holm,"
        names = listed([c.other for c in shown])
        told.append(f"{ours} is rated above {names}: {kind} {shown_p(max(ps))}, at the level {level}.")
    lower = [c for c in rest if _is_lower(c)]
    if open_ := [c.other for c in rest if c.p is not None and c not in lower]:
        names = listed(open_, last="or")
        told.append(
            f"That {ours} is rated above {names} is not shown, which does not mean that it is not so."
        )
    if lower:
        means = listed([f"{c.other} {_ahead(c, analysis.confidence)}" for c in lower])
        told.append(f"Rated above {ours}, on average: {means}.")
    if untested := [c.other for c in rest if c.p is None]:
        told.append(f"Against {listed(untested)} there is no test: the differences do not vary.")
    if shown:
        told.append("Raters and line arts are taken for samples of others like them.")
    return " ".join(told)


def _parts(analysis: Analysis) -> tuple[frozenset[str], ...]:
    """The methods that the verdict tells apart, in whatever order: rated below ours, above it, not tested."""
    lower = frozenset(c.other for c in analysis.comparisons if _is_lower(c))
    untested = frozenset(c.other for c in analysis.comparisons if c.p is None)
    return frozenset(claimed(analysis)), lower, untested


def _is_lower(comparison: Comparison) -> bool:
    """Whether ours is rated below the other one, by the interval of the difference."""
    return comparison.interval is not None and comparison.interval[1] < 0


def _ahead(comparison: Comparison, confidence: float) -> str:
    """By how much another method's mean is above ours; nothing was claimed of it beforehand."""
    low, high = (f"{-end:.2f}" for end in reversed(comparison.interval or (math.nan, math.nan)))
    return f"(by {-comparison.difference:.2f}, {100 * confidence:g}% interval {low} to {high})"


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
