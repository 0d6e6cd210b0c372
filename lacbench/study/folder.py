"""A study's folder, opened: its design, its pictures, its store, and what the organiser does to it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from lacbench.errors import StudyError
from lacbench.files import sha256_bytes, sha256_file
from lacbench.study import store as tables
from lacbench.study.answers import Progress, Table, as_table, read_answers, read_progress
from lacbench.study.attempts import Attempts
from lacbench.study.design import Design, load_design
from lacbench.study.ratings import Ratings, make_ratings
from lacbench.study.stimuli import media_path
from lacbench.study.store import DATABASE, RATINGS, Store, now

STUDY = "study.json"
"""What tells that a folder is a study; written last."""
FILE = "study.toml"
"""The study file as it was given."""
VERSION = 1
"""Of the folder's layout; another one is refused, not guessed at."""


class ClosedError(StudyError):
    """The study takes no ratings any more."""


@dataclass(frozen=True)
class Study:
    """An opened study. Each process opens its own; threads may share one."""

    folder: Path
    """Where it lies."""
    design: Design
    """Its study file."""
    told: Mapping[str, Any]
    """What study.json tells: where things came from, and their digests."""
    store: Store
    """Its database."""
    id: int
    """Its number there."""
    attempts: Attempts = field(default_factory=Attempts)
    """Wrong links that were tried."""

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """Open a study's folder, wherever it was moved to.

        Raises StudyError where there is none, its layout is another version's, its study file was changed, or
        its database is not there.
        """
        told = _read(folder)
        design = load_design(folder / FILE)
        if told["file_digest"] != sha256_bytes(design.text.encode()):
            raise StudyError(
                f"{folder / FILE} is not the study file that this study was made of, and states the "
                "design beforehand; put it back as it was, or create another study"
            )
        url = os.environ.get(DATABASE, "") or design.database
        if not url and not (folder / RATINGS).is_file():
            raise StudyError(
                f"{folder / RATINGS}, which holds the study's ratings, is not there; put it back, or name "
                f"the database that has them in {DATABASE}"
            )
        store = Store.open(url, folder)
        try:
            return cls(folder, design, told, store, _number(store, told["study"], folder))
        except StudyError:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    @property
    def name(self) -> str:
        """The study's name, for people."""
        return self.design.name

    def picture(self, sha256: str) -> Path:
        """The file of a picture that a trial shows. Raises StudyError for what is no picture of the study."""
        path = self.folder / media_path(sha256)
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not path.is_file():
            raise StudyError(f"the study holds no picture {sha256[:64]}; expected one that a trial shows")
        if _digest(path, path.stat().st_mtime_ns) != sha256:
            raise StudyError(f"{path} is not the picture that the study was made with; put that back")
        return path

    @property
    def closed(self) -> bool:
        """Whether it takes no ratings any more."""
        with self.store.reading() as connection:
            return self._closed(connection)

    def check_open(self, connection: sa.Connection) -> None:
        """Raise ClosedError where the study is closed."""
        if self._closed(connection):
            raise ClosedError("this study is closed: it takes no ratings any more; thank you for your help")

    def close(self, who: str = "") -> None:
        """Take no ratings any more, which is recorded. Raises StudyError where that is so already."""
        self._turn("close", who)

    def reopen(self, who: str = "") -> None:
        """Take ratings again, which is recorded. Raises StudyError for a study that is open."""
        self._turn("reopen", who)

    def events(self) -> list[dict[str, str]]:
        """What the organiser did, in order: kind (close, reopen or peek), who, time (UTC)."""
        event = tables.event
        with self.store.reading() as connection:
            rows = connection.execute(
                sa.select(event.c.kind, event.c.who, event.c.time)
                .where(event.c.study == self.id)
                .order_by(event.c.id)
            )
            return [dict(row._mapping) for row in rows]

    def progress(self) -> tuple[Progress, ...]:
        """How far each rater is; it may be looked at any time, since it says nothing of the methods."""
        rater, invitation = tables.rater, tables.invitation
        with self.store.reading() as connection:
            invited = connection.scalars(
                sa.select(rater.c.name).join(invitation).where(rater.c.study == self.id).distinct()
            ).all()
            return read_progress(connection, self.id, invited, [g.expected for g in self.design.gold])

    def ratings(self) -> Ratings:
        """The table of ratings. Raises StudyError until the study is closed, and in pairwise mode."""
        if self.design.ratings.mode == "pairwise":
            raise StudyError(
                f"raters of {self.name!r} chose among pictures; expected scores; see its choices"
            )
        return make_ratings(self.table(), source=f"the study {self.name!r}")

    def table(self) -> Table:
        """What raters said, as columns: those that `make_ratings` takes, or in pairwise mode `make_choices`.

        Raises StudyError until the study is closed.
        """
        if not self.closed:
            raise StudyError(
                f"the study {self.name!r} is still open, and who sees ratings early may stop when they "
                "please; close it first, or look all the same (`--peek`), which is recorded"
            )
        return self._table()

    def peek(self, who: str) -> Table:
        """As `table`, of an open study too; that somebody looked is recorded first."""
        self._record("peek", who)
        return self._table()

    def _table(self) -> Table:
        with self.store.reading() as connection:
            return as_table(read_answers(connection, self.id), self.design.shown)

    def _closed(self, connection: sa.Connection) -> bool:
        event = tables.event
        last = connection.scalar(
            sa.select(event.c.kind)
            .where(event.c.study == self.id, event.c.kind != "peek")
            .order_by(event.c.id.desc())
            .limit(1)
        )
        return last == "close"

    def _turn(self, kind: str, who: str) -> None:
        if self.closed == (kind == "close"):
            raise StudyError(f"the study {self.name!r} is {'closed' if kind == 'close' else 'open'} already")
        self._record(kind, who)

    def _record(self, kind: str, who: str) -> None:
        with self.store.writing() as connection:
            row = {"study": self.id, "kind": kind, "who": who, "time": now()}
            tables.insert_many(connection, tables.event, [row])


def _number(store: Store, uid: str, folder: Path) -> int:
    """The study's number in its database. Raises StudyError where it is in another one."""
    with store.reading() as connection:
        question = sa.select(tables.study.c.id).where(tables.study.c.uid == uid)
        found: int | None = connection.scalar(question)
    if found is None:
        raise StudyError(
            f"the database {store.name} does not hold the study of {folder}; expected the one that it was "
            f"created in; see {DATABASE}, or create the study again in another folder"
        )
    return found


@lru_cache(4096)
def _digest(path: Path, changed: int) -> str:
    """A file's SHA-256, read again once it has changed."""
    return sha256_file(path)


def _read(folder: Path) -> dict[str, Any]:
    """What study.json tells. Raises StudyError."""
    try:
        told = json.loads((folder / STUDY).read_text("utf-8"))
        version = told["lacbench_study"]
        texts = (told[key] for key in ("study", "digest", "data_digest", "file_digest"))
        whole = all(isinstance(text, str) for text in texts) and isinstance(told["items"], int)
    except OSError as error:
        raise StudyError(
            f"{folder} holds no study ({STUDY}: {error.strerror}); expected a folder that `lacbench mos "
            "create` made; if it was moved, name its new place"
        ) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StudyError(
            f"{folder / STUDY} cannot be read: {error!r}; put the file back as it was"
        ) from error
    if version != VERSION or not whole:
        raise StudyError(
            f"{folder} is a study of layout {version!r}; expected {VERSION}; open it with the lacbench that "
            "made it"
        )
    return dict(told)
