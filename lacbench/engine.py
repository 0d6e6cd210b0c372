"""Run a function over many items: in this process, or on all its cores."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from typing import Protocol, TypeVar

from lacbench.errors import LacbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Chunks drawn ahead for each worker."""


class Engine(Protocol):
    """Somewhere that work can be done."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply a picklable function to each item; results come in the items' order."""
        ...


@dataclass(frozen=True)
class Local:
    """This machine. Results do not depend on the number of workers."""

    workers: int = 0
    """Processes; 0 takes one a core, 1 works in this process."""
    chunk: int = 16
    """Items sent to a worker at a time."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply `function` to each item, in order; fewer than two chunks of items stay in this process.

        Items are drawn as workers get free, so that a slow source of them and the work on them overlap.
        """
        iterator = iter(items)
        head = list(islice(iterator, 2 * self.chunk))
        workers = self.workers or _cores()
        if workers == 1 or len(head) < 2 * self.chunk:
            yield from map(function, head)
            yield from map(function, iterator)
            return
        # Spawned, not forked: a fork copies the locks of libraries that have threads of their own.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        pending: deque[Future[list[Result]]] = deque()
        rest = chain(head, iterator)
        try:
            while part := list(islice(rest, self.chunk)):
                with _interrupts_held():
                    pending.append(pool.submit(_apply, function, part))
                while pending and (pending[0].done() or len(pending) > AHEAD * workers):
                    yield from pending.popleft().result()
            for future in pending:
                yield from future.result()
        except BrokenProcessPool as error:
            raise LacbenchError(
                "a worker process was killed, perhaps for want of memory; run the same command again, "
                "with --workers 1 if it happens again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def _cores() -> int:
    """Cores that this process may use, where the system says; else all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
