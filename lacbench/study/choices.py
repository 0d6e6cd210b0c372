"""The table of choices: which of two or three methods' outputs of a line art a rater found best."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import StudyError
from lacbench.study.ratings import FloatArray, IntArray
from lacbench.study.tables import OPTIONAL, ROLES, Where, read_name, read_numbers, read_role, read_table

PLACES = ("first", "second", "third")
"""Columns that hold the methods shown, in the order in which they were; `third` is empty where two were."""
COLUMNS = ("rater", "item", *PLACES[:2], "best")
"""Columns that a table of choices must have; `third`, `role`, `milliseconds`, `position` may be there too."""


@dataclass(frozen=True, eq=False)
class Choices:
    """N choices of R raters among M methods' outputs of I items (line arts)."""

    raters: tuple[str, ...]
    """Names, sorted."""
    items: tuple[str, ...]
    """Names, sorted."""
    methods: tuple[str, ...]
    """Names, sorted."""
    rater: IntArray
    """(N,) index into `raters`."""
    item: IntArray
    """(N,) index into `items`."""
    shown: NDArray[np.bool_]
    """(N, M) which methods were shown: two or three in a row."""
    best: IntArray
    """(N,) index into `methods`: the one chosen, out of those shown."""
    milliseconds: FloatArray
    """(N,) from the pictures' load to the choice, NaN where not told."""
    position: FloatArray
    """(N,) place in the rater's session, NaN where not told."""
    repeated: int = 0
    """Choices that a rater was asked for a second time."""
    repeated_alike: int = 0
    """How many of those were the same as the first."""
    left_out: int = 0
    """Choices on gold and training items, which are not here."""

    def __len__(self) -> int:
        """How many choices there are, repeats not counted."""
        return len(self.best)

    def index(self, method: str) -> int:
        """A method's index; raises StudyError where there is no such method."""
        if method not in self.methods:
            raise StudyError(f"no method is called {method!r}; choose one of: {', '.join(self.methods)}")
        return self.methods.index(method)

    def wins(self) -> IntArray:
        """(M, M): how often the row's method was chosen where the column's was shown beside it."""
        wins = np.zeros((len(self.methods),) * 2, np.int64)
        np.add.at(wins, self.best, self.shown.astype(np.int64))
        np.fill_diagonal(wins, 0)
        return wins

    @property
    def digest(self) -> str:
        """SHA-256 over names and choices: the same in whatever order the rows came."""
        columns = np.column_stack([self.rater, self.item, self.best, self.shown])
        rows = columns[np.lexsort(columns.T[::-1])].astype("<i8")
        told = hashlib.sha256(json.dumps([self.raters, self.items, self.methods]).encode())
        told.update(rows.tobytes())
        return told.hexdigest()


def read_choices(path: Path) -> Choices:
    """Read a .csv (UTF-8) or .parquet file with one row a choice, in any order.

    Columns: rater, item, first, second, best, and `third` where three were shown: `best` is the name of one
    of the methods shown. role, milliseconds and position are optional. Raises StudyError that names the
    line (CSV) or row (Parquet, from 1) and the value.
    """
    columns, where = read_table(path, (*COLUMNS, *PLACES[2:], *OPTIONAL))
    return make_choices(columns, where, str(path))


def make_choices(
    columns: Mapping[str, Sequence[Any]],
    where: Where = lambda row: f"row {row + 1}",
    source: str = "the choices",
) -> Choices:
    """Check columns of one entry a choice, as in `read_choices`, and make a table of them.

    `where` names a row, `source` the whole, in what StudyError says.
    """
    if missing := [name for name in COLUMNS if name not in columns]:
        got = ", ".join(columns) or "none"
        raise StudyError(
            f"{source}: expected the columns {', '.join(COLUMNS)}, got {got}; add {', '.join(missing)}"
        )
    rows = range(len(columns["best"]))
    roles = [read_role(columns["role"][row] if "role" in columns else "", where, row) for row in rows]
    main, again, gold, training = ([row for row in rows if roles[row] == role] for role in ROLES)
    if not main:
        raise StudyError(f"{source}: there are no choices; expected one row for each, under a header")
    raters, items, bests = (
        [read_name(columns[name][row], name, where, row) for row in rows]
        for name in ("rater", "item", "best")
    )
    shown = [_shown(columns, where, row, bests[row]) for row in rows]
    keys = [(raters[row], items[row], frozenset(shown[row])) for row in rows]
    first = _first_rows(keys, main, where)
    for row in again:
        if keys[row] not in first:
            raise StudyError(f"{where(row)}: a repeat of a choice that has no first one; leave the row out")
    levels = [sorted({values[row] for row in main}) for values in (raters, items)]
    methods = sorted({name for row in main for name in shown[row]})
    return Choices(
        raters=tuple(levels[0]),
        items=tuple(levels[1]),
        methods=tuple(methods),
        rater=np.array([levels[0].index(raters[row]) for row in main]),
        item=np.array([levels[1].index(items[row]) for row in main]),
        shown=np.array([[method in shown[row] for method in methods] for row in main]),
        best=np.array([methods.index(bests[row]) for row in main]),
        milliseconds=read_numbers(columns, "milliseconds", main, where),
        position=read_numbers(columns, "position", main, where),
        repeated=len(again),
        repeated_alike=sum(bests[row] == bests[first[keys[row]]] for row in again),
        left_out=len(gold) + len(training),
    )


Key = tuple[str, str, frozenset[str]]


def _first_rows(keys: list[Key], rows: list[int], where: Where) -> dict[Key, int]:
    """The row of each (rater, item, methods shown); raises StudyError where there are two."""
    first: dict[Key, int] = {}
    for row in rows:
        if (before := first.setdefault(keys[row], row)) != row:
            rater, item, shown = keys[row]
            raise StudyError(
                f"{where(row)}: rater {rater!r} chose among {', '.join(sorted(shown))} of item {item!r} "
                f"before, at {where(before)}; keep one of the two, or give the later one the role repeat"
            )
    return first


def _shown(columns: Mapping[str, Sequence[Any]], where: Where, row: int, best: str) -> tuple[str, ...]:
    """The methods shown; raises StudyError where one is there twice, or the best is none of them."""
    third = columns["third"][row] if "third" in columns else None
    places = PLACES[: 2 if third is None or third != third or str(third).strip() == "" else 3]
    shown = tuple(read_name(columns[place][row], place, where, row) for place in places)
    if len(set(shown)) != len(shown):
        raise StudyError(f"{where(row)}: expected different methods side by side, got {', '.join(shown)}")
    if best not in shown:
        raise StudyError(f"{where(row)}: expected the best out of {', '.join(shown)}, got {best!r}; mend it")
    return shown
