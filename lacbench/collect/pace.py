"""How fast one host is asked: a base pace, slowed down when the host complains, slowly regained."""

import math
import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

SLOWEST = 60.0
"""Seconds between two starts that a lane never goes beyond."""
FIRST_GAP = 0.25
"""Seconds between two starts after the first complaint of a host that had no gap."""
REGAIN = 0.8
"""Share of a gap that is left after a success."""
LONGEST_PAUSE = 3600.0
"""Seconds that a host may ask us to wait; longer wishes count as so many."""
CAP = 60.0
"""Seconds that backing off after a failure takes at most."""


def backoff(attempt: int) -> float:
    """Seconds to wait after the failed attempt of that number (from 1): exponential, with full jitter.

    Uniform in [0, min(CAP, 2^(attempt − 1))), so that clients that failed together do not return together
    (Brooker, "Exponential backoff and jitter", 2015).
    """
    return random.uniform(0, min(CAP, 2.0 ** min(attempt - 1, 30)))


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; None for none that can be read."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE) if seconds == seconds else None


class Lane:
    """The starts of one kind of request to one host; safe to use from several threads.

    A complaint (429, 503) pauses the lane and halves how many run at once; with one left, it doubles the gap
    between starts. Every success gives a little back: additive increase, multiplicative decrease, as in TCP.
    """

    def __init__(
        self, at_once: int = 1, gap: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `at_once` requests at a time and `gap` seconds between two starts, at best."""
        self._most, self._least_gap, self._clock = float(at_once), gap, clock
        self._allowed, self._gap = self._most, gap
        self._running, self._next, self._paused = 0, clock(), clock()
        self._lock = threading.Lock()

    def start(self) -> float:
        """Start a request if it may run now: 0; else the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            if now < (begin := max(self._next, self._paused)):
                return begin - now
            if self._running >= int(self._allowed):
                return FIRST_GAP  # until one of the running ones ends
            self._running += 1
            self._next = now + self._gap
            return 0.0

    def wait(self, until: float = math.inf) -> bool:
        """Block until a request may run, and start it; False where that would be after `until`."""
        while (seconds := self.start()) > 0:
            if self._clock() + seconds > until:
                return False
            time.sleep(seconds)
        return True

    def end(self) -> None:
        """A request has ended, one way or the other."""
        with self._lock:
            self._running -= 1

    def is_paused(self) -> bool:
        """Whether the host has asked for a pause that is not over."""
        return self._clock() < self._paused

    def thanks(self) -> None:
        """The host answered well: regain some pace."""
        with self._lock:
            self._allowed = min(self._most, self._allowed + 1 / self._allowed)
            eased = REGAIN * self._gap
            self._gap = eased if eased > max(self._least_gap, 0.02) else self._least_gap

    def complaint(self, pause: float) -> None:
        """The host asked for less: slow down, and start nothing for `pause` seconds.

        Complaints while paused belong to requests that ran already: they prolong the pause at most.
        """
        with self._lock:
            now = self._clock()
            if now >= self._paused and self._allowed > 1:
                self._allowed = max(1.0, self._allowed / 2)
            elif now >= self._paused:
                self._gap = min(SLOWEST, max(2 * self._gap, FIRST_GAP))
            self._paused = max(self._paused, now + pause)

    def slow_to(self, gap: float) -> None:
        """Leave at least `gap` seconds between two starts from now on (robots.txt's Crawl-delay)."""
        with self._lock:
            self._least_gap = max(self._least_gap, min(gap, SLOWEST))
            self._gap = max(self._gap, self._least_gap)
