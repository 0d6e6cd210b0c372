"""What is kept: on either database nothing is lost, doubled or changed."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import sqlalchemy as sa

from lacbench.errors import StudyError
from lacbench.study import store
from lacbench.study.invite import invite, invite_openly
from lacbench.study.session import Sitting, Study
from lacbench.study.store import Store, database_url, now

from postgres import PASSWORD
from studies import make_study

PROCESSES = 16
FORK = multiprocessing.get_context("fork")


def rows(study: Study, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with study.store.reading() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)))


def in_processes(act: Callable[..., None], *arguments: tuple[object, ...]) -> None:
    """Run a function in a process for each tuple of arguments, all at once."""
    processes = [FORK.Process(target=act, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def rate_thrice(folder: Path, token: str, number: int) -> None:
    """One rater's whole session; each answer comes three times."""
    study = Study.open(folder)
    sitting = Sitting.open(study, token)
    count = 0
    while trial := sitting.trial():
        for _ in range(3):
            assert sitting.rate(f"{number}-{count}", trial.key, 1 + (number + count) % 5, 1000 + count)
        count += 1


@pytest.mark.usefixtures("database")
def test_16_processes_that_send_all_three_times_lose_and_double_nothing(tmp_path: Path) -> None:
    with make_study(tmp_path, f"raters = {PROCESSES}\nrepeats = 3") as study:
        tokens = [i.token for i in invite(study, PROCESSES)]
        in_processes(rate_thrice, *((study.folder, token, n) for n, token in enumerate(tokens)))
        kept = rows(study, store.rating)
        assert len(kept) == PROCESSES * 18
        assert Counter(row.event for row in kept) == Counter(
            f"{number}-{count}" for number in range(PROCESSES) for count in range(18)
        )
        for row in kept:
            number, count = map(int, row.event.split("-"))
            assert (row.score, row.milliseconds, row.revision) == (1 + (number + count) % 5, 1000 + count, 0)
        assert all(p.done == p.total == 18 for p in study.progress())


def race(folder: Path, assignments: list[int], number: int, told: Connection) -> None:
    """Try to be the one who writes each row, and tell of which one was."""
    study = Study.open(folder)
    won = []
    for assignment in assignments:
        row = {"assignment": assignment, "revision": 0, "score": 3, "milliseconds": number, "time": now()}
        with study.store.writing() as connection:
            if study.store.insert_new(connection, store.rating, {**row, "event": f"same-{assignment}"}):
                won.append(assignment)
    told.send(won)


@pytest.mark.usefixtures("database")
def test_of_16_processes_that_write_the_same_row_one_is_told_that_it_did(tmp_path: Path) -> None:
    with make_study(tmp_path, "raters = 1") as study:
        assignments = [row.id for row in rows(study, store.assignment)]
        here, there = zip(*(FORK.Pipe(duplex=False) for _ in range(PROCESSES)), strict=True)
        in_processes(race, *((study.folder, assignments, n, told) for n, told in enumerate(there)))
        won = [assignment for pipe in here for assignment in pipe.recv()]
        assert sorted(won) == assignments
        assert len(rows(study, store.rating)) == len(assignments)


def rate_and_tell(folder: Path, token: str, told: Connection) -> None:
    """Rate until killed, and tell of every answer once it is acknowledged."""
    sitting = Sitting.open(Study.open(folder), token)
    while trial := sitting.trial():
        assert sitting.rate(f"first-{trial.key}", trial.key, 4, 900)
        told.send(f"first-{trial.key}")
        if trial.number > 12:  # so that it is killed in the middle, however late
            time.sleep(1)


@pytest.mark.usefixtures("database")
def test_after_kill_9_every_acknowledged_rating_is_there(tmp_path: Path) -> None:
    with make_study(tmp_path, "raters = 6", items=12) as study:
        tokens = [i.token for i in invite(study, 6)]
        pipes = [FORK.Pipe(duplex=False) for _ in tokens]
        processes = [
            FORK.Process(target=rate_and_tell, args=(study.folder, token, pipe[1]))
            for token, pipe in zip(tokens, pipes, strict=True)
        ]
        for process in processes:
            process.start()
        acknowledged = [pipe[0].recv() for pipe in pipes for _ in range(5)]
        for process in processes:
            process.kill()
        for process, pipe in zip(processes, pipes, strict=True):
            process.join()
            pipe[1].close()
            while pipe[0].poll():
                try:
                    acknowledged.append(pipe[0].recv())
                except (EOFError, OSError):  # it was cut off within a message
                    break
        kept = {row.event for row in rows(study, store.rating)}
        assert kept >= set(acknowledged) and len(acknowledged) >= 30
        assert len(kept) <= len(set(acknowledged)) + len(tokens)  # stored, but killed before it was told
        assert len(kept) < 6 * 36  # it was in the middle
        for token in tokens:
            sitting = Sitting.open(study, token)
            while trial := sitting.trial():
                assert sitting.rate(f"second-{trial.key}", trial.key, 2, 900)
        study.close()
        assert len(study.ratings()) == 6 * 36


def come(folder: Path, token: str, told: Connection) -> None:
    """Visit an open link, and tell of the link that came of it."""
    try:
        told.send(Sitting.open(Study.open(folder), token).token)
    except StudyError as error:
        told.send(str(error))


@pytest.mark.usefixtures("database")
def test_an_open_link_lets_no_more_in_than_its_cap_though_all_come_at_once(tmp_path: Path) -> None:
    with make_study(tmp_path, "raters = 20") as study:
        token = invite_openly(study, 5).token
        here, there = zip(*(FORK.Pipe(duplex=False) for _ in range(PROCESSES)), strict=True)
        in_processes(come, *((study.folder, token, told) for told in there))
        told = Counter(pipe.recv() for pipe in here)
        assert len(told) == 6 and told.most_common(1)[0][1] == PROCESSES - 5
        assert "all the raters it asked for" in told.most_common(1)[0][0]
        assert sum(p.invited for p in study.progress()) == 5


@pytest.mark.usefixtures("database")
def test_rows_are_never_changed_nor_deleted(tmp_path: Path) -> None:
    with make_study(tmp_path) as study:
        sitting = Sitting.open(study, invite(study, 1)[0].token)
        assert sitting.rate("e", sitting.trial().key, 5, 1000)
        study.close()
        study.reopen()
        for table in store.tables.sorted_tables:
            if table is store.lease or not rows(study, table):
                continue
            column = next(c for c in table.c if c.name != "id")
            for statement in (sa.update(table).values({column: column}), sa.delete(table)):
                with pytest.raises(StudyError, match="never changed"), study.store.writing() as connection:
                    connection.execute(statement)
        assert [row.score for row in rows(study, store.rating)] == [5]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 0}, {"score": 6}, {"revision": 0}, {"event": "e"}, {"assignment": 10**9}, {"time": None},
        {"milliseconds": None},
    ],
)  # fmt: skip
def test_the_database_itself_refuses_what_is_no_rating(tmp_path: Path, wrong: dict[str, object]) -> None:
    with make_study(tmp_path, "raters = 1") as study:
        first = rows(study, store.assignment)[0].id
        row = {"assignment": first, "revision": 0, "event": "e", "score": 3, "milliseconds": 1, "time": now()}
        with study.store.writing() as connection:
            store.insert_many(connection, store.rating, [row])
        good = {**row, "revision": 1, "event": "f"}
        with pytest.raises(StudyError, match="does not work"), study.store.writing() as connection:
            store.insert_many(connection, store.rating, [{**good, **wrong}])
        with study.store.writing() as connection:
            store.insert_many(connection, store.rating, [good])


@pytest.mark.usefixtures("database")
def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with make_study(tmp_path, "raters = 1") as study:
        with pytest.raises(ZeroDivisionError), study.store.writing() as connection:
            store.insert_many(
                connection, store.event, [{"study": study.id, "kind": "peek", "who": "", "time": now()}]
            )
            raise ZeroDivisionError
        assert study.events() == []


def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    with make_study(tmp_path) as study, study.store.reading() as connection:
        told = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")}  # fmt: skip
    assert told == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000, "foreign_keys": 1}


@pytest.mark.postgresql
def test_postgresql_waits_for_the_disk_and_hides_its_password(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postgres import new_database

    url = new_database(postgresql, "password")
    opened = Store.open(url, tmp_path)
    with opened.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW fsync").scalar() == "on"
    opened.close()
    wrong = url.replace(PASSWORD, "other-secret")
    monkeypatch.setenv(store.DATABASE, wrong)
    with pytest.raises(StudyError, match="password authentication failed") as refusal:
        make_study(tmp_path)
    assert "other-secret" not in str(refusal.value) and ":***@127.0.0.1" in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@host/db", "secret", "postgresql+asyncpg://me:secret@h/d", "://"]
)
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(StudyError, match="expected a URL like postgresql://") as refusal:
        database_url(url)
    assert "secret" not in str(refusal.value)


def test_a_password_where_it_would_be_shown_is_refused() -> None:
    with pytest.raises(StudyError, match="has a password among its options") as refusal:
        database_url("postgresql://host/db?password=secret")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["postgres", "postgresql", "postgresql+psycopg"])
def test_urls_of_postgresql_are_taken_as_they_are_written_everywhere(kind: str) -> None:
    assert database_url(f"{kind}://me@host/db").drivername == "postgresql+psycopg"


@pytest.mark.postgresql
def test_one_database_holds_several_studies_under_names_of_their_own(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lacbench.study.create import create_study

    from postgres import new_database
    from studies import study_file

    monkeypatch.setenv(store.DATABASE, new_database(postgresql, "several"))
    with make_study(tmp_path) as one:
        with pytest.raises(StudyError, match="a study named 'drawn' already"):
            create_study(tmp_path / "study.toml", tmp_path / "again")
        file = study_file(tmp_path)
        file.write_text(file.read_text().replace('"drawn"', '"other"'))
        with create_study(file, tmp_path / "other") as two:
            token = invite(one, 1)[0].token
            with pytest.raises(StudyError, match="not known"):
                Sitting.open(two, token)
            sitting = Sitting.open(one, token)
            assert sitting.rate("e", sitting.trial().key, 5, 1000)
            one.close()
            assert not two.closed and one.closed
            assert [p.done for p in one.progress()] == [1, 0, 0]
            assert [p.done for p in two.progress()] == [0, 0, 0]
    # The refused one left no study behind: the same call works once it has another name.
    assert not (tmp_path / "again/study.json").exists()
