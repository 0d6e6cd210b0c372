"""A manifest as people leaf through it: filtered by any column, and read a page at a time, never whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from lacbench.errors import InputError
from lacbench.manifest import ROWS, check_manifest

FEW = 40
"""A column of text with at most so many values is one of categories."""


@dataclass(frozen=True)
class Column:
    """What a column can be filtered by."""

    name: str
    """As the manifest has it."""
    kind: Literal["number", "category", "text"]
    """Numbers have a range, categories values; text is searched, and so are lists of words."""
    least: int | float = 0
    """The least number."""
    most: int | float = 0
    """The greatest number."""
    values: tuple[Any, ...] = ()
    """The categories, sorted."""


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, both included."""

    least: int | float
    most: int | float


@dataclass(frozen=True)
class OneOf:
    """Any of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Contains:
    """Text that contains this one, whatever the case; of a list, its words parted by spaces."""

    text: str


Conditions = Mapping[str, Range | OneOf | Contains]
"""What is asked of a row, by column; all of it must hold. An empty cell meets no condition."""


class Leaves:
    """A manifest of ours: illustrations, line arts, ledger, or pictures to review."""

    def __init__(self, path: Path) -> None:
        """Open and check it. Raises InputError for what is no manifest of ours."""
        check_manifest(path)
        self._path = path

    def columns(self) -> list[Column]:
        """The columns that have something to filter by, in the manifest's order: not hashes, nor what all
        rows share."""
        told = (self._column(field) for field in self._source().schema)
        return [column for column in told if column]

    def count(self, conditions: Conditions) -> int:
        """Rows that meet the conditions."""
        return int(self._scanner(conditions, []).count_rows())

    def page(self, conditions: Conditions, first: int, most: int) -> list[dict[str, Any]]:
        """Up to `most` rows that meet the conditions, of these from the `first` on, 0 the first."""
        rows: list[dict[str, Any]] = []
        for batch in self._scanner(conditions).to_batches():
            rows += batch.slice(first, most - len(rows)).to_pylist()
            first = max(0, first - len(batch))
            if len(rows) == most:
                break
        return rows

    def _source(self) -> Any:
        try:
            return pads.dataset(self._path, format="parquet")
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self._path} is not there any more: {error}; start `lacbench explore` anew"
            ) from error

    def _scanner(self, conditions: Conditions, columns: list[str] | None = None) -> Any:
        source = self._source()
        terms = [_term(source.schema.field(name), wanted) for name, wanted in conditions.items()]
        wanted = reduce(and_, terms) if terms else None
        # Little is read ahead: rows are wide, and few of them are shown.
        return source.scanner(
            filter=wanted, columns=columns, batch_size=ROWS, batch_readahead=1, fragment_readahead=1
        )

    def _column(self, field: pa.Field) -> Column | None:
        kind = field.type
        if pa.types.is_list(kind):
            return Column(field.name, "text")
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            ends = [pc.min_max(part).as_py() for part in self._parts(field.name)]
            lows, highs = ([e[end] for e in ends if e[end] is not None] for end in ("min", "max"))
            return Column(field.name, "number", min(lows), max(highs)) if lows else None
        if not (pa.types.is_string(kind) or pa.types.is_boolean(kind)):
            return None
        values: set[Any] = set()
        for part in self._parts(field.name):
            values |= set(pc.unique(part).to_pylist()) - {None}
            if len(values) > FEW:
                return Column(field.name, "text")
        return Column(field.name, "category", values=tuple(sorted(values))) if len(values) > 1 else None

    def _parts(self, name: str) -> Iterator[pa.Array]:
        """A column, piece by piece."""
        return (batch.column(0) for batch in self._scanner({}, [name]).to_batches())


def _term(field: pa.Field, wanted: Range | OneOf | Contains) -> Any:
    cell = pc.field(field.name)
    if isinstance(wanted, Range):
        return (cell >= wanted.least) & (cell <= wanted.most)
    if isinstance(wanted, OneOf):
        return cell.isin(pa.array(wanted.values, field.type))
    text = pc.binary_join(cell, " ") if pa.types.is_list(field.type) else cell
    return pc.match_substring(text, wanted.text, ignore_case=True)
