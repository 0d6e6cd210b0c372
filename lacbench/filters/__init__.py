"""One file per question asked of a picture; each answers with a reason.

A filter is a function `(record, limits) -> Verdict`. A new one is a file here and a line in FILTERS. Two are
asked at other times: `declared` before a picture is downloaded, `classify` of what all others kept.
"""

from collections.abc import Callable

from lacbench.filters.animation import animation
from lacbench.filters.border import border
from lacbench.filters.classifier import classify
from lacbench.filters.colored import colored
from lacbench.filters.declared import declared
from lacbench.filters.lineart import lineart
from lacbench.filters.ratio import ratio
from lacbench.filters.size import size
from lacbench.filters.sketch import sketch
from lacbench.filters.transparency import transparency
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, LedgerEntry, Record, Verdict

__all__ = ["FILTERS", "Filter", "classify", "declared", "judge"]

Filter = Callable[[Record, FilterSpec], Verdict]
"""Answers one question; asked in order, the first no decides."""

FILTERS: tuple[Filter, ...] = (
    size,
    ratio,
    animation,
    transparency,
    border,
    colored,
    sketch,
    lineart,
)


def judge(records: list[Record], limits: FilterSpec) -> tuple[list[Record], list[LedgerEntry]]:
    """Ask every filter of every record: those kept, and a ledger entry with a reason for each other."""
    kept, dropped = [], []
    for record in records:
        verdict = next((v for ask in FILTERS if not (v := ask(record, limits)).kept), KEPT)
        if verdict.kept:
            kept.append(record)
        else:
            dropped.append(LedgerEntry(record.candidate, verdict, record.sha256, record.statistics))
    return kept, dropped
