"""What the sources offer, listed only as far as it is wanted, and found again by the next run."""

from collections.abc import Callable, Iterator
from itertools import islice

from lacbench.errors import MissingError
from lacbench.files import sha256_json
from lacbench.journal import Journal
from lacbench.records import SETS, Candidate, Set, Verdict
from lacbench.sources import Page, Source, Visit

Judge = Callable[[Source, Candidate], Verdict]
"""The verdict on a candidate by what its source says of it alone."""


class Offers:
    """The candidates of all sources, in the recipe's order."""

    def __init__(self, sources: tuple[Source, ...], journal: Journal, visit: Visit, judge: Judge) -> None:
        """Nothing is listed yet."""
        self._sources, self._journal, self._visit, self._judge = sources, journal, visit, judge
        self._pages: dict[str, Iterator[Page]] = {}
        self._finished: set[str] = set()
        self.left_out: dict[str, str] = {}
        """Why which source cannot be read on this machine."""
        self.exhausted: set[Set] = set()
        """Sets of which there are no more candidates."""
        self._streams = {kind: self._all_acceptable(kind) for kind in SETS}
        self.found = 0
        """How many candidates the journal has."""

    def begin(self) -> None:
        """Find what earlier runs listed; list anew what lies on this machine, and what has changed.

        Raises MissingError where no source can be read here.
        """
        journal = self._journal
        journal.forget_listings(but=[source.name for source in self._sources])
        journal.take_none()
        for source in self._sources:
            stamp = source.stamp()
            settings = [source.model_dump(mode="json"), stamp]
            if stamp is None:
                journal.forget_listing(source.name)
            cursor, finished = journal.listing(source.name, sha256_json(settings))
            self._pages[source.name] = source.pages(cursor, self._visit)
            if finished:
                self._finished.add(source.name)
            elif stamp is None:
                self._list_all(source)
        self.check_some()
        self.found = sum(journal.count(source.name) for source in self._sources)

    def check_some(self) -> None:
        """Raise MissingError where no source can be read here."""
        if len(self.left_out) == len(self._sources):
            reasons = "; ".join(sorted(set(self.left_out.values())))
            raise MissingError(f"no source can be read here: {reasons}")

    def take(self, kind: Set, number: int | None) -> int:
        """Want so many more acceptable candidates of a set (None: all); returns how many there were."""
        wanted = 0
        while number is None or wanted < number:
            some = list(islice(self._streams[kind], 1000 if number is None else min(1000, number - wanted)))
            self._journal.take(some)
            wanted += len(some)
            if not some:
                self.exhausted.add(kind)
                break
        return wanted

    def _all_acceptable(self, kind: Set) -> Iterator[int]:
        for source in self._sources:
            if kind in source.sets():
                yield from self._acceptable(source, kind)

    def _acceptable(self, source: Source, kind: Set) -> Iterator[int]:
        """Numbers of a source's candidates for a set that nothing speaks against; lists more when needed."""
        last = 0
        while True:
            some = self._journal.candidates(source.name, kind, after=last)
            for listed in some:
                last = listed.number
                if self._judge(source, listed.candidate).kept:
                    yield listed.number
            if not some and not self._list_more(source):
                return

    def _list_all(self, source: Source) -> None:
        while self._list_more(source):
            pass
        if source.name not in self.left_out:
            offered = self._journal.count(source.name)
            self._visit.progress.say(f"source {source.name}: {offered} pictures")

    def _list_more(self, source: Source) -> bool:
        """List a source's next page; False where there is none."""
        if source.name in self._finished or source.name in self.left_out:
            return False
        try:
            page = next(self._pages[source.name], None)
        except MissingError as error:
            self.left_out[source.name] = str(error)
            self._visit.progress.say(f"source {source.name}: left out, {error}")
            return False
        if page is None:
            self._journal.finish_listing(source.name)
            self._finished.add(source.name)
            return False
        self.found += self._journal.add_page(source.name, page.candidates, page.cursor)
        return True
