"""Is the picture large enough to learn from?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def size(record: Record, limits: FilterSpec) -> Verdict:
    """Drop pictures whose shortest side, in pixels, is below the limit: reason `small`."""
    width, height = record.statistics.width, record.statistics.height
    if min(width, height) >= limits.min_side:
        return KEPT
    return Verdict(False, "small", f"{width} × {height}, shortest side below {limits.min_side}")
