"""Whether a data set tests on what it teaches, and what a person should look at."""

from collections.abc import Iterable
from dataclasses import dataclass

from lacbench.errors import LacbenchError
from lacbench.leaks import leaks_within
from lacbench.manifest import load_review
from lacbench.recipe import DedupeSpec, parse_recipe
from lacbench.records import Dataset
from lacbench.report.contents import glimpse
from lacbench.report.pictures import Picture

REVIEWED = 8
"""Pairs shown, at most."""
Alike = tuple[Picture | None, Picture | None, str]
"""Two pictures, and how near they are."""


@dataclass(frozen=True)
class Leakage:
    """What the leak check finds within a data set, by its manifests."""

    spec: DedupeSpec
    """The thresholds, in bits of 256."""
    recorded: bool
    """Whether they are the recipe's; else they are lacbench's own."""
    dropped: int
    """Illustrations that the build dropped since a line art has their drawing."""
    taught: int
    """Pairs within the thresholds, true pairs aside, of a picture for training and one for testing."""
    kept: int
    """Those where none is for training."""
    review: int
    """Pairs beyond the thresholds, but so near that a person should look."""
    shown: tuple[Alike, ...]
    """Some of all these, nearest first."""


def leakage(dataset: Dataset) -> Leakage:
    """Look for pictures and drawings that a data set has more than once; no picture is measured.

    Raises InputError for a `review.parquet` that is none.
    """
    try:
        spec, recorded = parse_recipe(dataset.recipe).dedupe, True
    except LacbenchError:  # gone, or of another version
        spec, recorded = DedupeSpec(), False
    found, review = leaks_within(dataset, spec), load_review(dataset.folder)
    splits = {m.record.sha256: m.split for m in (*dataset.illustrations, *dataset.linearts)}
    taught = sum("train" in (pair := {splits[leak.a], splits[leak.b]}) and len(pair) > 1 for leak in found)
    near = [*((leak.a, leak.b, leak.distance) for leak in found), *review]
    return Leakage(
        spec,
        recorded,
        dataset.dropped().get("leak", 0),
        taught,
        len(found) - taught,
        len(review),
        tuple(_shown(dataset, near)),
    )


def _shown(dataset: Dataset, pairs: Iterable[tuple[str, str, int]]) -> Iterable[Alike]:
    for a, b, bits in list(pairs)[:REVIEWED]:
        yield glimpse(dataset, a, "one picture"), glimpse(dataset, b, "one nearly like it"), f"{bits} bits"
