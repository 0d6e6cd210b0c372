"""Is the line art nothing but lines on paper, of whatever tint?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Statistics, Verdict


def lineart(record: Record, limits: FilterSpec) -> Verdict:
    """Drop line arts that are no drawings.

    Reasons: `colored`; `filled` (too little paper, or too much that is no line: photos, silhouettes); `blank`
    (no lines); `shaded` (filled with tones: planets, grey maps); `lettering` (only small marks).
    """
    return judge_drawing(record.statistics, limits) if record.candidate.set == "linearts" else KEPT


def judge_drawing(told: Statistics, limits: FilterSpec) -> Verdict:
    """The same of any picture's statistics."""
    if told.hues > limits.max_lineart_hues:
        return Verdict(False, "colored", f"own colours {told.hues:.2%} above {limits.max_lineart_hues:.2%}")
    if told.chroma > limits.max_lineart_chroma:
        return Verdict(
            False, "colored", f"colours beyond tone {told.chroma:.2f} above {limits.max_lineart_chroma:g}"
        )
    if told.paper < limits.min_lineart_paper:
        return Verdict(False, "filled", f"paper {told.paper:.1%} below {limits.min_lineart_paper:.1%}")
    if told.ink < limits.min_lineart_ink:
        return Verdict(False, "blank", f"ink {told.ink:.2%} below {limits.min_lineart_ink:.2%}")
    if told.shading > limits.max_lineart_shading:
        return Verdict(False, "shaded", f"shading {told.shading:.1%} above {limits.max_lineart_shading:.1%}")
    if told.solid > limits.max_lineart_solid:
        return Verdict(False, "filled", f"solid {told.solid:.1%} above {limits.max_lineart_solid:.1%}")
    if told.reach < limits.min_lineart_reach:
        return Verdict(False, "lettering", f"marks of {told.reach:.1%} below {limits.min_lineart_reach:.1%}")
    return KEPT
