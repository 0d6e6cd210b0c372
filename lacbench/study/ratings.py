"""The table of ratings: who gave which score to which method's output of which line art; read and checked."""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import StudyError
from lacbench.study.tables import (
    OPTIONAL,
    ROLES,
    Where,
    as_number,
    read_name,
    read_numbers,
    read_role,
    read_table,
)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SCORES = (1.0, 2.0, 3.0, 4.0, 5.0)
"""The scale: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent."""
COLUMNS = ("rater", "item", "method", "score")
"""Columns that a table of ratings must have; `role`, `milliseconds` and `position` may come beside them."""
LARGEST = 20_000_000
"""Methods × raters × items that are analysed; of the paper's study these are 9,024."""


@dataclass(frozen=True, eq=False)
class Repeats:
    """Second ratings of outputs that the same rater had rated before, each beside the first."""

    rater: IntArray
    """(M,) index into the ratings' raters."""
    item: IntArray
    """(M,) index into the ratings' items."""
    method: IntArray
    """(M,) index into the ratings' methods."""
    first: FloatArray
    """(M,) the score that is analysed, 1–5."""
    second: FloatArray
    """(M,) the score given later, 1–5, never analysed as a rating of its own."""

    def __len__(self) -> int:
        """How many second ratings there are."""
        return len(self.second)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of R raters, I items (line arts) and M methods: N of the R·I·M that there could be."""

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
    method: IntArray
    """(N,) index into `methods`."""
    score: FloatArray
    """(N,) 1 (bad) to 5 (excellent), whole numbers."""
    milliseconds: FloatArray
    """(N,) from the picture's load to the score, NaN where not told."""
    position: FloatArray
    """(N,) place in the rater's session, NaN where not told."""
    repeats: Repeats
    """Second ratings, kept apart."""
    left_out: int = 0
    """Ratings of gold and training items, which are not here."""

    def __len__(self) -> int:
        """How many ratings there are, repeats not counted."""
        return len(self.score)

    def index(self, method: str) -> int:
        """A method's index; raises StudyError where there is no such method."""
        if method not in self.methods:
            raise StudyError(f"no method is called {method!r}; choose one of: {', '.join(self.methods)}")
        return self.methods.index(method)

    def cube(self) -> FloatArray:
        """All scores, (M, R, I), NaN where missing. Raises StudyError where these are over `LARGEST`."""
        scores = self._none_yet(len(self.methods))
        scores[self.method, self.rater, self.item] = self.score
        return scores

    def matrix(self, method: str) -> FloatArray:
        """A method's scores, (R, I), NaN where missing. Raises StudyError if unknown, or as `cube`."""
        rows = self.method == self.index(method)
        scores: FloatArray = self._none_yet(1)[0]
        scores[self.rater[rows], self.item[rows]] = self.score[rows]
        return scores

    def _none_yet(self, methods: int) -> FloatArray:
        shape = (methods, len(self.raters), len(self.items))
        if math.prod(shape) > LARGEST:
            told = " × ".join(
                f"{n:,} {what}" for n, what in zip(shape, ("methods", "raters", "items"), strict=True)
            )
            raise StudyError(f"{told} are too many for a table; expected up to {LARGEST:,}, rated or not")
        return np.full(shape, np.nan)

    def differences(self, ours: str, other: str) -> FloatArray:
        """`ours` − `other` of each rater and item, (R, I), NaN where either is missing. Raises StudyError."""
        return self.matrix(ours) - self.matrix(other)

    def without(self, raters: Collection[str]) -> "Ratings":
        """The same ratings less those of some raters; items and methods keep their places."""
        kept = tuple(name for name in self.raters if name not in raters)
        place = np.array([kept.index(name) if name in kept else -1 for name in self.raters], dtype=np.int64)
        rows, repeated = place[self.rater] >= 0, place[self.repeats.rater] >= 0
        seconds = {name: values[repeated] for name, values in vars(self.repeats).items()}
        names = ("rater", "item", "method", "score", "milliseconds", "position")
        firsts = {name: getattr(self, name)[rows] for name in names}
        seconds["rater"], firsts["rater"] = place[seconds["rater"]], place[firsts["rater"]]
        return replace(self, raters=kept, repeats=Repeats(**seconds), **firsts)

    @property
    def digest(self) -> str:
        """SHA-256 over names and scores, repeats included: the same in whatever order the rows came."""
        firsts = (self.rater, self.item, self.method, self.score)
        again = self.repeats
        seconds = (again.rater, again.item, again.method, again.second)
        told = hashlib.sha256(json.dumps([self.raters, self.items, self.methods]).encode())
        for columns in (firsts, seconds):
            order = np.lexsort(columns[::-1])
            told.update(np.stack([column[order] for column in columns], axis=1).astype("<f8").tobytes())
        return told.hexdigest()


def read_ratings(path: Path) -> Ratings:
    """Read a .csv (UTF-8) or .parquet file with one row a rating, in any order.

    Columns: rater, item, method, score (1–5); role, milliseconds and position are optional, others are not
    looked at. Raises StudyError that names the line (CSV) or row (Parquet, from 1) and the value.
    """
    columns, where = read_table(path, (*COLUMNS, *OPTIONAL))
    return make_ratings(columns, where, str(path))


def make_ratings(
    columns: Mapping[str, Sequence[Any]],
    where: Where = lambda row: f"row {row + 1}",
    source: str = "the ratings",
) -> Ratings:
    """Check columns of one entry a rating, as in `read_ratings`, and make a table of them.

    `where` names a row, `source` the whole, in what StudyError says.
    """
    missing = [name for name in COLUMNS if name not in columns]
    if "best" in columns and "score" in missing:
        raise StudyError(f"{source}: expected scores, got choices; `lacbench mos report` analyses these")
    if missing:
        got = ", ".join(columns) or "none"
        raise StudyError(
            f"{source}: expected the columns {', '.join(COLUMNS)}, got {got}; add {', '.join(missing)}"
        )
    role = [read_role(value, where, row) for row, value in enumerate(columns.get("role", ()))]
    role = role or ["main"] * len(columns["score"])
    main, again, gold, training = ([row for row, value in enumerate(role) if value == r] for r in ROLES)
    if not main:
        raise StudyError(f"{source}: there are no ratings; expected one row for each, under a header")
    names = [[read_name(v, name, where, row) for row, v in enumerate(columns[name])] for name in COLUMNS[:3]]
    scores = np.array([_score(value, where, row) for row, value in enumerate(columns["score"])])
    cells = list(zip(*names, strict=True))
    first = _first_rows(cells, main, where)
    for row in again:
        if cells[row] not in first:
            told = f"{where(row)}: a repeat of {_told(cells[row])}, which has no first rating"
            raise StudyError(f"{told}; add that, or leave the row out")
    (raters, rater), (items, item), (methods, method) = (_coded(column, main) for column in names)
    firsts = scores[[first[cells[row]] for row in again]] if again else scores[:0]
    return Ratings(
        raters,
        items,
        methods,
        rater[main],
        item[main],
        method[main],
        scores[main],
        milliseconds=read_numbers(columns, "milliseconds", main, where),
        position=read_numbers(columns, "position", main, where),
        repeats=Repeats(rater[again], item[again], method[again], firsts, scores[again]),
        left_out=len(gold) + len(training),
    )


Cell = tuple[str, ...]


def _first_rows(cells: list[Cell], rows: list[int], where: Where) -> dict[Cell, int]:
    """The row of each (rater, item, method); raises StudyError where there are two."""
    first: dict[Cell, int] = {}
    for row in rows:
        if (before := first.setdefault(cells[row], row)) != row:
            raise StudyError(
                f"{where(row)}: {_told(cells[row])} was rated before, at {where(before)}; keep one of "
                "the two, or give the later one the role repeat"
            )
    return first


def _coded(names: list[str], rows: list[int]) -> tuple[tuple[str, ...], IntArray]:
    """The names in some rows, sorted, and every row's index into them (−1: not among them)."""
    level = tuple(sorted({names[row] for row in rows}))
    places = {name: place for place, name in enumerate(level)}
    return level, np.array([places.get(name, -1) for name in names], dtype=np.int64)


def _told(cell: Cell) -> str:
    rater, item, method = cell
    return f"rater {rater!r}, item {item!r}, method {method!r}"


def _score(value: Any, where: Where, row: int) -> float:
    number = as_number(value)
    if number not in SCORES:
        raise StudyError(
            f"{where(row)}: expected a score of 1, 2, 3, 4 or 5, got {value!r}; mend it, or leave the "
            "row out where there was no rating"
        )
    return number
