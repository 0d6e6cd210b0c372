"""Run a function over many items: in this process, or on all its cores."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Protocol, TypeVar

from lacbench.errors import LacbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        """Apply `function` to each item, in order; fewer than two chunks of items stay in this process."""
        iterator = iter(items)
        head = list(islice(iterator, 2 * self.chunk))
        workers = self.workers or os.cpu_count() or 1
        if workers == 1 or len(head) < 2 * self.chunk:
            yield from map(function, head)
            yield from map(function, iterator)
            return
        # Spawned, not forked: a fork copies the locks of libraries that have threads of their own.
        try:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                yield from pool.map(function, [*head, *iterator], chunksize=self.chunk)
        except BrokenProcessPool as error:
            raise LacbenchError(
                "a worker process was killed, perhaps for want of memory; run the same command again, "
                "with --workers 1 if it happens again"
            ) from error
