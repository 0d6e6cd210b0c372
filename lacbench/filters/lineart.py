"""Is the line art nothing but lines on paper, of whatever tint?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Statistics, Verdict


def lineart(record: Record, limits: FilterSpec) -> Verdict:
    """Drop line arts that are coloured (`colored`), that lack paper (`filled`) or lines (`blank`)."""
    told = record.statistics
    if record.candidate.set != "linearts" or looks_drawn(told, limits):
        return KEPT
    if told.hues > limits.max_lineart_hues:
        return Verdict(False, "colored", f"own colours {told.hues:.2%} above {limits.max_lineart_hues:.2%}")
    if told.paper < limits.min_lineart_paper:
        return Verdict(False, "filled", f"paper {told.paper:.1%} below {limits.min_lineart_paper:.1%}")
    return Verdict(False, "blank", f"ink {told.ink:.2%} below {limits.min_lineart_ink:.2%}")


def looks_drawn(told: Statistics, limits: FilterSpec) -> bool:
    """Whether a picture is mostly paper, with some ink, and no colour off the line between the two."""
    return (
        told.hues <= limits.max_lineart_hues
        and told.paper >= limits.min_lineart_paper
        and told.ink >= limits.min_lineart_ink
    )
