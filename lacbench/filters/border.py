"""Does the illustration fill its frame?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def border(record: Record, limits: FilterSpec) -> Verdict:
    """Drop illustrations in letterboxes and frames: reason `bordered`. Line arts have margins by nature."""
    found = record.statistics.border
    if record.candidate.set != "illustrations" or found <= limits.max_border:
        return KEPT
    return Verdict(False, "bordered", f"bars on {found:.1%} of the area, at most {limits.max_border:.1%}")
