"""Many files at once: each host at its own pace, each failure after its own pause, memory flat."""

import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from lacbench.collect.client import Client
from lacbench.collect.download import Downloader, Job, Outcome, TryAgainError
from lacbench.collect.pace import Lane, backoff
from lacbench.files import make_folder

THREADS = 64
"""Requests in flight at once, to all hosts together."""
WINDOW = 1000
"""Jobs looked at ahead, so that one slow host does not keep the others waiting."""
MOST = 20_000
"""Jobs held at most, those of paused hosts included."""
FILL = 64
"""Jobs drawn at a time, so that the first ones start at once."""
MOMENT = 0.02
"""Seconds between two looks at hosts whose pause may be over."""
PATIENCE = 2.0
"""Seconds that running attempts get to end when the work is stopped."""


@dataclass
class _Attempts:
    """A job, and how much of its attempts is used up."""

    job: Job
    lane: Lane
    spent: float = 0.0
    tries: int = 0


class _Queues:
    """Jobs that wait: for their host's pace, or for a pause of their own. For several threads."""

    def __init__(self) -> None:
        self._ready: dict[int, deque[_Attempts]] = {}
        self._later: list[tuple[float, int, _Attempts]] = []
        self._order = count()
        self._lock = threading.Lock()

    def add(self, job: _Attempts) -> None:
        with self._lock:
            self._ready.setdefault(id(job.lane), deque()).append(job)

    def add_later(self, job: _Attempts, seconds: float) -> None:
        with self._lock:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), job))

    def startable(self, most: int) -> list[_Attempts]:
        """At most so many jobs whose lanes let them start now; they are started."""
        found: list[_Attempts] = []
        with self._lock:
            while self._later and self._later[0][0] <= time.monotonic():
                job = heapq.heappop(self._later)[2]
                self._ready.setdefault(id(job.lane), deque()).append(job)
            for lane, waiting in list(self._ready.items()):
                while waiting and len(found) < most and waiting[0].lane.start() == 0:
                    found.append(waiting.popleft())
                if not waiting:
                    del self._ready[lane]
        return found

    def stuck(self) -> int:
        """How many jobs wait for a pause to be over, their own or their host's."""
        with self._lock:
            lanes = [waiting for waiting in self._ready.values() if waiting]
            paused = [len(waiting) for waiting in lanes if waiting[0].lane.is_paused()]
            return len(self._later) + sum(paused)

    def following(self, lane: Lane) -> _Attempts | None:
        """The next job of a lane that lets it start now; it is started."""
        with self._lock:
            waiting = self._ready.get(id(lane))
            return waiting.popleft() if waiting and lane.start() == 0 else None


class Collector:
    """Gets files, and says what became of each."""

    def __init__(self, client: Client, parts: Path) -> None:
        """`parts`: the folder of unfinished files."""
        self._client = client
        self._downloader = Downloader(client, make_folder(parts))

    def collect(self, jobs: Iterator[Job]) -> Iterator[list[Outcome]]:
        """Get every job's file; each job ends with one outcome. They come in lists, as they end.

        Raises OutputError where parts cannot be written. Whoever stops listening stops the work: parts stay.
        """
        queues = _Queues()
        crew = _Crew(self._downloader, queues)
        held = 0
        try:
            while True:
                outcomes: list[Outcome] = []
                room = min(FILL, WINDOW - (held - queues.stuck()), MOST - held)
                for job in islice(jobs, max(room, 0)):
                    try:
                        queues.add(_Attempts(job, self._client.lane(job.url, "files")))
                        held += 1
                    except ValueError as error:
                        outcomes.append(Outcome(job, "refused", f"the address cannot be read: {error}"))
                if not held and not outcomes:
                    return
                crew.start(queues.startable(crew.free()))
                settled = [self._settle(attempt, result, queues) for attempt, result in crew.ended()]
                ended = [outcome for outcome in settled if outcome is not None]
                held -= len(ended)
                if outcomes or ended:
                    yield outcomes + ended
        finally:
            crew.dismiss()

    def _settle(self, attempt: _Attempts, result: Outcome | BaseException, queues: _Queues) -> Outcome | None:
        """The job's outcome; None where it is put off, to be tried again."""
        if isinstance(result, Outcome):
            return result
        if not isinstance(result, TryAgainError):
            raise result
        attempt.spent += result.weight
        attempt.tries += 1
        pause = backoff(attempt.tries) if result.pause is None else result.pause
        if result.throttled:
            attempt.lane.complaint(pause)
        if attempt.spent > self._client.spec.attempts - 1e-6:
            return Outcome(attempt.job, result.reason, result.detail)
        queues.add_later(attempt, pause)
        return None


class _Crew:
    """Threads that make attempts; daemons, so that a silent site never keeps the process from ending."""

    def __init__(self, downloader: Downloader, queues: _Queues) -> None:
        self._downloader, self._queues = downloader, queues
        self._orders: queue.SimpleQueue[_Attempts | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[_Attempts, Outcome | BaseException]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._lock = threading.Lock()

    def free(self) -> int:
        """How many more attempts may start."""
        return THREADS - self._busy

    def start(self, attempts: list[_Attempts]) -> None:
        """Begin attempts whose lanes have been started."""
        for attempt in attempts:
            with self._lock:
                self._busy += 1
            if self._busy > len(self._threads):
                thread = threading.Thread(target=self._work, daemon=True, name="lacbench-collect")
                self._threads.append(thread)
                thread.start()
            self._orders.put(attempt)

    def ended(self) -> Iterator[tuple[_Attempts, Outcome | BaseException]]:
        """Attempts that ended, waiting a moment for one."""
        try:
            yield self._results.get(timeout=MOMENT)
            while True:
                yield self._results.get_nowait()
        except queue.Empty:
            return

    def dismiss(self) -> None:
        """Send the threads home; those that a site keeps waiting are not waited for."""
        self._downloader.stop()
        for _ in self._threads:
            self._orders.put(None)
        until = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            attempt: _Attempts | None = order
            while attempt is not None:
                self._results.put((attempt, self._result(attempt)))
                # The next one of this host needs nobody's leave: whoever reads the results may be busy.
                attempt = None if self._downloader.stopped else self._queues.following(attempt.lane)
            with self._lock:
                self._busy -= 1

    def _result(self, attempt: _Attempts) -> Outcome | BaseException:
        try:
            outcome = self._downloader.attempt(attempt.job)
            attempt.lane.thanks()
            return outcome
        except BaseException as error:
            return error
        finally:
            attempt.lane.end()
