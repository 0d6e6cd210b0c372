"""Is the illustration painted, and no sketch?"""

from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Record, Verdict


def sketch(record: Record, limits: FilterSpec) -> Verdict:
    """Drop illustrations in one ink on any paper, and those in which nothing is filled: reason `sketch`.

    The first are pencil drawings, tinted grey and sepia; the second are lines in several inks, and lettering.
    """
    told = record.statistics
    if record.candidate.set != "illustrations":
        return KEPT
    if told.chroma < limits.min_chroma and told.hues <= limits.max_sketch_hues:
        return Verdict(
            False,
            "sketch",
            f"one ink: colours beyond tone {told.chroma:.2f} below {limits.min_chroma:g}, "
            f"own colours {told.hues:.2%}",
        )
    if told.solid < limits.min_solid:
        return Verdict(False, "sketch", f"nothing filled: {told.solid:.2%} below {limits.min_solid:.2%}")
    return KEPT
