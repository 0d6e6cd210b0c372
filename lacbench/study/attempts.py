"""Wrong links, counted: who tries many waits."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

EACH, ALL = 10, 200
"""Wrong links that one address, and all of them, may try at once."""
SECONDS = 60.0
"""In so much time a used up allowance is whole again."""
ADDRESSES = 4096
"""Addresses that are remembered; more of them forget the ones that were quiet longest."""


class Attempts:
    """An allowance for each address and one for all; both fill up again with time. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = (float(ALL), clock())
        self._each: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allowed(self, address: str) -> bool:
        """Whether the address may try another link."""
        with self._lock:
            now = self._clock()
            each = _left(self._each.get(address, (EACH, now)), EACH, now)
            return min(each, _left(self._all, ALL, now)) >= 1

    def failed(self, address: str) -> None:
        """The address tried a link that does not exist."""
        with self._lock:
            now = self._clock()
            self._all = (_left(self._all, ALL, now) - 1, now)
            self._each[address] = (_left(self._each.get(address, (EACH, now)), EACH, now) - 1, now)
            self._each.move_to_end(address)
            while len(self._each) > ADDRESSES:
                self._each.popitem(last=False)


def _left(allowance: tuple[float, float], full: int, now: float) -> float:
    """What is left of an allowance that was so large at some time before."""
    left, then = allowance
    return min(float(full), max(left, 0.0) + (now - then) * full / SECONDS)
