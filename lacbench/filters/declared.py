"""Is the picture wanted, by what its source says of it? Asked before it is downloaded."""

from lacbench.filters.ratio import judge_ratio
from lacbench.filters.size import judge_size
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, Candidate, Verdict


def declared(candidate: Candidate, limits: FilterSpec) -> Verdict:
    """Judge a candidate by its declared rating, score, tags and sides.

    Reasons: `rating`, `score`, `tags`, `small`, `ratio`. What a source does not say is no reason to drop.
    """
    told, tags = candidate, set(candidate.tags)
    if told.rating and limits.ratings and told.rating not in limits.ratings:
        return Verdict(False, "rating", f"rated {told.rating}, wanted {', '.join(limits.ratings)}")
    if told.score is not None and limits.min_score is not None and told.score < limits.min_score:
        return Verdict(False, "score", f"score {told.score} below {limits.min_score}")
    if tags and (missing := [tag for tag in limits.tags_all if tag not in tags]):
        return Verdict(False, "tags", f"without {', '.join(missing)}")
    if unwanted := [tag for tag in limits.tags_none if tag in tags]:
        return Verdict(False, "tags", f"tagged {', '.join(unwanted)}")
    if told.width > 0 and told.height > 0:
        verdict = judge_size(told.width, told.height, limits)
        return verdict if not verdict.kept else judge_ratio(told.width, told.height, limits)
    return KEPT
