"""Files of rows, read one by one whatever their size: JSON lines, CSV, Parquet, compressed or plain."""

import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lacbench.errors import InputError

LONGEST = 16 * 2**20
"""Bytes of one line; a longer one counts as broken, and is never held as a whole."""
COMPRESSED = (".gz", ".xz", ".zst")
"""Suffixes of compressed files."""
BATCH = 1000
"""Rows that are held at once."""

Row = tuple[int, dict[str, Any] | None]
"""A row's number, from 1 on, and what it says by column; None for a broken one."""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, by its suffix; they are read while they are asked for.

    Raises:
        InputError: it is not there, is cut off, or is of no kind that is known.
    """
    kind = path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix
    reader = {".csv": csv_rows, ".jsonl": json_lines, ".json": json_lines, ".parquet": parquet_rows}.get(kind)
    if reader is None or (reader is parquet_rows and path.suffix in COMPRESSED):
        raise InputError(
            f"{path} is of no known kind: expected .parquet, or .csv or .jsonl, "
            f"perhaps with {', '.join(COMPRESSED)}"
        )
    return reader(path)


def json_lines(path: Path) -> Iterator[Row]:
    """One JSON object a line; empty lines are passed over, and counted."""
    number = 0
    with _readable(path), closing(_opened(path)) as stream:
        while line := stream.readline(LONGEST):
            number += 1
            broken = not line.endswith(b"\n") and len(line) == LONGEST
            while broken and line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST)
            if line.strip():
                yield number, None if broken else _object(line)


def csv_rows(path: Path) -> Iterator[Row]:
    """Comma-separated values, UTF-8, with a head line; the row after the head is 1."""
    with _readable(path), io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text)
        head = [name.strip().lower() for name in next(rows, [])]
        for number, row in enumerate((row for row in rows if row), 1):
            yield number, dict(zip(head, row, strict=False))


def parquet_rows(path: Path) -> Iterator[Row]:
    """Parquet, a batch at a time."""
    number = 0
    with _readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".zst":
        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a file refuses into an InputError."""
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {_said(error)}; mend it") from error


def _said(error: Exception) -> str:
    """What a library says, without the path that it repeats."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
