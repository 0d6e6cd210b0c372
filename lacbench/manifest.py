"""Parquet manifests ↔ records: atomic, byte-stable, checked when read; and the data set's digest."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lacbench.errors import InputError
from lacbench.files import atomic, sha256_json, write_text
from lacbench.hashing import ALGORITHM, HASH_BYTES
from lacbench.records import (
    SETS,
    Candidate,
    Dataset,
    LedgerEntry,
    Member,
    Pair,
    Record,
    Statistics,
    Verdict,
)

VERSION = "2"
"""Version of the manifests; another one is refused, not guessed at."""

ROWS = 10_000
"""Rows that are written or read at a time."""

_TEXT = pa.string()
_CANDIDATE = [
    (f.name, {"score": pa.int64(), "tags": pa.list_(_TEXT)}.get(f.name, _TEXT))
    for f in fields(Candidate)
    if f.compare  # not what only matters while a data set is being built
]
_STATISTICS = [
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("format", _TEXT),
    ("frames", pa.int32()),
    ("transparency", pa.float64()),
    ("border", pa.float64()),
    ("colorfulness", pa.float64()),
    ("paper", pa.float64()),
    ("ink", pa.float64()),
    ("hues", pa.float64()),
    ("chroma", pa.float64()),
    ("solid", pa.float64()),
    ("shading", pa.float64()),
    ("reach", pa.float64()),
    # Never through a float column: one null would turn the bits into a double.
    ("phash", pa.binary(HASH_BYTES)),
    ("ink_hash", pa.binary(HASH_BYTES)),
    ("sparse", pa.bool_()),
]
_VERDICT = [
    ("kept", pa.bool_()),
    ("reason", _TEXT),
    ("detail", _TEXT),
    ("keeper", _TEXT),
    ("distance", pa.int32()),
]
_METADATA = {"lacbench.manifest": VERSION, "lacbench.hash": ALGORITHM}

MEMBERS = pa.schema(
    [("sha256", _TEXT), ("file", _TEXT), ("split", _TEXT), *_CANDIDATE, *_STATISTICS], _METADATA
)
"""Columns of `illustrations.parquet` and `linearts.parquet`."""
LEDGER = pa.schema([*_CANDIDATE, ("sha256", _TEXT), *_VERDICT, *_STATISTICS], _METADATA)
"""Columns of `ledger.parquet`."""
PAIRS = pa.schema(
    [
        ("sha256", _TEXT),
        ("sigma", pa.float64()),
        ("size", pa.int32()),
        ("path", _TEXT),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("split", _TEXT),
    ],
    _METADATA,
)
"""Columns of `pairs.parquet`."""
REVIEW = pa.schema([("a", _TEXT), ("b", _TEXT), ("distance", pa.int32())], _METADATA)
"""Columns of `review.parquet`: two ids, and the bits of 256 by which their hashes differ."""

_ID, _SPLIT = "[0-9a-f]{64}", "train|validation|test"
_LICENSE_FILE = r"(licenses/[\w@.+-]+)?"
_REASON = "[a-z-]*"
MEMBER_FORM = {
    "sha256": _ID,
    "file": rf"images/[0-9a-f]{{2}}/{_ID}\.[a-z]+",
    "split": _SPLIT,
    "license_file": _LICENSE_FILE,
}
"""What ids and paths look like; a data set from a stranger is read no further than its own folder."""
LEDGER_FORM = {
    "sha256": f"({_ID})?",
    "keeper": f"({_ID})?",
    "reason": _REASON,
    "license_file": _LICENSE_FILE,
}
"""The same of the ledger; the card's pictures are named by its reasons."""
PAIR_FORM = {"sha256": _ID, "path": rf"pairs/\d+/\d+(\.\d+)?(e-?\d+)?/{_ID}\.png", "split": _SPLIT}
"""The same of the pairs."""
REVIEW_FORM = {"a": _ID, "b": _ID}
"""The same of the pictures to review."""


def save_dataset(
    folder: Path,
    illustrations: Iterable[Member],
    linearts: Iterable[Member],
    ledger: Iterable[LedgerEntry],
    recipe: str,
) -> Dataset:
    """Write manifests, ledger and the recipe's copy; the same content gives the same bytes.

    The ledger comes sorted by source, key and set; it is written as it comes, and never held whole.
    """
    order = {"illustrations": tuple(illustrations), "linearts": tuple(linearts)}
    write_text(folder / "recipe.toml", recipe)
    _write(folder / "ledger.parquet", (_entry_row(e) for e in ledger), LEDGER)
    for name in SETS:
        _write(folder / f"{name}.parquet", [_member_row(m) for m in order[name]], MEMBERS)
    return Dataset(
        folder, digest(**order), **order, ledger=LedgerFile(folder / "ledger.parquet"), recipe=recipe
    )


def load_dataset(folder: Path) -> Dataset:
    """Read a data set's folder. Raises InputError where it holds none, or one of another version."""
    missing = [f for f in ("illustrations", "linearts", "ledger") if not (folder / f"{f}.parquet").is_file()]
    if missing:
        raise InputError(
            f"{folder} is no data set: {missing[0]}.parquet is missing; make one: lacbench build-dataset"
        )
    order = {name: load_members(folder / f"{name}.parquet") for name in SETS}
    ledger = LedgerFile(folder / "ledger.parquet")
    recipe = folder / "recipe.toml"
    text = recipe.read_text("utf-8", errors="replace") if recipe.is_file() else ""
    return Dataset(folder, digest(**order), **order, ledger=ledger, recipe=text)


def load_members(path: Path) -> tuple[Member, ...]:
    """Read one set's manifest. Raises InputError for what is no manifest of ours."""
    members = tuple(_member(row) for row in _whole_rows(path, MEMBERS, optional="score"))
    _check(path, MEMBER_FORM)
    return members


def digest(illustrations: Sequence[Member], linearts: Sequence[Member]) -> str:
    """SHA-256 over ids, splits and true pairs of both sets, in the order of the ids."""
    sets = {"illustrations": illustrations, "linearts": linearts}
    return sha256_json(
        {
            name: sorted([m.record.sha256, m.split, m.record.candidate.pair] for m in members)
            for name, members in sets.items()
        }
    )


def save_review(folder: Path, pairs: Iterable[tuple[str, str, int]]) -> None:
    """Write `review.parquet`: kept pictures (ids a, b) that are nearly duplicates, for a person's eye."""
    _write(folder / "review.parquet", ({"a": a, "b": b, "distance": d} for a, b, d in pairs), REVIEW)


def load_review(folder: Path) -> tuple[tuple[str, str, int], ...]:
    """Read `review.parquet`; empty where there is none. Raises InputError for what is no such file."""
    path = folder / "review.parquet"
    if not path.is_file():
        return ()
    pairs = tuple((row["a"], row["b"], row["distance"]) for row in _rows(path, REVIEW))
    _check(path, {"a": _ID, "b": _ID})
    return pairs


def save_pairs(folder: Path, pairs: Sequence[Pair]) -> None:
    """Write `pairs.parquet`, atomically."""
    _write(folder / "pairs.parquet", [asdict(pair) for pair in pairs], PAIRS)


def load_pairs(folder: Path) -> tuple[Pair, ...]:
    """Read `pairs.parquet`. Raises InputError where there is none."""
    path = folder / "pairs.parquet"
    if not path.is_file():
        raise InputError(f"{folder} has no pairs: pairs.parquet is missing; make them with `lacbench pairs`")
    pairs = tuple(Pair(**row) for row in _whole_rows(path, PAIRS))
    _check(path, PAIR_FORM)
    return pairs


def check_manifest(path: Path) -> None:
    """Raise InputError unless the file is the manifest that its name says, and leads nowhere outside.

    It is gone through in pieces and never held. Names: illustrations, linearts, ledger, review (.parquet).
    """
    kinds = {"ledger": (LEDGER, LEDGER_FORM), "review": (REVIEW, REVIEW_FORM)}
    schema, form = kinds.get(path.stem, (MEMBERS, MEMBER_FORM))
    with _opened(path, schema):
        _check(path, form)


class LedgerFile:
    """A ledger on disk, read in pieces whenever it is gone through: it may be longer than memory."""

    def __init__(self, path: Path) -> None:
        """Open and check it. Raises InputError for what is no ledger of ours."""
        self._path = path
        with _opened(path, LEDGER) as file:
            self._length = int(file.metadata.num_rows)
        _check(path, LEDGER_FORM)

    def __iter__(self) -> Iterator[LedgerEntry]:
        """All entries, sorted by source, key and set."""
        return (_entry(row) for row in _rows(self._path, LEDGER))

    def __len__(self) -> int:
        """How many there are."""
        return self._length

    def reasons(self) -> Iterator[str]:
        """The reason of each entry; empty for kept."""
        return (row["reason"] for row in _rows(self._path, LEDGER, ["reason"]))


def _write(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet, atomically and in pieces."""
    remaining = iter(rows)
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while part := list(islice(remaining, ROWS)):
            writer.write_table(pa.Table.from_pylist(part, schema))


@contextmanager
def _opened(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
    """Open a manifest. Raises InputError for another file, another version, and what breaks in reading."""
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(path, file.schema_arrow, schema)
            yield file
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no manifest: {error}; build the data set again") from error


def _check_schema(path: Path, got: pa.Schema, expected: pa.Schema) -> None:
    """Raise InputError for another version, hashes of another kind, and columns that we do not write so."""
    told = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (got.metadata or {}).items()}
    version, kind = told.get("lacbench.manifest", "none"), told.get("lacbench.hash", "none")
    problem = ""
    if version != VERSION:
        problem = f"is a manifest of version {version}, expected {VERSION}"
    elif kind != ALGORITHM:
        problem = f"has hashes of kind {kind}, expected {ALGORITHM}"
    else:
        problem = next(filter(None, (_misfit(got, column) for column in expected)), "")
    if not problem and (strange := [name for name in got.names if name not in expected.names]):
        problem = f"has {strange[0][:80]}, which no manifest of ours has"
    if not problem and got.names != expected.names:
        problem = f"has its columns in another order, expected {', '.join(expected.names)}"
    if problem:
        raise InputError(f"{path} {problem}; build the data set again")


def _misfit(got: pa.Schema, column: pa.Field) -> str:
    """What is wrong with a column; empty for nothing."""
    number = got.names.count(column.name)
    if number != 1:
        return f"has {f'{column.name} twice' if number else f'no {column.name}'}, expected {column.type}"
    kind = got.field(column.name).type
    return "" if kind == column.type else f"has {column.name} as {kind}, expected {column.type}"


def _rows(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    with _opened(path, schema) as file:
        for batch in file.iter_batches(ROWS, columns=columns):
            yield from batch.to_pylist()


def _whole_rows(path: Path, schema: pa.Schema, optional: str = "") -> Iterator[dict[str, Any]]:
    """Rows without an empty cell, of pictures with an area. Raises InputError."""
    for number, row in enumerate(_rows(path, schema)):
        told = ""
        if gone := [name for name, value in row.items() if value is None and name != optional]:
            told = f"has no {gone[0]} in row {number}, expected {schema.field(gone[0]).type}"
        elif flat := [name for name in ("width", "height") if row[name] < 1]:
            told = f"has {row[flat[0]]} as {flat[0]} in row {number}, expected 1 or more"
        if told:
            raise InputError(f"{path} {told}; build the data set again")
        yield row


def _check(path: Path, patterns: dict[str, str]) -> None:
    """Raise InputError unless every value of the named columns is of its form: no path may lead outside."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS, columns=list(patterns)):
                for column, pattern in patterns.items():
                    values = batch.column(column)
                    fits = pc.match_substring_regex(values, rf"\A(?:{pattern})\z")
                    wrong = values.filter(pc.invert(pc.fill_null(fits, False)))
                    if len(wrong):
                        raise InputError(
                            f"{path} has {str(wrong[0].as_py())[:80]!r} as {column}, which no manifest of "
                            f"ours has; expected {pattern}; do not use this data set"
                        )
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no manifest: {error}; build the data set again") from error


def _candidate_row(candidate: Candidate) -> dict[str, Any]:
    return {name: getattr(candidate, name) for name, _ in _CANDIDATE}


def _member_row(member: Member) -> dict[str, Any]:
    record = member.record
    identity = {"sha256": record.sha256, "file": record.path, "split": member.split}
    return {**identity, **_candidate_row(record.candidate), **asdict(record.statistics)}


def _entry_row(entry: LedgerEntry) -> dict[str, Any]:
    measures = asdict(entry.statistics) if entry.statistics else {}
    return {**_candidate_row(entry.candidate), "sha256": entry.sha256, **asdict(entry.verdict), **measures}


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(**{name: row[name] for name, _ in _CANDIDATE} | {"tags": tuple(row["tags"])})


def _measures(row: dict[str, Any]) -> Statistics:
    return Statistics(**{name: row[name] for name, _ in _STATISTICS})


def _member(row: dict[str, Any]) -> Member:
    return Member(Record(row["sha256"], row["file"], _candidate(row), _measures(row)), row["split"])


def _entry(row: dict[str, Any]) -> LedgerEntry:
    verdict = Verdict(**{name: row[name] for name, _ in _VERDICT})
    measures = None if row["width"] is None else _measures(row)
    return LedgerEntry(_candidate(row), verdict, row["sha256"], measures)
