"""A real Dask cluster on this machine: the same data set as without it, also when a worker is killed."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from lacbench.engine import KILLS, open_engine
from lacbench.errors import ImageError, InputError, LacbenchError, MissingError, OutputError
from lacbench.images import write_png
from lacbench.verify import verify

from deadly import die, nap, refuse, square
from made import build, draw_figure, recipe_for

pytest.importorskip("distributed", reason="a cluster needs lacbench[cluster]")
from distributed import Client

from lacbench import cluster

MANIFESTS = ("illustrations.parquet", "linearts.parquet", "ledger.parquet", "recipe.toml", "card.json")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # workers import `deadly` by name
ALLOWED_FAILURES = "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"
DASK = "from dask.__main__ import main; main()"
"""The program `dask`."""
OTHER_VERSION = f"from distributed import versions; versions._version_cached = lambda _: '2020.1.0'; {DASK}"
"""The same, as if its packages were of another version."""
NO_LACBENCH = (
    "from distributed import versions; told = versions._version_cached; "
    f"versions._version_cached = lambda name: None if name == 'lacbench' else told(name); {DASK}"
)
"""The same, as if lacbench were not installed."""
NO_DATA = f"from lacbench import files; files.sha256_file = lambda file: open('/nowhere'); {DASK}"
"""The same, as if the shared folder were not mounted."""


@contextmanager
def dask(*words: str, code: str = DASK, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's, until the block ends."""
    command = [sys.executable, "-W", "ignore", "-c", code, *words, "--no-dashboard"]
    environment = {**ENVIRONMENT, **more}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()  # a nanny ends its worker too
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def scheduler(code: str = DASK, **more: str) -> Iterator[str]:
    """A scheduler, as HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with dask("scheduler", "--host", "127.0.0.1", "--port", str(port), code=code, **more):
        _wait_until_it_listens(port)
        yield f"127.0.0.1:{port}"


def _wait_until_it_listens(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("the scheduler did not start")


@contextmanager
def worker(address: str, *words: str, code: str = DASK) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of one thread, without a nanny that would start it again unless `words` say so."""
    words = words or ("--no-nanny",)
    with dask("worker", f"tcp://{address}", "--nthreads", "1", *words, code=code) as process:
        yield process


@pytest.fixture(scope="module")
def two() -> Iterator[str]:
    """An engine of two workers, each started again when it is killed."""
    # A chunk is given up with its first worker: what comes then is our part.
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(**{ALLOWED_FAILURES: "0"}))
        for _ in range(2):
            stack.enter_context(worker(address, "--nanny"))
        with Client(f"tcp://{address}", timeout=20, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=20)
        yield f"dask://{address}"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of ours may only be starting, on a busy machine."""
    monkeypatch.setattr(cluster, "CONNECT", 30.0)


def lacbench(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lacbench.cli.main", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(*words: str | Path) -> str:
    """What a command that works prints."""
    with lacbench(*words) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def say(item: object, reason: str) -> str:
    return f"{item}: {reason}"


def test_order_is_kept_and_errors_are_as_they_are(two: str) -> None:
    with open_engine(two) as engine:
        assert list(engine.map(square, iter(range(100)))) == [n * n for n in range(100)]
        with pytest.raises(ImageError, match="seven"):
            list(engine.map(refuse, range(40)))
        assert list(engine.map(square, [])) == []


def test_an_item_that_kills_its_workers_is_told_apart(two: str) -> None:
    with open_engine(two) as engine:
        found = list(engine.map(partial(die, {20}), range(100), say))
        assert found == [say(n, KILLS) if n == 20 else n for n in range(100)]


def test_pairs_and_verify(two: str, drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(drawn_art, tmp_path / "data")
    before = {path.name for path in (tmp_path / "data").iterdir()}
    said("pairs", "data", "--size", "64", "--engine", two)  # relative: the workers run elsewhere
    assert len(list((tmp_path / "data/pairs/64").glob("*/*.png"))) == 36
    assert json.loads(said("verify", "data", "--engine", two, "--json"))["checked"] == 17 + 36
    assert {path.name for path in (tmp_path / "data").iterdir()} == before | {"pairs", "pairs.parquet"}


def test_a_data_set_that_is_read_only_is_verified(
    two: str, drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(drawn_art, tmp_path / "data")

    def refuse_to_write(path: Path, text: str) -> None:
        raise OutputError(f"cannot write {path}")

    monkeypatch.setattr(cluster, "write_text", refuse_to_write)
    with open_engine(two) as engine:
        assert verify(tmp_path / "data", engine).differences == ()


def kill_at_work(address: str, victim: subprocess.Popen[bytes]) -> None:
    """Kill one of two workers while both have work."""
    with Client(f"tcp://{address}", timeout=20, set_as_default=False) as client:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            at_work = [keys for keys in client.processing().values() if keys]
            if len(at_work) == 2:
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
                return
            time.sleep(0.02)
    raise AssertionError("the workers had nothing to do")


def test_a_build_whose_worker_is_killed_is_the_same(tmp_path: Path) -> None:
    for seed in range(200):
        kind = "linearts" if seed % 4 == 0 else "illustrations"
        write_png(tmp_path / f"art/{kind}/{seed}.png", draw_figure(seed)[kind == "linearts"])
    (tmp_path / "art/illustrations/broken.png").write_bytes(b"GIF89a no more")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe_for(tmp_path / "art").text)
    with scheduler() as address, worker(address) as first, worker(address) as second:
        command = ("build-dataset", recipe, "-o", tmp_path / "cluster", "--engine", f"dask://{address}")
        with lacbench(*command) as process:
            kill_at_work(address, second)
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
        assert (first.poll(), second.poll()) == (None, -signal.SIGKILL)
    said("build-dataset", recipe, "-o", tmp_path / "local", "--workers", "2")
    for name in MANIFESTS:
        assert (tmp_path / "cluster" / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name


NO_ANSWER = r"^no scheduler of Dask [0-9.]+ answers at 127\.0\.0\.1:[0-9]+; start one with "


def refused(address: str, told: str) -> None:
    """It is no engine, and one sentence says why."""
    with pytest.raises(InputError, match=told), open_engine(f"dask://{address}"):
        pass


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for nobody."""
    monkeypatch.setattr(cluster, "CONNECT", 1.0)


def test_no_scheduler(hasty: None) -> None:
    with socket.socket() as nobody:  # a port that is taken, and where nobody listens
        nobody.bind(("127.0.0.1", 0))
        refused(f"127.0.0.1:{nobody.getsockname()[1]}", NO_ANSWER)


def test_something_else_than_a_scheduler(hasty: None) -> None:
    class Talker(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 smtp.example.org ESMTP\r\n" * 100)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talker) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            refused(f"127.0.0.1:{server.server_address[1]}", NO_ANSWER)
        finally:
            server.shutdown()


def test_other_versions() -> None:
    with scheduler(OTHER_VERSION) as address, worker(address):
        refused(address, f"the scheduler {address} has dask 2020.1.0, this process has .*; install the same")


def test_workers_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None, one without lacbench, one of other versions, one without the data."""
    with scheduler() as address:
        monkeypatch.setattr(cluster, "CONNECT", 2.0)
        expected = f"the scheduler at {address} has no workers; start some with `dask worker {address}`"
        refused(address, expected)
        monkeypatch.setattr(cluster, "CONNECT", 30.0)
        for code, expected in (
            (NO_LACBENCH, "the worker tcp://127.*:[0-9]+ has no lacbench, this process has "),
            (OTHER_VERSION, "the worker tcp://127.*:[0-9]+ has dask 2020.1.0, this process has "),
        ):
            with worker(address, code=code):
                refused(address, expected)
        expected = f"the worker tcp://127.*:[0-9]+ does not see {tmp_path} as this process does; "
        with ExitStack() as stack:
            stack.enter_context(worker(address, code=NO_DATA))
            engine = stack.enter_context(open_engine(f"dask://{address}"))
            stack.enter_context(pytest.raises(InputError, match=expected))
            stack.enter_context(engine.sharing(tmp_path))
        assert not list(tmp_path.iterdir())


def test_a_worker_that_joins_later_without_the_data(two: str, tmp_path: Path) -> None:
    expected = f"the worker tcp://127.*:[0-9]+ does not see {tmp_path} as this process does; "
    with open_engine(two) as engine, engine.sharing(tmp_path):
        assert list(engine.map(square, range(3))) == [0, 1, 4]
        (marker,) = tmp_path.iterdir()
        marker.unlink()  # as it is for one who does not see the folder
        with pytest.raises(InputError, match=expected):
            list(engine.map(square, range(3)))


def test_all_workers_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    monkeypatch.setattr(cluster, "LOOK", 0.2)
    with ExitStack() as stack:
        address = stack.enter_context(scheduler())
        stack.enter_context(worker(address))
        engine = stack.enter_context(open_engine(f"dask://{address}"))
        with pytest.raises(LacbenchError, match=f"the scheduler at {address} has no workers any more"):
            list(engine.map(partial(die, {20}), range(40), say))


def test_the_scheduler_is_gone() -> None:
    with ExitStack() as stack:
        address = stack.enter_context(scheduler())
        stack.enter_context(worker(address))
        with open_engine(f"dask://{address}") as engine:
            results = engine.map(nap, range(200))
            next(results)
            stack.close()
            with pytest.raises(LacbenchError, match=f"the scheduler at {address} does not answer any more"):
                list(results)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingError, match=r"pip install 'lacbench\[cluster\]'"), open_engine("dask://a:1"):
        pass
