"""Is there more to the illustration than transparent ground?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def transparency(record: Record, limits: FilterSpec) -> Verdict:
    """Drop illustrations of which too much is transparent: reason `transparent`. Line arts may be bare."""
    found = record.statistics.transparency
    if record.candidate.set != "illustrations" or found <= limits.max_transparency:
        return KEPT
    return Verdict(False, "transparent", f"transparent {found:.1%} above {limits.max_transparency:.1%}")
