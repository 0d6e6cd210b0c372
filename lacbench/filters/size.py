"""Is the picture large enough to learn from?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def size(record: Record, limits: FilterSpec) -> Verdict:
    """Drop pictures whose shortest side, in pixels, is below the limit: reason `small`."""
    return judge_size(record.statistics.width, record.statistics.height, limits)


def judge_size(width: int, height: int, limits: FilterSpec) -> Verdict:
    """The same of any two sides, in pixels."""
    if min(width, height) >= limits.min_side:
        return KEPT
    return Verdict(False, "small", f"{width} × {height}, shortest side below {limits.min_side}")
