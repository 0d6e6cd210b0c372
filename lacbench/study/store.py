"""Where a study's ratings are kept: SQLite in its folder, or PostgreSQL by URL. Nothing is ever changed.

A rating that is withdrawn or given anew is a further revision; triggers refuse to change or delete a row.
Only leases, which say which of a rater's tabs may speak, are written over.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from lacbench.errors import StudyError

DATABASE = "LACBENCH_STUDY_DATABASE"
"""Environment variable with the URL of a study's database, password and all."""
RATINGS = "ratings.sqlite"
"""The database in a study's folder, unless it names another one."""
BUSY_SECONDS = 10
"""For how long SQLite waits for another process that writes."""

tables = sa.MetaData()
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up INTEGER primary keys alone


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True, autoincrement=True)


def _of(table: str) -> sa.Column[int]:
    return sa.Column(table, sa.ForeignKey(f"{table}.id"), nullable=False, index=True)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, **{"nullable": False, **options})


study = sa.Table("study", tables, _id(), _text("uid", unique=True), _text("name", unique=True), _text("time"))
"""One row a study; a PostgreSQL database may hold several."""
item = sa.Table(
    "item", tables, _id(), _of("study"), _text("name"), _text("picture"), sa.UniqueConstraint("study", "name")
)
"""Line arts: the data set's id, and the SHA-256 of the picture that is shown."""
stimulus = sa.Table(
    "stimulus",
    tables,
    _id(),
    _of("item"),
    _text("method"),
    _text("picture"),
    sa.UniqueConstraint("item", "method"),
)
"""What is rated: the output of a method for a line art, or a gold picture."""
rater = sa.Table(
    "rater", tables, _id(), _of("study"), _text("name"), sa.UniqueConstraint("study", "name")
)  # fmt: skip
"""Raters under their pseudonyms."""
invitation = sa.Table(
    "invitation", tables, _id(), _of("rater"), sa.Column("revision", sa.Integer, nullable=False),
    _text("token_sha256", unique=True), _text("time"), sa.UniqueConstraint("rater", "revision"),
)  # fmt: skip
"""Links that raters were given; the one of the highest revision counts."""
open_link = sa.Table(
    "open_link", tables, _id(), _of("study"), _text("token_sha256", unique=True),
    sa.Column("cap", sa.Integer, nullable=False), _text("time"),
)  # fmt: skip
"""Links whose visitors each become a rater, up to `cap` of them."""
joined = sa.Table(
    "joined", tables, _id(), _of("open_link"), sa.Column("number", sa.Integer, nullable=False),
    sa.Column("rater", sa.ForeignKey("rater.id"), nullable=False, unique=True),
    sa.UniqueConstraint("open_link", "number"),
)  # fmt: skip
"""Raters that came by an open link."""
lease = sa.Table(
    "lease",
    tables,
    sa.Column("rater", sa.ForeignKey("rater.id"), primary_key=True),
    _text("holder"),
    _text("time"),
)
"""Which sitting of a rater may speak: the one that was opened last."""
assignment = sa.Table(
    "assignment", tables, _id(), _of("rater"), sa.Column("position", sa.Integer, nullable=False),
    _text("key", unique=True), _of("item"), _text("role"), sa.UniqueConstraint("rater", "position"),
    sa.CheckConstraint("role IN ('training', 'main', 'repeat', 'gold')", name="role_known"),
)  # fmt: skip
"""Every rater's trials in their order; `key` is all that a browser sees of one."""
shown = sa.Table(
    "shown", tables, _id(), _of("assignment"), sa.Column("place", sa.Integer, nullable=False),
    _of("stimulus"), sa.UniqueConstraint("assignment", "place"),
    sa.UniqueConstraint("assignment", "stimulus"),
)  # fmt: skip
"""What a trial shows, in order of place."""
rating = sa.Table(
    "rating", tables, _id(), _of("assignment"), sa.Column("revision", sa.Integer, nullable=False),
    _text("event", unique=True), sa.Column("score", sa.Integer),
    sa.Column("milliseconds", sa.Integer, nullable=False), _text("time"),
    sa.UniqueConstraint("assignment", "revision"),
    sa.CheckConstraint("score BETWEEN 1 AND 5", name="score_known"),
)  # fmt: skip
"""What raters said: the score, or the place of the best; NULL withdraws what was said before."""
event = sa.Table(
    "event", tables, _id(), _of("study"), _text("kind"), _text("who"), _text("time"),
    sa.CheckConstraint("kind IN ('close', 'reopen', 'peek')", name="kind_known"),
)  # fmt: skip
"""What the organiser did."""

_KEPT = [t.name for t in tables.sorted_tables if t is not lease]


def _guards(dialect: str) -> Iterator[str]:
    """Statements that have the database refuse changes of what is kept."""
    if dialect == "postgresql":
        yield (
            "CREATE OR REPLACE FUNCTION lacbench_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'rows of a study are never changed'; END $$"
        )
    for name in _KEPT:
        if dialect == "postgresql":
            yield (
                f"CREATE OR REPLACE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
                "FOR EACH STATEMENT EXECUTE FUNCTION lacbench_append_only()"
            )
        else:
            for act in ("UPDATE", "DELETE"):
                yield (
                    f"CREATE TRIGGER IF NOT EXISTS {name}_no_{act.lower()} BEFORE {act} ON {name} "
                    "BEGIN SELECT RAISE(ABORT, 'rows of a study are never changed'); END"
                )


def now() -> str:
    """The time, UTC, as it is stored: ISO 8601 with milliseconds; sorted as text it is sorted by time."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StoreError(StudyError):
    """The database does not answer, or refuses; the same may work later."""


@contextmanager
def hidden_from_raters() -> Iterator[None]:
    """Tell raters no more than that there is trouble: a database's name may say what they must not know."""
    try:
        yield
    except StoreError as error:
        raise StoreError(
            "the study cannot be reached just now; what you answered before is kept; try again in a moment"
        ) from error


class Store:
    """An opened database. Each process opens its own; threads may share one."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @classmethod
    def open(cls, url: str, folder: Path) -> "Store":
        """Open the database at `url`, or where it is empty the file in the study's folder.

        Raises StudyError for a URL that cannot be used, never showing its password.
        """
        if not url:
            engine = sa.create_engine(
                sa.URL.create("sqlite", database=str(folder / RATINGS)),
                connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
            )
            sa.event.listen(engine, "connect", _careful)
            sa.event.listen(engine, "begin", _begin)
            return cls(engine, str(folder / RATINGS))
        parsed = database_url(url)
        engine = sa.create_engine(
            parsed,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": BUSY_SECONDS},
        )
        sa.event.listen(engine, "connect", _synchronous)
        return cls(engine, parsed.render_as_string(hide_password=True))

    def close(self) -> None:
        """Let all connections go."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for questions. Raises StoreError where the database does not answer."""
        with self._told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: all of it is on the disk when the context ends, or none. Raises StoreError."""
        with self._told(), self.engine.execution_options(lacbench_writes=True).begin() as connection:
            yield connection

    def create(self, connection: sa.Connection) -> None:
        """Make the tables that are not there, and have them refuse changes."""
        tables.create_all(connection)
        for statement in _guards(self.engine.dialect.name):
            connection.exec_driver_sql(statement)

    def insert_new(self, connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless one that excludes it is there; whether it was inserted."""
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).values(row).on_conflict_do_nothing()
        # The number of rows that a driver reports is not the same everywhere; what is returned is.
        key = next(iter(table.primary_key.columns))
        return connection.execute(statement.returning(key)).first() is not None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StoreError(
                f"the study's database {self.name} does not work: {reason}; see that it is there and may be "
                "written to, then try again"
            ) from error


def database_url(url: str) -> sa.URL:
    """The URL of a PostgreSQL database, for the driver that is used. Raises StudyError for any other."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = sa.URL.create("unreadable")
    if not re.fullmatch(r"postgres(ql)?(\+psycopg)?", parsed.drivername):
        raise StudyError(
            "the study's database cannot be used: expected a URL like postgresql://user@host/database, got "
            f"one of kind {parsed.drivername!r}; mend it, or leave it out to keep ratings in the folder"
        )
    if hidden := [key for key in parsed.query if "password" in key.lower()]:
        raise StudyError(
            f"the study's database URL has a {hidden[0]} among its options, where it would be shown; write "
            "it as postgresql://user:password@host/database"
        )
    return parsed.set(drivername="postgresql+psycopg")


def insert_many(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows; returns their ids, in the rows' order."""
    if not rows:
        return []
    statement = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return [int(row.id) for row in connection.execute(statement, list(rows))]


def _careful(connection: Any, _: Any) -> None:
    """What makes SQLite keep an acknowledged row whatever happens, beside other processes that write."""
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _synchronous(connection: Any, _: Any) -> None:
    """What makes PostgreSQL keep an acknowledged row, where the server's settings say otherwise."""
    connection.execute("SET synchronous_commit TO on")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    """Who will write says so at once: a reader that becomes a writer may find that it cannot."""
    writes = connection.get_execution_options().get("lacbench_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
