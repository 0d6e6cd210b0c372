"""Is the illustration in colour, and more than a drawing?"""

from lacbench.filters.lineart import judge_drawing
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def colored(record: Record, limits: FilterSpec) -> Verdict:
    """Drop illustrations without colour (`grey`), and those that would pass as line art (`uncolored`)."""
    told = record.statistics
    if record.candidate.set != "illustrations":
        return KEPT
    if told.colorfulness < limits.min_colorfulness:
        return Verdict(
            False, "grey", f"colourfulness {told.colorfulness:.1f} below {limits.min_colorfulness:g}"
        )
    if judge_drawing(told, limits).kept:
        return Verdict(False, "uncolored", f"paper {told.paper:.1%}, own colours {told.hues:.2%}: a drawing")
    return KEPT
