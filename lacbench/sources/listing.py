"""Sources that list page by page: where to go on, and when there is enough."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from lacbench.records import SETS, Candidate, Set
from lacbench.sources.base import Page, Source

PAGE = 1000
"""Candidates on a page of a file's rows."""


def within_limit(
    source: Source, cursor: str, sets: tuple[Set, ...], listed: Callable[[str], Iterator[Page]]
) -> Iterator[Page]:
    """What `listed` gives after a cursor, until the source's `limit` of each of its sets is reached.

    Pictures that the source itself refuses, and those whose file cannot be had, do not count. The counts
    travel in the cursor, so that a run which goes on later ends at the same picture.
    """
    if source.limit is None:
        yield from listed(cursor)
        return
    place, *told = cursor.split("|")
    taken = Counter({name: position(count) for name, count in zip(SETS, told, strict=False)})
    if full(source, sets, taken):
        return
    for page in listed(place):
        kept = tuple(c for c in page.candidates if _counted(source, taken, c))
        counts = "|".join(str(taken[name]) for name in SETS)
        yield replace(page, candidates=kept, cursor=f"{page.cursor}|{counts}")
        if full(source, sets, taken):
            return


def paged(rows: Iterable[tuple[int, Candidate]], start: int) -> Iterator[Page]:
    """Numbered candidates, in pages, but for those up to `start`."""
    batch: list[Candidate] = []
    last = start
    for last, candidate in rows:
        if last > start:
            batch.append(candidate)
        if len(batch) == PAGE:
            yield Page(tuple(batch), str(last))
            batch.clear()
    if batch:
        yield Page(tuple(batch), str(last))


def full(source: Source, sets: tuple[Set, ...], taken: Counter[Set]) -> bool:
    """Whether each of the sets has as many pictures as the source may give."""
    return source.limit is not None and all(taken[name] >= source.limit for name in sets)


def position(cursor: str) -> int:
    """A place in a list; 0, its start, for anything else."""
    return int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) < 19 else 0


def _counted(source: Source, taken: Counter[Set], candidate: Candidate) -> bool:
    """Whether the candidate is still offered; counts it where it can become a picture."""
    if source.limit is not None and taken[candidate.set] >= source.limit:
        return False
    taken[candidate.set] += source.accepts(candidate).kept and (
        candidate.url != "" or candidate.path.name != ""
    )
    return True
