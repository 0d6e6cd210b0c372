"""One file per question asked of a picture; each answers with a reason.

A filter is a function `(record, limits) -> Verdict`. A new one is a file here and a line in FILTERS.
"""

from collections.abc import Callable

from lacbench.filters.colored import colored
from lacbench.filters.lineart import lineart
from lacbench.filters.size import size
from lacbench.recipe import FilterSpec
from lacbench.records import KEPT, LedgerEntry, Record, Verdict

__all__ = ["FILTERS", "Filter", "judge"]

Filter = Callable[[Record, FilterSpec], Verdict]
"""Answers one question; asked in order, the first no decides."""

FILTERS: tuple[Filter, ...] = (size, colored, lineart)


def judge(records: list[Record], limits: FilterSpec) -> tuple[list[Record], list[LedgerEntry]]:
    """Ask every filter of every record: those kept, and a ledger entry with a reason for each other."""
    kept, dropped = [], []
    for record in records:
        verdict = next((v for ask in FILTERS if not (v := ask(record, limits)).kept), KEPT)
        if verdict.kept:
            kept.append(record)
        else:
            dropped.append(LedgerEntry(record.candidate, verdict, record.sha256))
    return kept, dropped
