"""Which use each picture may be put to: by duplicate group, stable when pictures are added."""

import hashlib

from lacbench.dedupe import groups
from lacbench.engine import Engine
from lacbench.recipe import Recipe
from lacbench.records import Member, Record, Split


def assign_splits(
    records: list[Record], recipe: Recipe, engine: Engine | None = None
) -> tuple[list[Member], list[Member]]:
    """Split the records into illustrations and line arts, each sorted by id, each with its split.

    Line arts are `test`; so is every illustration that is the true coloured version of one, together with
    all pictures of its group. Any other group's split is decided by a hash of the seed and its least id,
    so that a picture added elsewhere moves nothing.
    """
    linearts = sorted((r for r in records if r.candidate.set == "linearts"), key=lambda r: r.sha256)
    illustrations = sorted((r for r in records if r.candidate.set == "illustrations"), key=lambda r: r.sha256)
    labels = groups(illustrations, recipe.dedupe.together, engine).tolist() if illustrations else []
    held_pairs = {r.candidate.pair for r in linearts} - {""}
    held = {g for r, g in zip(illustrations, labels, strict=True) if r.candidate.pair in held_pairs}
    least = {g: r.sha256 for r, g in reversed(list(zip(illustrations, labels, strict=True)))}
    members = [
        Member(r, "test" if g in held else choose_split(least[g], recipe))
        for r, g in zip(illustrations, labels, strict=True)
    ]
    return members, [Member(r, "test") for r in linearts]


def choose_split(group: str, recipe: Recipe) -> Split:
    """Split of the group named by its least id: SHA-256 of seed and name, read as a number in [0, 1)."""
    digest = hashlib.sha256(f"{recipe.seed}:{group}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < recipe.splits.test:
        return "test"
    return "validation" if share < recipe.splits.test + recipe.splits.validation else "train"
