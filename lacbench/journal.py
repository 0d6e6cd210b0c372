"""What a build knows so far, in `work/journal.sqlite`: a killed build reads it and goes on.

SQLite with a write-ahead log survives `kill -9` at any moment: a row is there whole or not at all. Nothing
here is part of the data set; without it everything is asked and measured again.
"""

import errno
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lacbench.collect.download import PART_NAME
from lacbench.errors import OutputError
from lacbench.files import make_folder, refusal
from lacbench.hashing import ALGORITHM
from lacbench.reasons import REASONS
from lacbench.records import Candidate, Set, Statistics

JOURNAL = "work/journal.sqlite"
"""Where it lies in a data set's folder."""
VERSION = 1
"""Of the tables below; a journal of another version is begun anew."""

TABLES = """
CREATE TABLE listing (source TEXT PRIMARY KEY, stamp TEXT, cursor TEXT, finished INT);
CREATE TABLE candidate (
    number INTEGER PRIMARY KEY, source TEXT, key TEXT, kind TEXT, place TEXT, told TEXT, taken INT DEFAULT 0,
    UNIQUE (source, key, kind));
CREATE INDEX candidate_order ON candidate (source, kind, number);
CREATE INDEX candidate_place ON candidate (place);
CREATE TABLE fetched (
    place TEXT PRIMARY KEY, md5 TEXT, validator TEXT, sha256 TEXT, path TEXT, part TEXT, reason TEXT,
    detail TEXT, stale INT);
CREATE INDEX fetched_md5 ON fetched (md5);
CREATE INDEX fetched_part ON fetched (part) WHERE part != '';
CREATE TABLE measured (sha256 TEXT PRIMARY KEY, version TEXT, statistics TEXT, detail TEXT);
CREATE TABLE manners (told TEXT);
CREATE TABLE asked (
    host TEXT PRIMARY KEY, first TEXT, last TEXT, requests INT, bytes INT, statuses TEXT);
"""
_ASKED = ("host", "first", "last", "requests", "bytes", "statuses")
_CANDIDATE = tuple(f.name for f in fields(Candidate))
_NOWHERE = Path()
_HASHES = ("phash", "ink_hash")

MEASURES = f"{ALGORITHM} 2 {' '.join(f.name for f in fields(Statistics))}"
"""What measures are of: those of another version are taken again. Count up when a formula changes."""


@dataclass(frozen=True)
class Listed:
    """A candidate as the journal has it."""

    number: int
    """Its place in the order in which its source was listed."""
    candidate: Candidate
    """What was offered."""
    place: str
    """Where its bytes are: an address, or a local path; empty for nowhere."""


@dataclass(frozen=True)
class Fetched:
    """What became of a place."""

    place: str
    """The address, or the local path."""
    md5: str = ""
    """Of the file as it came: an SVG is stored as the PNG that it was rendered to."""
    validator: str = ""
    """What names this version: the site's ETag or date, the local file's size and time."""
    sha256: str = ""
    """Of the stored file; empty for none."""
    path: str = ""
    """Of the stored file, within the data set's folder."""
    part: str = ""
    """Name of the complete part that becomes the stored file, below `work/parts`; empty for none."""
    reason: str = ""
    """Why nothing is stored: the ledger's word."""
    detail: str = ""
    """The same for people."""
    stale: bool = False
    """Whether the site is to be asked if it still has this version."""


@dataclass(frozen=True)
class Asked:
    """What was asked of one host, over all runs."""

    host: str
    """Name, and port where it is not the usual one."""
    first: str
    """When first, UTC."""
    last: str
    """When last, UTC."""
    requests: int
    """How many requests."""
    bytes: int
    """Bytes of bodies that came."""
    statuses: dict[str, int]
    """How many of each HTTP status; `failed` where none came."""


_STORED = r"images/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]+"
_FETCHED = tuple(f.name for f in fields(Fetched))


class Journal:
    """The tables, each row written once and whole. One process, one thread."""

    def __init__(self, file: Path) -> None:
        """Open the journal, or begin one. Raises OutputError where it cannot be written."""
        make_folder(file.parent)
        self._file = file
        try:
            self._db = _open(file)
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error
        except sqlite3.DatabaseError:  # nothing to go on from; kept aside, for whoever wants to look
            for suffix in ("-wal", "-shm"):
                Path(f"{file}{suffix}").unlink(missing_ok=True)
            file.replace(file.with_suffix(".broken"))
            self._db = _open(file)

    def __enter__(self) -> Self:
        """Use the journal."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close it."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that is written inside one step: there whole or not at all."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._run("COMMIT")

    # Listings

    def listing(self, source: str, stamp: str) -> tuple[str, bool]:
        """Cursor of a source's listing and whether it is finished; begins anew under another stamp."""
        row = self._one("SELECT cursor, finished FROM listing WHERE source = ? AND stamp = ?", source, stamp)
        if row is None:
            with self.together():
                self._run("DELETE FROM candidate WHERE source = ?", source)
                self._run("REPLACE INTO listing VALUES (?, ?, '', 0)", source, stamp)
            return "", False
        return row[0], bool(row[1])

    def add_page(self, source: str, candidates: Iterable[Candidate], cursor: str) -> int:
        """Note a page of a listing; returns how many candidates are new. The first of a name stays."""
        with self.together():
            before = self._db.total_changes
            self._many(
                "INSERT OR IGNORE INTO candidate (source, key, kind, place, told) VALUES (?, ?, ?, ?, ?)",
                ((c.source, c.key, c.set, place_of(c), _told(c)) for c in candidates),
            )
            added = self._db.total_changes - before
            self._run("UPDATE listing SET cursor = ? WHERE source = ?", cursor, source)
        return added

    def finish_listing(self, source: str) -> None:
        """Note that a source has no more."""
        self._run("UPDATE listing SET finished = 1 WHERE source = ?", source)

    def forget_listing(self, source: str) -> None:
        """Forget what a source offered, and how far it was listed."""
        with self.together():
            for table in ("listing", "candidate"):
                self._run(f"DELETE FROM {table} WHERE source = ?", source)

    def forget_listings(self, but: Iterable[str] = ()) -> None:
        """Forget what all sources, `but` these, offered."""
        names = list(but)
        marks = ", ".join("?" * len(names))
        with self.together():
            for table in ("listing", "candidate"):
                self._run(f"DELETE FROM {table} WHERE source NOT IN ({marks})", *names)

    # Candidates

    def candidates(self, source: str, kind: Set, after: int = 0, limit: int = 500) -> list[Listed]:
        """Some of a source's candidates for a set, after the one of that number, in the order of listing."""
        rows = self._db.execute(
            "SELECT number, told, place FROM candidate WHERE source = ? AND kind = ? AND number > ?"
            " ORDER BY number LIMIT ?",
            (source, kind, after, limit),
        )
        return [Listed(number, _candidate(told), place) for number, told, place in rows]

    def count(self, source: str, kind: Set | None = None) -> int:
        """How many candidates of a source there are, for one set or for both."""
        query = "SELECT count(*) FROM candidate WHERE source = ? AND kind = coalesce(?, kind)"
        return int(self._one(query, source, kind)[0])

    def take(self, numbers: Iterable[int]) -> None:
        """Mark candidates as wanted in this build."""
        with self.together():
            self._many("UPDATE candidate SET taken = 1 WHERE number = ?", ((n,) for n in numbers))

    def take_none(self) -> None:
        """Want nothing yet: a build begins."""
        self._run("UPDATE candidate SET taken = 0 WHERE taken")

    def to_fetch(self) -> Iterator[tuple[str, Candidate, Fetched | None]]:
        """Places of wanted candidates, each once, with what is known of them, in the order of listing."""
        last = 0
        while True:  # in pieces: rows of `fetched` are written meanwhile
            rows = self._db.execute(
                "SELECT number, told, c.place, f.* FROM candidate c LEFT JOIN fetched f ON f.place = c.place"
                " WHERE taken AND c.place != '' AND number > ? AND number = "
                "(SELECT min(number) FROM candidate d WHERE d.place = c.place AND d.taken)"
                " ORDER BY number LIMIT 500",
                (last,),
            ).fetchall()
            for number, told, place, *known in rows:
                yield place, _candidate(told), _known(known)
                last = number
            if not rows:
                return

    def results(self) -> Iterator[tuple[Listed, Fetched, Statistics | str]]:
        """Wanted candidates that have a place, what was fetched, and its measures (or why it has none)."""
        rows = self._db.execute(
            "SELECT number, told, c.place, f.*, m.statistics, m.detail FROM candidate c "
            "JOIN fetched f ON f.place = c.place "
            "LEFT JOIN measured m ON m.sha256 = f.sha256 AND m.version = ? WHERE taken ORDER BY number",
            (MEASURES,),
        )
        for number, told, place, *known, statistics, detail in rows:
            measures = _statistics(statistics) if statistics else str(detail or "")
            fetched = _known(known) or Fetched(place, reason="failed", detail="the journal does not hold")
            yield Listed(number, _candidate(told), place), fetched, measures

    def all(self) -> Iterator[tuple[Listed, bool]]:
        """Every candidate, by source, key and set, and whether it is wanted."""
        rows = self._db.execute("SELECT number, told, place, taken FROM candidate ORDER BY source, key, kind")
        return ((Listed(number, _candidate(told), place), bool(taken)) for number, told, place, taken in rows)

    def offers(self) -> Iterator[tuple[str, Path | None]]:
        """All that is offered, as text, and its local file, by source, key and set."""
        rows = self._db.execute("SELECT told, place FROM candidate ORDER BY source, key, kind")
        for told, place in rows:
            yield told, None if not place or is_address(place) else Path(json.loads(told)["path"])

    def numbers(self, candidates: Iterable[Candidate]) -> list[int]:
        """The place of each candidate in the order in which its source was listed."""
        query = "SELECT number FROM candidate WHERE source = ? AND key = ? AND kind = ?"
        return [int(self._one(query, c.source, c.key, c.set)[0]) for c in candidates]

    # Files

    def note(self, fetched: Fetched) -> None:
        """Note what became of a place."""
        self.note_all([fetched])

    def note_all(self, fetched: Iterable[Fetched]) -> None:
        """Note what became of some places, in one step."""
        rows = [tuple(getattr(one, name) for name in _FETCHED) for one in fetched]
        with self.together():
            self._many(f"REPLACE INTO fetched VALUES ({', '.join('?' * len(_FETCHED))})", rows)

    def with_part(self) -> list[Fetched]:
        """Places whose complete part may not have been moved into the store yet."""
        rows = self._db.execute("SELECT * FROM fetched WHERE part != ''").fetchall()
        return [known for row in rows if (known := _known(row))]

    def settle_parts(self) -> None:
        """Note that all complete parts are in the store."""
        self._run("UPDATE fetched SET part = '' WHERE part != ''")

    def stored_as(self, md5: str) -> Fetched | None:
        """A place whose file has this MD5 and is stored, if there is one."""
        row = self._one("SELECT * FROM fetched WHERE md5 = ? AND sha256 != '' LIMIT 1", md5)
        return _known(row) if row else None

    def adopt(self, manners: str) -> None:
        """Forget what was not to be had under other manners of asking than these: now it may be."""
        if self._one("SELECT 1 FROM manners WHERE told = ?", manners) is None:
            with self.together():
                self._run("DELETE FROM manners")
                self._run("INSERT INTO manners VALUES (?)", manners)
                self._run("DELETE FROM fetched WHERE reason IN ('refused', 'robots', 'oversized', 'failed')")

    def forget_failures(self) -> int:
        """Forget places that were not to be had, for whatever reason; returns how many there were."""
        return self._run("DELETE FROM fetched WHERE reason != ''")

    def mark_stale(self) -> None:
        """Let sites be asked whether they still have the versions that are here."""
        self._run("UPDATE fetched SET stale = 1 WHERE sha256 != ''")

    def refresh(self, place: str) -> None:
        """Note that the site still has the version that is here."""
        self._run("UPDATE fetched SET stale = 0 WHERE place = ?", place)

    def places(self) -> int:
        """How many addresses are wanted."""
        query = "SELECT count(DISTINCT place) FROM candidate WHERE taken AND place GLOB 'http*'"
        return int(self._one(query)[0])

    def forget(self, place: str) -> None:
        """Forget what became of a place."""
        self._run("DELETE FROM fetched WHERE place = ?", place)

    def unmeasured(self) -> list[tuple[str, str]]:
        """Id and path of wanted stored files that were not measured yet, each once, by id."""
        rows = self._db.execute(
            "SELECT DISTINCT f.sha256, f.path FROM candidate c JOIN fetched f ON f.place = c.place "
            "WHERE taken AND f.sha256 != '' "
            "AND f.sha256 NOT IN (SELECT sha256 FROM measured WHERE version = ?) ORDER BY f.sha256",
            (MEASURES,),
        ).fetchall()
        return [(sha256, path) for sha256, path in rows if re.fullmatch(_STORED, path)]

    def forget_unmeasurable(self, but: str) -> None:
        """Look once more at stored files that had no measures: they may have been fetched anew.

        `but`: words of the reason why a file is never looked at again.
        """
        self._run("DELETE FROM measured WHERE statistics IS NULL AND instr(detail, ?) = 0", but)

    def note_measures(self, sha256: str, measures: Statistics | str) -> None:
        """Note a stored file's measures, or why it has none."""
        if isinstance(measures, str):
            self._run("REPLACE INTO measured VALUES (?, ?, NULL, ?)", sha256, MEASURES, measures)
            return
        told = asdict(measures) | {name: getattr(measures, name).hex() for name in _HASHES}
        self._run("REPLACE INTO measured VALUES (?, ?, ?, NULL)", sha256, MEASURES, json.dumps(told))

    # Hosts

    def note_asked(self, host: str, at: str, requests: int, size: int, statuses: dict[str, int]) -> None:
        """Add requests to what was asked of a host."""
        old = self._one("SELECT * FROM asked WHERE host = ?", host) or (host, at, at, 0, 0, "{}")
        told = json.loads(old[5])
        merged = {status: told.get(status, 0) + statuses.get(status, 0) for status in {*told, *statuses}}
        row = (host, old[1], at, old[3] + requests, old[4] + size, json.dumps(merged, sort_keys=True))
        self._run("REPLACE INTO asked VALUES (?, ?, ?, ?, ?, ?)", *row)

    def asked(self) -> list[Asked]:
        """What was asked of every host."""
        rows: Any = self._db.execute("SELECT * FROM asked ORDER BY host")
        return [
            Asked(**dict(zip(_ASKED, row, strict=True)) | {"statuses": json.loads(row[5])}) for row in rows
        ]

    def _one(self, query: str, *values: object) -> Any:
        return self._db.execute(query, values).fetchone()

    def _run(self, query: str, *values: object) -> int:
        try:
            return self._db.execute(query, values).rowcount
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error

    def _many(self, query: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            self._db.executemany(query, rows)
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: sqlite3.OperationalError) -> OutputError:
        """What SQLite refuses, in the words of every other file that cannot be written."""
        numbers = {"FULL": errno.ENOSPC, "READONLY": errno.EROFS, "CANTOPEN": errno.EACCES}
        name = error.sqlite_errorname.split("_")[1]
        if name in ("BUSY", "LOCKED"):
            return OutputError(f"{self._file} is in use by another lacbench; wait for it, or end it")
        return refusal(self._file, OSError(numbers.get(name, 0), str(error)))


def is_address(place: str) -> bool:
    """Whether a place is an address, and no local path."""
    return place.startswith(("http:", "https:"))


def _known(row: Sequence[Any]) -> Fetched | None:
    """A row of `fetched`, if its paths are of our own form: a journal may have come from a stranger."""
    if row[0] is None:
        return None
    known = Fetched(*row)
    stored = bool(re.fullmatch(_STORED, known.path)) and known.path.split("/")[2].startswith(known.sha256)
    whole = stored and re.fullmatch(f"({PART_NAME})?", known.part)
    absent = known.reason in REASONS and not known.path and not known.part
    return known if absent or (whole and not known.reason) else None


def place_of(candidate: Candidate) -> str:
    """Where a candidate's bytes are: its address, or its local path; empty for nowhere."""
    if candidate.url:
        return candidate.url
    # Names of any bytes, as text that a table can hold.
    return (
        "" if candidate.path == _NOWHERE else os.fsencode(candidate.path).decode("utf-8", "backslashreplace")
    )


def _open(file: Path) -> sqlite3.Connection:
    """The journal's database, whole and of our version. Raises sqlite3.DatabaseError for a broken one."""
    db = sqlite3.connect(file, isolation_level=None, timeout=1)
    # One process at a time, for as long as it has the journal open; a second one is told.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    # Without an fsync a commit survives the process, not the machine; files are synced by themselves.
    db.execute("PRAGMA synchronous = NORMAL")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        db.close()
        raise OutputError(
            f"{file} was written by a newer lacbench; use that, or choose another output folder"
        )
    if version == 0:
        db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version < VERSION or db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
        db.close()
        raise sqlite3.DatabaseError(f"version {version}, or broken")
    return db


def _told(candidate: Candidate) -> str:
    values = {name: getattr(candidate, name) for name in _CANDIDATE}
    values["path"] = "" if candidate.path == _NOWHERE else str(candidate.path)
    return json.dumps(values, sort_keys=True)


def _candidate(told: str) -> Candidate:
    values = json.loads(told)
    values["path"] = Path(values["path"]) if values["path"] else _NOWHERE
    values["tags"] = tuple(values["tags"])
    return Candidate(**values)


def _statistics(told: str) -> Statistics:
    values = json.loads(told)
    return Statistics(**values | {name: bytes.fromhex(values[name]) for name in _HASHES})
