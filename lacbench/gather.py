"""Bytes into the store: what lies on this machine is copied, what lies on sites is fetched; then measured."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

from lacbench.collect.client import Client, now
from lacbench.collect.collector import Collector
from lacbench.collect.download import Job, Outcome
from lacbench.engine import KILLS, Engine
from lacbench.errors import ImageError
from lacbench.exclusions import Exclusions
from lacbench.files import make_folder, output_errors
from lacbench.journal import Fetched, Journal
from lacbench.progress import Progress, Status
from lacbench.records import Candidate, Statistics
from lacbench.store import keep, measure, store_path, unmeasured

PARTS = "work/parts"
"""Where unfinished files lie."""
NO_ANSWER = frozenset({"failed", "robots", "refused", "corrupt", "unreadable", "oversized"})
"""Reasons that say nothing of whether the site still has the file that we hold."""
LATELY = 10.0
"""Seconds over which a host's rate is told."""

Reason = Callable[[Candidate, str, Statistics | str], str]
"""Why a measured picture (candidate, id, measures) will be dropped, as far as it alone tells; empty: kept."""


@dataclass
class Flow:
    """Where a collection stands, for whoever watches it from another thread."""

    found: int = 0
    wanted: int = 0
    fetched: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    totals: Callable[[], dict[str, int]] = dict
    started: float = field(default_factory=time.monotonic)
    known: int = 0
    to_fetch: bool = False
    looks: deque[tuple[float, dict[str, int]]] = field(default_factory=deque)

    def add(self, reason: str) -> None:
        """One more picture whose fate is told as far as it alone tells."""
        if reason:
            self.dropped[reason] += 1
        else:
            self.kept += 1

    def status(self) -> Status:
        """A look at it."""
        now = time.monotonic()
        done = self.fetched + self.known
        left = (self.wanted - done) * (now - self.started) / self.fetched if self.fetched else None
        dropped = dict(self.dropped.most_common())
        return Status(self.found, self.wanted, done, self.kept, dropped, self._rates(now), left)

    def _rates(self, now: float) -> dict[str, float]:
        """Requests a second of each host, since the look of some seconds ago."""
        totals = self.totals()
        self.looks.append((now, totals))
        while len(self.looks) > 1 and now - self.looks[1][0] > LATELY:
            self.looks.popleft()
        then, before = self.looks[0] if len(self.looks) > 1 else (self.started, {})
        seconds = max(now - then, 1.0)
        return {host: (number - before.get(host, 0)) / seconds for host, number in totals.items()}


class Gatherer:
    """Brings the bytes of wanted candidates into a data set's store, and notes all of it in the journal."""

    def __init__(
        self, out: Path, journal: Journal, client: Client, plain: set[str], excluded: Exclusions
    ) -> None:
        """`plain`: names of sources whose addresses come from plain lists, where robots.txt speaks."""
        self._out, self._journal, self._client = out, journal, client
        self._plain, self._excluded = plain, excluded
        self._flow = Flow()
        self._in_flight: dict[str, Candidate] = {}
        self._noted = 0.0
        self._folders: set[Path] = set()
        self._asked_for: dict[str, Candidate] = {}
        self._awaited: set[str] = set()
        self._put_off: list[tuple[str, Candidate, Fetched | None]] = []

    def recover(self) -> None:
        """Move into the store what a killed run noted, but did not move any more."""
        for fetched in self._journal.with_part():
            part = self._out / PARTS / fetched.part
            if part.is_file():
                self._move(part, fetched)
            elif not (self._out / fetched.path).is_file():
                self._journal.forget(fetched.place)
        self._journal.settle_parts()

    def gather(self, engine: Engine, progress: Progress, found: int, reason: Reason) -> None:
        """Store and measure what is wanted and not here yet; `found`: how many candidates there are."""
        with self._storing(progress, found) as fetched:
            waiting = [w for w in self._journal.unmeasured() if (self._out / w[1]).is_file()]
            stored = _once(chain(waiting, fetched))
            measured = engine.map(partial(measure, self._out.absolute()), stored, unmeasured)
            if not self._flow.to_fetch:
                measured = progress.track(measured, "measure", len(waiting))
            for sha256, measures in measured:
                self._journal.note_measures(sha256, measures)
                if sha256 in self._in_flight:
                    self._flow.add(reason(self._in_flight.pop(sha256), sha256, measures))

    def store(self, progress: Progress, found: int) -> Status:
        """Store what is wanted and not here yet, and measure nothing."""
        with self._storing(progress, found) as fetched:
            for sha256, _ in fetched:
                self._in_flight.pop(sha256, None)
                self._flow.add("")
        return self._flow.status()

    @contextmanager
    def _storing(self, progress: Progress, found: int) -> Iterator[Iterator[tuple[str, str]]]:
        """Copy local files; then lend id and path of what is fetched, as it comes, for somebody to watch."""
        self._journal.forget_unmeasurable(KILLS)
        self._copy(progress)
        self._flow = Flow(found, self._journal.places(), totals=self._client.totals)
        jobs = self._jobs(self._journal.to_fetch())
        first = next(jobs, None)
        try:
            if first is None:
                yield iter(())
                return
            self._flow.to_fetch = True
            with progress.watch(self._flow.status):
                yield self._fetch_all(chain([first], jobs))
        finally:
            self._note_asked()

    def _copy(self, progress: Progress) -> None:
        """Put local files into the store, those that changed since the last run."""
        wanted = [(place, c, known) for place, c, known in self._journal.to_fetch() if not c.url]
        stamps = {place: stamp(candidate.path) for place, candidate, _ in wanted}
        if not wanted:
            return
        wanted = [w for w in wanted if not (w[2] and self._is_excluded(w[1], w[2]))]
        changed = [w for w in wanted if not (w[2] and w[2].validator == stamps[w[0]] and self._is_done(w[2]))]
        for place, candidate, _ in progress.track(changed, "store", len(changed)):
            try:
                sha256, path, md5 = keep(candidate.path, candidate.key, self._out)
                self._journal.note(Fetched(place, md5, stamps[place], sha256, path))
            except ImageError as error:
                told = Fetched(place, validator=stamps[place], reason="unreadable", detail=str(error))
                self._journal.note(told)

    def _fetch_all(self, jobs: Iterator[Job]) -> Iterator[tuple[str, str]]:
        """Fetch the jobs, then those put off until another address of the same file had been fetched."""
        yield from self._fetch(jobs)
        self._awaited.clear()
        put_off, self._put_off = self._put_off, []
        if put_off:
            yield from self._fetch(self._jobs(iter(put_off)))

    def _jobs(self, wanted: Iterator[tuple[str, Candidate, Fetched | None]]) -> Iterator[Job]:
        """Files to ask sites for: wanted, and neither here nor known not to be had."""
        for place, candidate, known in wanted:
            if not candidate.url:
                continue
            same = self._journal.stored_as(candidate.md5) if candidate.md5 else None
            if known and self._is_settled(known, candidate):
                self._flow.known += 1
                self._flow.dropped.update([known.reason] if known.reason else [])
            elif same and self._is_done(same):
                self._journal.note(replace(same, place=place, validator="", part="", stale=False))
                self._flow.known += 1
            elif candidate.md5 and candidate.md5 in self._awaited:
                self._put_off.append((place, candidate, known))
            else:
                self._awaited.update({candidate.md5} - {""})
                self._asked_for[place] = candidate
                validator = known.validator if known and self._is_done(known) else ""
                yield Job(place, candidate.md5, candidate.source in self._plain, validator)

    def _is_settled(self, known: Fetched, candidate: Candidate) -> bool:
        """Whether nobody need be asked for a place: excluded, not to be had, or here as the site has it."""
        if known.reason or self._is_excluded(candidate, known):
            return True
        as_stated = candidate.md5 == known.md5 if candidate.md5 else not known.stale
        return as_stated and self._is_done(known)

    def _is_excluded(self, candidate: Candidate, known: Fetched) -> bool:
        """Whether the work was taken out for good, by what is known of its file."""
        return bool(self._excluded.names(candidate, known.sha256, known.md5))

    def _is_done(self, known: Fetched) -> bool:
        """Whether a place is known not to be had, or its stored file is there."""
        return bool(known.reason) or (self._out / known.path).is_file()

    def _fetch(self, jobs: Iterator[Job]) -> Iterator[tuple[str, str]]:
        """Fetch every job's file into the store; yields id and path of those that came."""
        for outcomes in Collector(self._client, self._out / PARTS).collect(jobs):
            self._note_asked(every=1.0)
            new = [outcome for outcome in outcomes if not self._stays(outcome)]
            self._journal.note_all(_fetched(outcome) for outcome in new)
            came = [stored for outcome in outcomes if (stored := self._settle(outcome))]
            self._journal.settle_parts()  # all of this list are in their places
            yield from came

    def _settle(self, outcome: Outcome) -> tuple[str, str] | None:
        """Bring one outcome to its end; id and path, if a file came that may stay."""
        self._flow.fetched += 1
        self._awaited.discard(outcome.job.md5)
        candidate = self._asked_for.pop(outcome.job.url)
        if outcome.unchanged:
            self._journal.refresh(outcome.job.url)
        elif outcome.part is None:
            self._flow.add(outcome.reason)
        else:
            fetched = _fetched(outcome)
            self._move(outcome.part, fetched)
            if not self._excluded.names(candidate, fetched.sha256, fetched.md5):
                self._in_flight[fetched.sha256] = candidate
                return fetched.sha256, fetched.path
        return None

    @staticmethod
    def _stays(outcome: Outcome) -> bool:
        """Whether the file that we have stays: the site has the same, or could not say that it has not."""
        return outcome.unchanged or bool(outcome.job.validator and outcome.reason in NO_ANSWER)

    def _move(self, part: Path, fetched: Fetched) -> None:
        """Move a complete part to its place in the store; what it is stands in the journal already."""
        target = self._out / fetched.path
        if target.parent not in self._folders:
            self._folders.add(make_folder(target.parent))
        with output_errors(target):
            part.replace(target)

    def _note_asked(self, every: float = 0.0) -> None:
        """Put what was asked of whom into the journal, at most `every` so many seconds."""
        moment = time.monotonic()
        if moment - self._noted < every:
            return
        self._noted = moment
        for host, tally in self._client.take_tallies().items():
            self._journal.note_asked(host, now(), tally.requests, tally.bytes, dict(tally.statuses))


def stamp(file: Path) -> str:
    """What changes when a local file does: its size and time; empty for a file that is not there."""
    try:
        told = file.stat()
    except OSError:
        return ""
    return f"{told.st_size} {told.st_mtime_ns}"


def _fetched(outcome: Outcome) -> Fetched:
    """A collector's outcome as the journal notes it."""
    if outcome.part is None:
        return Fetched(outcome.job.url, reason=outcome.reason, detail=outcome.detail)
    path = store_path(outcome.sha256, outcome.format)
    return Fetched(
        outcome.job.url, outcome.md5, outcome.validator, outcome.sha256, path, part=outcome.part.name
    )


def _once(stored: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Every stored file the first time only: two addresses may lead to the same bytes."""
    seen: set[str] = set()
    for sha256, path in stored:
        if sha256 not in seen:
            seen.add(sha256)
            yield sha256, path
