"""The local engine: order, laziness, errors, workers that are killed. What is written for any executor."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from lacbench.engine import AHEAD, KILLS, Crew, Local, open_engine, spread
from lacbench.errors import ImageError, InputError, LacbenchError
from lacbench.manifest import load_dataset
from lacbench.pairs import make_pairs
from lacbench.verify import Difference, verify

from deadly import die, die_once, ignores_interrupts, kill_for, measure_or_die, refuse, square, who
from made import build


def say(item: object, reason: str) -> str:
    return f"{item}: {reason}"


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_order_is_kept(count: int) -> None:
    assert list(Local(workers=2, chunk=2).map(square, iter(range(count)))) == [n * n for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_reach_the_caller_as_they_are(workers: int) -> None:
    with pytest.raises(ImageError, match="seven"):
        list(Local(workers, chunk=2).map(refuse, range(40)))


def test_few_items_stay_here_unless_workers_are_asked_for() -> None:
    here = {os.getpid()}
    assert set(Local().map(who, range(31))) == set(Local(1).map(who, range(99))) == here
    assert not set(Local(2).map(who, range(3))) & here


def test_items_are_drawn_as_workers_get_free() -> None:
    drawn = []

    def items() -> Iterator[int]:
        for n in range(10_000):
            drawn.append(n)
            yield n

    results = Local(workers=2, chunk=2).map(square, items())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(drawn) < 500  # as far as the workers got meanwhile, and AHEAD chunks each
    results.close()


def test_a_slow_source_does_not_hold_results_back() -> None:
    first_came = threading.Event()

    def items() -> Iterator[int]:
        yield from range(8)
        yield 8  # after a wait in which nothing but the results of the others can end it
        for n in range(9, 200):
            if first_came.is_set():
                return
            time.sleep(0.1)
            yield n

    for _ in Local(workers=2, chunk=2).map(square, items()):
        first_came.set()
    assert first_came.is_set()


def test_memory_is_bounded_while_the_first_chunk_takes_long() -> None:
    gate, drawn = threading.Event(), []

    def items() -> Iterator[int]:
        for n in range(1000):
            drawn.append(n)
            yield n

    def wait(future: Future[object]) -> None:
        if not gate.is_set():
            assert len(drawn) == 2 * (3 * AHEAD + 1)  # nothing more is drawn while the first is awaited
            gate.set()
        future.exception()

    def first_waits(n: int) -> int:
        if n == 0:
            gate.wait()
        return n

    crew = Crew(lambda: ThreadPoolExecutor(3), 3, 2, wait=wait)
    assert list(spread(crew, first_waits, items())) == list(range(1000))


def test_a_worker_that_is_killed_once_costs_nothing(tmp_path: Path) -> None:
    assert list(Local(2, chunk=4).map(partial(die_once, tmp_path), range(100))) == list(range(100))
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("killers", [{20}, {0, 99}, {40, 41, 43}])
def test_items_that_kill_their_workers_are_told_apart(killers: set[int]) -> None:
    found = list(Local(2, chunk=4).map(partial(die, killers), range(100), say))
    assert found == [say(n, KILLS) if n in killers else n for n in range(100)]


def test_an_item_that_kills_its_workers_is_one_sentence() -> None:
    with pytest.raises(LacbenchError, match=f"^20 {KILLS}"):
        list(Local(workers=2, chunk=2).map(partial(die, {20}), range(40)))


def test_workers_that_cannot_start_blame_no_item(tmp_path: Path) -> None:
    """A script without the guard that processes need: each of its workers runs it again, and ends."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from lacbench.engine import Local\n"
        "print(list(Local(2, chunk=2).map(abs, range(40), lambda n, _: n)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert "worker processes end as they start" in done.stderr
    assert done.stdout == ""


def test_workers_leave_interrupts_to_this_process() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert all(Local(2, chunk=2).map(ignores_interrupts, range(20)))
    assert signal.getsignal(signal.SIGINT) is before


class Unlucky(Executor):
    """Works in this process, until some items break it for good."""

    def __init__(self, broken: Callable[[list[int]], bool]) -> None:
        self._broken, self._is_broken = broken, False

    def submit(self, function: Callable[..., object], /, *told: object, **_: object) -> Future[object]:
        if self._is_broken:
            raise BrokenExecutor
        future: Future[object] = Future()
        self._is_broken = self._broken(told[1])
        if self._is_broken:
            future.set_exception(BrokenExecutor())
        else:
            future.set_result(function(*told))
        return future


def test_any_executor_will_do() -> None:
    opened = []

    def open_one() -> Executor:
        opened.append(1)
        return Unlucky(lambda items: 5 in items)

    crew = Crew(open_one, workers=3, chunk=4)
    assert list(spread(crew, square, iter(range(12)), lambda n, _: -n))[4:7] == [16, -5, 36]
    # The first, and one after each break: by its chunk, by itself beside others, by itself alone.
    assert len(opened) == 1 + 1 + 1 + crew.tries


def test_a_picture_that_kills_its_worker_is_unreadable(
    drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(drawn_art, tmp_path / "whole")
    killer = whole.illustrations[3].record
    monkeypatch.setattr("lacbench.gather.measure", partial(measure_or_die, killer.sha256))
    out = tmp_path / "out"
    build(drawn_art, out, engine=Local(2, chunk=2))
    dataset = load_dataset(out)
    (entry,) = (e for e in dataset.ledger if not e.verdict.kept)
    assert (entry.sha256, entry.verdict.reason) == (killer.sha256, "unreadable")
    assert entry.verdict.detail == f"{killer.path} {KILLS}"
    assert len(dataset.illustrations) == len(whole.illustrations) - 1
    # Another run does not measure it again: with so little to do it would in its own process.
    (out / "work/.done.json").unlink()
    assert build(drawn_art, out).digest == dataset.digest


def test_verify_and_pairs_name_what_kills(
    drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = build(drawn_art, tmp_path / "out")
    killer = dataset.illustrations[3].record
    monkeypatch.setattr("lacbench.verify._check", partial(kill_for, killer.sha256))
    assert verify(dataset.folder, Local(2)).differences == (Difference(killer.path, KILLS),)
    monkeypatch.setattr("lacbench.pairs._draw", partial(kill_for, killer.sha256))
    with pytest.raises(LacbenchError, match=rf"^{killer.path} {KILLS}; "):
        make_pairs(dataset, size=64, engine=Local(2))


@pytest.mark.parametrize(
    "text", ["dask", "dask://", "dask://host", "ray://host:1", "dask://:1", "dask://h:x"]
)
def test_an_engine_that_there_is_not(text: str) -> None:
    with pytest.raises(InputError, match=f"no engine {text}; expected dask://HOST:PORT"), open_engine(text):
        pass


def test_no_engine_is_this_machine() -> None:
    with open_engine("", 3) as engine:
        assert engine == Local(3)
