"""Is the picture still?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def animation(record: Record, limits: FilterSpec) -> Verdict:
    """Drop files that hold more than one picture: reason `animated`."""
    frames = record.statistics.frames
    if frames <= limits.max_frames:
        return KEPT
    return Verdict(False, "animated", f"{frames} frames, at most {limits.max_frames}")
