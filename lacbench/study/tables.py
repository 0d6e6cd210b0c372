"""Tables of what raters said, as files: CSV or Parquet, every bad value named with its line."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import StudyError

ROLES = ("main", "repeat", "gold", "training")
"""What a rating is for: `main` is analysed, `repeat` tells how steady a rater is; others are left out."""
OPTIONAL = ("role", "milliseconds", "position")
"""Columns that any table may have."""
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of what is no text on one line."""
Where = Callable[[int], str]
"""Names a row, for people."""


def read_table(path: Path, wanted: Sequence[str]) -> tuple[dict[str, list[Any]], Where]:
    """Columns of a .csv (UTF-8) or .parquet file, and what names its rows; only `wanted` ones of Parquet.

    Raises StudyError where there is no such file, or it cannot be read.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise StudyError(f"{path}: expected a table of ratings, .csv or .parquet; give a file of that kind")
    if not path.is_file():
        raise StudyError(f"{path}: there is no such file; give a table of ratings, .csv or .parquet")
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path, wanted), lambda row: f"{path}, row {row + 1}"
    columns, lines = _read_csv(path)
    return columns, lambda row: f"{path}, line {lines[row]}"


def read_name(value: Any, column: str, where: Where, row: int) -> str:
    """A name of a column, without spaces around; raises StudyError where there is none."""
    name = "" if _is_empty(value) else str(value).strip()
    if not name:
        raise StudyError(f"{where(row)}: the {column} is empty; expected a name")
    if not is_one_line(name):
        told = f"{where(row)}: expected a {column} without control characters and line feeds"
        raise StudyError(f"{told}, got {name!r}; rename it")
    return name


def is_one_line(name: str) -> bool:
    """Whether there are no control characters and line feeds in a name.

    A line feed would break tables, an escape sequence take over the terminal they are printed on.
    """
    return name.isprintable() or not any(category(character) in _CONTROL for character in name)


def _is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN (as data frames have it), or no text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def read_role(value: Any, where: Where, row: int) -> str:
    """A row's role, `main` where none is told; raises StudyError for one that is not known."""
    role = "main" if _is_empty(value) else str(value).strip()
    if role not in ROLES:
        raise StudyError(
            f"{where(row)}: expected a role out of {', '.join(ROLES)}, got {role!r}; mend or drop it"
        )
    return role


def as_number(value: Any) -> float:
    """The value as a number; NaN for what is none."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def read_numbers(
    columns: Mapping[str, Sequence[Any]], name: str, rows: list[int], where: Where
) -> NDArray[np.float64]:
    """An optional column of numbers ≥ 0; NaN where it is not there or empty."""
    if name not in columns:
        return np.full(len(rows), np.nan)
    numbers = np.empty(len(rows))
    for place, row in enumerate(rows):
        value = columns[name][row]
        numbers[place] = as_number(value)
        if not _is_empty(value) and not 0 <= numbers[place] < math.inf:
            raise StudyError(
                f"{where(row)}: expected a number in {name}, got {value!r}; mend it or leave it empty"
            )
    return numbers


def _read_csv(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """A CSV file's columns, and each row's line; the byte order mark of spreadsheets is taken."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise StudyError(
                        f"{path}, line {reader.line_num}: expected {len(header)} values as in the header, "
                        f"got {len(row)}; mend the line"
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except (csv.Error, UnicodeError, OSError) as error:
        raise StudyError(
            f"{path}: expected CSV in UTF-8, got what cannot be read ({error}); save it so"
        ) from error
    if len(header) == 1 and (sign := next((sign for sign in ";\t|" if sign in header[0]), "")):
        raise StudyError(
            f"{path}: expected commas between values, got {header[0]!r}; write them for {sign!r}"
        )
    _check_once(header, path)
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}, lines


def _check_once(names: list[str], path: Path) -> None:
    if len(set(names)) != len(names):
        raise StudyError(f"{path}: a column is there twice ({', '.join(names)}); expected each once")


def _read_parquet(path: Path, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """A Parquet file's columns, those that are looked at."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            here = [name for name in file.schema_arrow.names if name in wanted]
            _check_once(here, path)
            table = file.read(columns=here)
            # Some programs write text as bytes, without a word that it is text.
            plain = [
                pa.string() if kind in (pa.binary(), pa.large_binary()) else kind
                for kind in table.schema.types
            ]
            table = table.cast(pa.schema(list(zip(here, plain, strict=True))))
            columns: dict[str, list[Any]] = table.to_pydict()
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise StudyError(f"{path}: expected a Parquet file, got what cannot be read ({error})") from error
    return columns
