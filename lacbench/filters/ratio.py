"""Is the picture no banner and no strip?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def ratio(record: Record, limits: FilterSpec) -> Verdict:
    """Drop pictures whose longest side is too many times the shortest: reason `ratio`."""
    return judge_ratio(record.statistics.width, record.statistics.height, limits)


def judge_ratio(width: int, height: int, limits: FilterSpec) -> Verdict:
    """The same of any two sides, in pixels."""
    found = max(width, height) / min(width, height)
    if found <= limits.max_ratio:
        return KEPT
    return Verdict(False, "ratio", f"{width} × {height}, ratio {found:.2f} above {limits.max_ratio:g}")
