"""A PostgreSQL server of the tests' own: Debian's binaries, a temporary cluster, a user without rights."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

USER, PASSWORD = "lacbench", "never-printed"


def binaries() -> Path | None:
    """The folder of the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


def as_user() -> list[str] | None:
    """What to put before a command so that it is not run by root, who may run no server; None for none."""
    if os.geteuid():
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    setpriv = shutil.which("setpriv")
    rights = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return setpriv and [setpriv, *rights, "--pdeathsig=QUIT"]  # no server outlives tests that were killed


@contextmanager
def server() -> Iterator[str]:
    """The server's URL, up to the database's name; it ends with the context. Skips where there is none."""
    programs, prefix = binaries(), as_user()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (/usr/lib/postgresql/*/bin); `make postgresql` installs it")
    if prefix is None:
        pytest.skip("PostgreSQL refuses to be run by root, and there is no user `postgres` or no setpriv")
    folder = Path(tempfile.mkdtemp(prefix="lacbench-postgres-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if prefix:
            for path in (folder, secret):
                shutil.chown(path, "postgres")
        options = ["-D", folder / "data", "-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]
        quick = ["--pwfile", secret, "--no-sync", "--no-instructions"]
        subprocess.run(
            [*prefix, programs / "initdb", *options, *quick], check=True, cwd=folder, capture_output=True
        )
        with _running([*prefix, programs / "postgres"], folder) as port:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(command: list[str | Path], folder: Path) -> Iterator[int]:
    """Run the server on a free port of this machine alone; its pid is that of the process begun here."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-k",
        folder,
        "-c",
        "fsync=on",
        "-c",
        "max_connections=60",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-D", folder / "data", *settings], cwd=folder, stdout=log, stderr=log
        )
    try:
        _wait(f"host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname=postgres", process, folder)
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: what it holds is thrown away
        process.wait(60)


def _wait(told: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the server answers."""
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(told, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL does not start: {(folder / 'log').read_text()[-1000:]}")
            time.sleep(0.05)


def new_database(url: str, name: str) -> str:
    """A URL under which nothing is there yet: a schema, which is made quicker than a database."""
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"')
    return f"{url}/postgres?options=-csearch_path%3D{name}"
