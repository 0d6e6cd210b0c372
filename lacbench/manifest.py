"""Parquet manifests ↔ records: atomic, byte-stable, checked when read; and the data set's digest."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
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
    ("colorfulness", pa.float64()),
    ("paper", pa.float64()),
    ("ink", pa.float64()),
    ("hues", pa.float64()),
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
LEDGER = pa.schema([*_CANDIDATE, ("sha256", _TEXT), *_VERDICT], _METADATA)
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

_ID, _SPLIT = "[0-9a-f]{64}", "train|validation|test"
_LICENSE_FILE = r"(licenses/[\w@.+-]+)?"
MEMBER_FORM = {
    "sha256": _ID,
    "file": rf"images/[0-9a-f]{{2}}/{_ID}\.[a-z]+",
    "split": _SPLIT,
    "license_file": _LICENSE_FILE,
}
"""What ids and paths look like; a data set from a stranger is read no further than its own folder."""
LEDGER_FORM = {"sha256": f"({_ID})?", "keeper": f"({_ID})?", "license_file": _LICENSE_FILE}
"""The same of the ledger."""
PAIR_FORM = {"sha256": _ID, "path": rf"pairs/\d+/\d+(\.\d+)?(e-?\d+)?/{_ID}\.png", "split": _SPLIT}
"""The same of the pairs."""


def save_dataset(
    folder: Path,
    illustrations: Iterable[Member],
    linearts: Iterable[Member],
    ledger: Iterable[LedgerEntry],
    recipe: str,
) -> Dataset:
    """Write manifests, ledger and the recipe's copy; the same content gives the same bytes."""
    order = {"illustrations": tuple(illustrations), "linearts": tuple(linearts)}
    entries = tuple(sorted(ledger, key=lambda e: (e.candidate.source, e.candidate.key, e.candidate.set)))
    write_text(folder / "recipe.toml", recipe)
    _write(folder / "ledger.parquet", [_entry_row(e) for e in entries], LEDGER)
    for name in SETS:
        _write(folder / f"{name}.parquet", [_member_row(m) for m in order[name]], MEMBERS)
    return Dataset(folder, digest(**order), **order, ledger=entries, recipe=recipe)


def load_dataset(folder: Path) -> Dataset:
    """Read a data set's folder. Raises InputError where it holds none, or one of another version."""
    missing = [f for f in ("illustrations", "linearts", "ledger") if not (folder / f"{f}.parquet").is_file()]
    if missing:
        raise InputError(
            f"{folder} is no data set: {missing[0]}.parquet is missing; make one: lacbench build-dataset"
        )
    order = {name: _load_members(folder / f"{name}.parquet") for name in SETS}
    entries = _checked(folder / "ledger.parquet", _read(folder / "ledger.parquet", LEDGER), LEDGER_FORM)
    ledger = tuple(_entry(row) for row in entries)
    recipe = folder / "recipe.toml"
    text = recipe.read_text("utf-8") if recipe.is_file() else ""
    return Dataset(folder, digest(**order), **order, ledger=ledger, recipe=text)


def digest(illustrations: Sequence[Member], linearts: Sequence[Member]) -> str:
    """SHA-256 over ids, splits and true pairs of both sets, in the order of the ids."""
    sets = {"illustrations": illustrations, "linearts": linearts}
    return sha256_json(
        {
            name: sorted([m.record.sha256, m.split, m.record.candidate.pair] for m in members)
            for name, members in sets.items()
        }
    )


def save_pairs(folder: Path, pairs: Sequence[Pair]) -> None:
    """Write `pairs.parquet`, atomically."""
    _write(folder / "pairs.parquet", [asdict(pair) for pair in pairs], PAIRS)


def load_pairs(folder: Path) -> tuple[Pair, ...]:
    """Read `pairs.parquet`. Raises InputError where there is none."""
    path = folder / "pairs.parquet"
    if not path.is_file():
        raise InputError(f"{folder} has no pairs: pairs.parquet is missing; make them with `lacbench pairs`")
    return tuple(Pair(**row) for row in _checked(path, _read(path, PAIRS), PAIR_FORM))


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")


def _read(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no manifest: {error}; build the data set again") from error
    told = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    got = told.get("lacbench.manifest", "none")
    if got != VERSION or not table.schema.equals(schema):
        raise InputError(
            f"{path} is a manifest of version {got}, expected {VERSION}; build the data set again"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _load_members(path: Path) -> tuple[Member, ...]:
    return tuple(_member(row) for row in _checked(path, _read(path, MEMBERS), MEMBER_FORM))


def _checked(path: Path, rows: list[dict[str, Any]], patterns: dict[str, str]) -> list[dict[str, Any]]:
    """The rows, when every value of the named columns is of its form: no path may lead outside the folder."""
    for column, pattern in patterns.items():
        form = re.compile(pattern)
        wrong = next((row[column] for row in rows if not form.fullmatch(str(row[column]))), None)
        if wrong is not None:
            raise InputError(
                f"{path} has {str(wrong)[:80]!r} as {column}, which no manifest of ours has; expected "
                f"{pattern}; do not use this data set"
            )
    return rows


def _candidate_row(candidate: Candidate) -> dict[str, Any]:
    return {name: getattr(candidate, name) for name, _ in _CANDIDATE}


def _member_row(member: Member) -> dict[str, Any]:
    record = member.record
    identity = {"sha256": record.sha256, "file": record.path, "split": member.split}
    return {**identity, **_candidate_row(record.candidate), **asdict(record.statistics)}


def _entry_row(entry: LedgerEntry) -> dict[str, Any]:
    return {**_candidate_row(entry.candidate), "sha256": entry.sha256, **asdict(entry.verdict)}


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(**{name: row[name] for name, _ in _CANDIDATE} | {"tags": tuple(row["tags"])})


def _member(row: dict[str, Any]) -> Member:
    statistics = Statistics(**{name: row[name] for name, _ in _STATISTICS})
    return Member(Record(row["sha256"], row["file"], _candidate(row), statistics), row["split"])


def _entry(row: dict[str, Any]) -> LedgerEntry:
    return LedgerEntry(_candidate(row), Verdict(**{name: row[name] for name, _ in _VERDICT}), row["sha256"])
