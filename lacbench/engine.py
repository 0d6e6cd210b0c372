"""Run a function over many items: in this process, on all its cores, or on a cluster."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lacbench.devices import cores
from lacbench.errors import InputError, LacbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Chunks drawn ahead for each worker."""
KILLS = "kills the process that works on it, perhaps for want of memory"
"""What is told of an item whose worker was killed each time, with nothing beside it."""


class Engine(Protocol):
    """Somewhere that work can be done."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """Apply a picklable function to each item; results come in the items' order.

        Items are drawn as workers get free. A worker that is killed costs nothing but time. An item that
        kills its workers gets the result that `lost` gives for it and the reason; without `lost`, or where
        `lost` raises, the work ends there.
        """
        ...

    @property
    def scratch(self) -> Path | None:
        """A folder that all workers see, for temporary files; None for the system's own."""
        ...

    def sharing(self, folder: Path) -> AbstractContextManager[None]:
        """Work on a folder: raises InputError where a worker does not see it as this process does."""
        ...


@dataclass(frozen=True)
class Local:
    """This machine. Results do not depend on the number of workers."""

    workers: int = 0
    """Processes; 0 takes one a core, but this process alone for few items; 1 works in this process."""
    chunk: int = 16
    """Items sent to a worker at a time."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """Apply `function` to each item, in order; see `Engine.map`.

        Fewer than two chunks of items stay in this process unless a number of workers is asked for, and what
        kills its process there kills this one.
        """
        iterator = iter(items)
        head = list(islice(iterator, 2 * self.chunk))
        workers = self.workers or cores()
        if workers == 1 or (not self.workers and len(head) < 2 * self.chunk):
            yield from map(function, head)
            yield from map(function, iterator)
            return
        # Spawned, not forked: a fork copies the locks of libraries that have threads of their own.
        pool = partial(ProcessPoolExecutor, workers, get_context("spawn"), _end_with_parent)
        crew = Crew(pool, workers, self.chunk)
        yield from spread(crew, function, chain(head, iterator), lost)

    @property
    def scratch(self) -> Path | None:
        """All workers are on this machine."""
        return None

    def sharing(self, folder: Path) -> AbstractContextManager[None]:
        """All workers are on this machine."""
        return nullcontext()


@contextmanager
def open_engine(text: str, workers: int = 0) -> Iterator[Engine]:
    """The engine that `--engine` and `--workers` name: "" is this machine, else dask://HOST:PORT.

    Raises InputError for another text, and where the cluster cannot be used as it is; MissingError without
    the extra `cluster`.
    """
    if not text:
        yield Local(workers)
        return
    kind, _, address = text.partition("://")
    host, _, port = address.rpartition(":")
    if kind != "dask" or not host or not port.isdecimal():
        raise InputError(f"there is no engine {text}; expected dask://HOST:PORT, or nothing for this machine")
    from lacbench.cluster import Dask

    with Dask(address) as engine:
        yield engine


@dataclass(frozen=True)
class Crew:
    """Workers behind an executor of the standard library's kind."""

    open: Callable[[], Executor]
    """Makes the executor, and makes it anew when it has broken."""
    workers: int
    """How many there are."""
    chunk: int
    """Items sent to a worker at a time."""
    killed: type[Exception] = BrokenExecutor
    """What a future raises whose worker was killed."""
    tries: int = 2
    """How often an item is tried with nothing beside it."""
    lingers: bool = True
    """Whether the end of what is being worked on is waited for when the run ends early."""
    wait: Callable[[Future[Any]], object] = lambda future: wait([future])
    """Waits for a future; raises LacbenchError where it will never come."""


def spread(
    crew: Crew,
    function: Callable[[Item], Result],
    items: Iterator[Item],
    lost: Callable[[Item, str], Result] | None = None,
) -> Iterator[Result]:
    """`Engine.map` over any executor."""
    run = _Run(crew, function, lost)
    try:
        yield from run.results(items)
    finally:
        run.end()


class _Run(Generic[Item, Result]):
    """One run of a function over many items, in chunks, some of them ahead of the one that is awaited.

    A killed worker takes its chunk along, and in a process pool everybody else's. Each of these goes in again
    item by item; an item that is lost again is tried with nothing beside it, so that it alone is to blame.
    """

    def __init__(
        self,
        crew: Crew,
        function: Callable[[Item], Result],
        lost: Callable[[Item, str], Result] | None,
    ) -> None:
        self._crew, self._function, self._lost = crew, function, lost
        self._executor = crew.open()
        self._proven = False
        self._pending: deque[tuple[list[Item], Future[list[Result]]]] = deque()

    def results(self, items: Iterator[Item]) -> Iterator[Result]:
        """Results in the items' order, with at most `AHEAD` chunks a worker on their way."""
        ahead = AHEAD * self._crew.workers
        while part := list(islice(items, self._crew.chunk)):
            self._pending.append((part, self._sent(part)))
            while self._pending and (self._pending[0][1].done() or len(self._pending) > ahead):
                yield from self._first()
        while self._pending:
            yield from self._first()

    def end(self) -> None:
        """Take back what was not begun, and let the workers go."""
        for _, future in self._pending:
            future.cancel()
        self._executor.shutdown(wait=self._crew.lingers)

    def _first(self) -> list[Result]:
        """Results of the first chunk; none yet where its items go in again."""
        part, future = self._pending.popleft()
        try:
            return self._outcome(future)
        except self._crew.killed:
            if len(part) == 1:
                return [self._alone(part[0])]
            again = [([item], self._sent([item])) for item in part]
            self._pending.extendleft(reversed(again))
            return []

    def _alone(self, item: Item) -> Result:
        """The result of an item whose worker was killed, tried with nothing beside it."""
        for _, future in self._pending:
            self._crew.wait(future)
        for _ in range(self._crew.tries):
            try:
                return self._outcome(self._sent([item]))[0]
            except self._crew.killed:
                continue
        if not self._proven:
            self._check_that_workers_start()
        if self._lost is None:
            raise LacbenchError(f"{str(item)[:200]} {KILLS}")
        return self._lost(item, KILLS)

    def _check_that_workers_start(self) -> None:
        """Blame no item for workers that never get as far as that."""
        try:
            self._outcome(self._sent([]))
        except self._crew.killed as error:
            raise LacbenchError(
                "worker processes end as they start; a script that calls lacbench must do so under "
                'if __name__ == "__main__", else run it with one worker'
            ) from error

    def _outcome(self, future: Future[list[Result]]) -> list[Result]:
        self._crew.wait(future)
        results = future.result()
        self._proven = True
        return results

    def _sent(self, part: list[Item]) -> Future[list[Result]]:
        with _interrupts_held():
            try:
                return self._executor.submit(_apply, self._function, part)
            except BrokenExecutor:
                self._executor.shutdown()
                self._executor = self._crew.open()
                return self._executor.submit(_apply, self._function, part)


def _end_with_parent() -> None:
    """End this worker when the process that started it is killed; it would wait for work for ever."""

    def watch() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: the parent alone answers it, in one sentence."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
