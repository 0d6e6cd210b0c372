"""Which use each picture may be put to: by duplicate group and artist, stable when pictures are added."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lacbench.dedupe import drawn_alike, groups
from lacbench.engine import Engine
from lacbench.recipe import Recipe
from lacbench.records import Member, Record, Split


def assign_splits(
    records: list[Record], recipe: Recipe, engine: Engine | None = None
) -> tuple[list[Member], list[Member]]:
    """Split the records into illustrations and line arts, each sorted by id, each with its split.

    Line arts are `test`; so is every illustration that is the true coloured version of one, nearly has its
    drawing (`review_across`), or is by the artist of one (`by_artist`), together with all of its group. A
    group is what resembles one another, and all that its artists made. Any other group's split is decided by
    a hash of the seed and the group's name, so that pictures added elsewhere move nothing.
    """
    linearts = sorted((r for r in records if r.candidate.set == "linearts"), key=lambda r: r.sha256)
    illustrations = sorted((r for r in records if r.candidate.set == "illustrations"), key=lambda r: r.sha256)
    artists = [_artists(r) if recipe.splits.by_artist else () for r in illustrations]
    alike = groups(illustrations, recipe.dedupe.together, engine)
    labels = _joined(alike, artists) if illustrations else []
    names = _names(illustrations, artists, labels)
    pairs = {r.candidate.pair for r in linearts} - {""}
    tested = {artist for r in linearts for artist in _artists(r)}
    drawn = set(drawn_alike(illustrations, linearts, recipe.dedupe.review_across)[0][:, 0].tolist())
    held = {
        label
        for i, (r, by, label) in enumerate(zip(illustrations, artists, labels, strict=True))
        if r.candidate.pair in pairs or tested & set(by) or i in drawn
    }
    members = [
        Member(r, "test" if label in held else choose_split(names[label], recipe))
        for r, label in zip(illustrations, labels, strict=True)
    ]
    return members, [Member(r, "test") for r in linearts]


def _artists(record: Record) -> tuple[str, ...]:
    """The artists' names, in lower case, sorted; none where the source names none."""
    return tuple(sorted(set(record.candidate.artist.lower().split())))


def _joined(labels: NDArray[np.int64], artists: list[tuple[str, ...]]) -> list[int]:
    """Labels of groups that are joined where they share an artist."""
    known = {name: len(labels) + i for i, name in enumerate(sorted({a for by in artists for a in by}))}
    by_artist = [(i, known[name]) for i, by in enumerate(artists) for name in by]
    first: dict[int, int] = {}
    alike = [(i, first.setdefault(label, i)) for i, label in enumerate(labels.tolist())]
    rows, columns = np.array(alike + by_artist).T
    size = len(labels) + len(known)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    joined: list[int] = connected_components(graph, directed=False)[1][: len(labels)].tolist()
    return joined


def _names(records: list[Record], artists: list[tuple[str, ...]], labels: list[int]) -> dict[int, str]:
    """Each group's name: its first artist, who stays when pictures are added; else its least id."""
    names: dict[int, tuple[bool, str]] = {}
    for record, by, label in zip(records, artists, labels, strict=True):
        name = (False, f"artist:{by[0]}") if by else (True, record.sha256)
        names[label] = min(names.get(label, name), name)
    return {label: name for label, (_, name) in names.items()}


def choose_split(group: str, recipe: Recipe) -> Split:
    """Split of the group named by its least id: SHA-256 of seed and name, read as a number in [0, 1)."""
    digest = hashlib.sha256(f"{recipe.seed}:{group}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < recipe.splits.test:
        return "test"
    return "validation" if share < recipe.splits.test + recipe.splits.validation else "train"
