"""Ctrl-C and SIGTERM between two iterations, never in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a run to stop: a person, and a machine's scheduler."""


class Interrupts:
    """In this context the first signal only asks to stop; the next one acts at once, as it would without."""

    def __init__(self) -> None:
        self.asked = 0
        """The signal's number, 0 for none yet."""
        self._urgent, self._before = False, dict[int, Any]()

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it is work that loses nothing when it is cut off: the first signal ends it too."""
        self._urgent = True
        try:
            yield
        finally:
            self._urgent = False

    def leave(self) -> None:
        """End as the signal would have: KeyboardInterrupt for Ctrl-C, exit status 143 for SIGTERM."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked:
            raise SystemExit(128 + self.asked)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.asked = number
        self.__exit__()
        if self._urgent:
            self.leave()
