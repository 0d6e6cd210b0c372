"""Batches made ahead: by threads, in order, a bounded number of them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

import torch

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch, Crops, make_crops, share
from lacbench.baselines.alacgan.examples import Example
from lacbench.baselines.alacgan.resident import Resident

AHEAD = 2
"""Batches made ahead for each thread."""


class Loader:
    """Batch number → batch on the device. The numbers after it are made ahead; the batches are the same.

    Threads, since NumPy, OpenCV and page faults let others run meanwhile: nothing is copied between
    processes, and none is left behind.
    """

    def __init__(
        self, make: Callable[[int], Crops], threads: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        """`make` gives batch `number`; it is called by `threads` threads, or by the caller's own for 0."""
        self.waited = 0.0
        """Seconds that callers waited for data so far."""
        self._make, self._device, self._ahead = make, torch.device(device), AHEAD * threads
        self._pool = ThreadPoolExecutor(threads, "loader") if threads else None
        self._queue: deque[tuple[int, Future[Crops]]] = deque()

    def __call__(self, number: int) -> Batch:
        """Batch `number`, on the device. Raises what making it raised."""
        return self.crops(number).to(self._device).batch()

    def crops(self, number: int) -> Crops:
        """The same before it is sent to the device and made into numbers; this is what is waited for."""
        begun = time.perf_counter()
        try:
            return self._next(self._pool, number) if self._pool else self._make(number)
        finally:
            self.waited += time.perf_counter() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go; what they are at is waited for, which takes milliseconds."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._queue.clear()

    def _next(self, pool: ThreadPoolExecutor, number: int) -> Crops:
        if self._queue and self._queue[0][0] != number:  # somebody began elsewhere
            for _, future in self._queue:
                future.cancel()
            self._queue.clear()
        for later in range(number + len(self._queue), number + self._ahead + 1):
            self._queue.append((later, pool.submit(self._made, later)))
        return self._queue.popleft()[1].result()

    def _made(self, number: int) -> Crops:
        crops = self._make(number)
        return crops.pinned() if self._device.type == "cuda" else crops


def open_loader(
    examples: Sequence[Example],
    config: Config,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """The run's batches, or process `rank`'s share of each, made as `config.loaders` and `.resident` say.

    Raises InputError where a batch cannot be shared by so many processes, MissingError where the pictures do
    not fit on the device.
    """
    share(config.batch, rank, world)
    if config.resident:  # the device takes its crops in the order of one thread
        held = Resident(examples, device)
        return Loader(partial(held.make_crops, config, rank=rank, world=world), 0, device)
    make = partial(make_crops, examples, config, rank=rank, world=world)
    return Loader(make, config.loaders, device)
