"""`build_dataset`: from a recipe to a data set, in one straight line."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import lacbench
from lacbench.card import write_card
from lacbench.collect.client import Client
from lacbench.crops import SecondKeys
from lacbench.dedupe import drop_leaks, drop_repeats, review
from lacbench.engine import Engine, Local
from lacbench.errors import InputError, OutputError, RecipeError
from lacbench.exclusions import FILE as EXCLUDED
from lacbench.exclusions import Exclusions, load_exclusions
from lacbench.files import make_folder, read_json, sha256_lines, sweep, write_json
from lacbench.filters import classify, declared, judge
from lacbench.gather import PARTS, Gatherer, stamp
from lacbench.journal import JOURNAL, Fetched, Journal
from lacbench.manifest import load_dataset, save_dataset, save_review
from lacbench.offers import Offers
from lacbench.prepared import drop_prepared
from lacbench.progress import Progress, Silent, Status
from lacbench.reasons import REASONS
from lacbench.recipe import FilterSpec, Recipe
from lacbench.records import KEPT, SETS, Candidate, Dataset, LedgerEntry, Record, Set, Statistics, Verdict
from lacbench.sources import Source, Visit
from lacbench.splits import assign_splits

DONE = "work/.done.json"
"""What the data set in a folder was made of, written when all of it is there."""
LEAST_YIELD = 0.05
"""Share of candidates that are kept, at least, when it is reckoned how many more are wanted."""

Decided = dict[tuple[str, str, Set], LedgerEntry]
"""Verdicts by source, key and set."""


def build_dataset(
    recipe: Recipe,
    out: Path,
    engine: Engine | None = None,
    progress: Progress | None = None,
    *,
    retry: bool = False,
    refresh: bool = False,
) -> Dataset:
    """Collect, filter, dedupe and split what a recipe names, and write manifests, ledger and card.

    Every candidate ends in the ledger with one verdict. A killed run goes on from what it stored; a run
    whose recipe and sources did not change since it finished returns at once.

    Args:
        recipe: what to take from where, and what to keep.
        out: the data set's folder.
        engine: where pictures are measured; this machine's cores by default.
        progress: who listens.
        retry: ask again for what was not to be had.
        refresh: list sites again, and ask whether files that came without an MD5 have changed.

    Raises:
        MissingError: none of the sources can be read on this machine.
        FetchError, InputError: a source did not deliver, or offers nothing.
        InputError: nothing is left of one of the sets.
        OutputError: the output cannot be written.
    """
    engine, progress = engine or Local(), progress or Silent()
    with _begun(recipe, out, progress, retry, refresh) as (build, offers), engine.sharing(out):
        journal = build.journal
        if not (retry or refresh or offers.left_out) and (finished := _finished(build)):
            progress.say(f"data: nothing changed, {_summary(finished)}")
            return finished
        (out / DONE).unlink(missing_ok=True)
        unique, decided = build.collect(offers, engine, progress)
        build.remove_excluded(decided)
        illustrations, linearts = assign_splits(unique, recipe, engine)
        dataset = save_dataset(out, illustrations, linearts, build.ledger(decided), recipe.text)
        save_review(out, review(unique, recipe.dedupe))
        write_card(dataset, offers.left_out, journal.asked())
        _check_not_empty(dataset)
        shutil.rmtree(out / PARTS, ignore_errors=True)  # of files that could not be had
        if not offers.left_out:  # the next run tries those again
            write_json(out / DONE, {**build.state(), "digest": dataset.digest})
    progress.say(f"data: {_summary(dataset)}")
    return dataset


def fetch_files(
    recipe: Recipe,
    out: Path,
    progress: Progress | None = None,
    *,
    retry: bool = False,
    refresh: bool = False,
) -> Status:
    """Fetch what `build_dataset` would fetch first, and stop: for machines with a network and no cores.

    Takes as many candidates as the targets ask for; `build_dataset` goes on from there, and takes more where
    filters drop some. Arguments and errors as there; returns what became of the files.
    """
    progress = progress or Silent()
    with _begun(recipe, out, progress, retry, refresh) as (build, offers):
        gatherer = build.gatherer()
        for kind in SETS:
            offers.take(kind, getattr(recipe.targets, kind))
        return gatherer.store(progress, offers.found)


@contextmanager
def _begun(
    recipe: Recipe, out: Path, progress: Progress, retry: bool, refresh: bool
) -> Iterator[tuple["Build", Offers]]:
    """A build whose folder is claimed, whose journal is open, and whose local sources are listed."""
    recipe.check_contact()
    _check_both_sets(recipe)
    claim(out)
    with Journal(out / JOURNAL) as journal, Client(recipe.collect) as client:
        sweep(out)  # what killed writers left: nobody else writes while the journal is ours
        journal.adopt(recipe.collect.model_dump_json())
        if refresh:
            journal.forget_listings()
            journal.mark_stale()
        if retry:
            journal.forget_failures()
        build = Build(recipe, out, journal, client, load_exclusions(out))
        offers = Offers(recipe.sources, journal, Visit(out, progress, client), build.before)
        offers.begin()
        yield build, offers


@dataclass(frozen=True)
class Build:
    """One run of `build_dataset`: what it was given, and the rules that follow from it."""

    recipe: Recipe
    """What to take from where, and what to keep."""
    out: Path
    """The data set's folder."""
    journal: Journal
    """What is known so far."""
    client: Client
    """The way to sites."""
    excluded: Exclusions
    """Works that were taken out for good."""

    def before(self, source: Source, candidate: Candidate) -> Verdict:
        """The verdict on a candidate by what its source says of it, before anything is fetched."""
        if rule := self.excluded.names(candidate):
            return Verdict(False, "excluded", rule)
        if not (verdict := source.accepts(candidate)).kept:
            return verdict
        local = candidate.path != Path() and not source.remote  # sites name no files of this machine
        if not candidate.url and not local:
            return Verdict(False, "hidden", REASONS["hidden"])
        return declared(candidate, limits_for(source, self.recipe.filters))

    def collect(self, offers: Offers, engine: Engine, progress: Progress) -> tuple[list[Record], Decided]:
        """Take candidates, fetch and judge them, and take more, until the targets are met or nothing is left.

        Which are taken depends on the sources' content alone: a run that was killed takes the same.
        """
        gatherer = self.gatherer()
        keys = SecondKeys(self.out, engine, progress) if self.recipe.dedupe.crops else None
        targets = {kind: getattr(self.recipe.targets, kind) for kind in SETS}
        wanted, taken = dict(targets), dict.fromkeys(SETS, 0)
        while True:
            for kind in SETS:
                taken[kind] += offers.take(kind, wanted[kind])
            offers.check_some()
            gatherer.gather(engine, progress, offers.found, self._reason)
            unique, decided = self._decide(targets, engine, keys)
            for kind in SETS:
                have = sum(r.candidate.set == kind for r in unique)
                left = kind not in offers.exhausted
                wanted[kind] = _more(targets[kind], have, taken[kind]) if left else 0
            if not any(wanted.values()):
                return unique, decided

    def gatherer(self) -> Gatherer:
        """What brings files in; what a killed run noted, but did not move any more, is in its place."""
        plain = {source.name for source in self.recipe.sources if source.plain}
        gatherer = Gatherer(self.out, self.journal, self.client, plain, self.excluded)
        gatherer.recover()
        return gatherer

    def _decide(
        self, targets: dict[Set, int | None], engine: Engine, keys: SecondKeys | None
    ) -> tuple[list[Record], Decided]:
        """Records that stay, and a verdict on every candidate that was taken."""
        records: list[Record] = []
        ended: list[LedgerEntry] = []
        for listed, fetched, measures in self.journal.results():
            verdict = self._after(listed.candidate, fetched, measures)
            if isinstance(measures, Statistics) and verdict.kept:
                records.append(Record(fetched.sha256, fetched.path, listed.candidate, measures))
            else:
                known = measures if isinstance(measures, Statistics) else None
                ended.append(LedgerEntry(listed.candidate, verdict, fetched.sha256, known))
        kept, dropped = judge(records, self.recipe.filters)
        kept, declined = classify(kept, self.recipe.filters, self.out)
        names = [source.name for source in self.recipe.sources]
        linearts, repeats = drop_repeats(kept, "linearts", self.recipe.dedupe, names, engine, keys)
        linearts, surplus = self._trim(linearts, targets["linearts"])
        illustrations, more = drop_repeats(kept, "illustrations", self.recipe.dedupe, names, engine, keys)
        # Only line arts that stay can be leaked.
        illustrations, leaks = drop_leaks(illustrations, linearts, self.recipe.dedupe, keys)
        illustrations, rest = self._trim(illustrations, targets["illustrations"])
        unique = illustrations + linearts
        ended += dropped + declined + repeats + surplus + more + leaks + rest
        ended += [LedgerEntry(r.candidate, KEPT, r.sha256, r.statistics) for r in unique]
        return unique, {_identity(entry.candidate): entry for entry in ended}

    def _after(self, candidate: Candidate, fetched: Fetched, measures: Statistics | str) -> Verdict:
        """The verdict on what was fetched, before the filters look at it."""
        if rule := self.excluded.names(candidate, fetched.sha256, fetched.md5):
            return Verdict(False, "excluded", rule)
        if fetched.reason:
            return Verdict(False, fetched.reason, fetched.detail)
        return KEPT if isinstance(measures, Statistics) else Verdict(False, "unreadable", measures)

    def _reason(self, candidate: Candidate, sha256: str, measures: Statistics | str) -> str:
        """Why a picture will be dropped, as far as it alone tells; empty for kept."""
        if isinstance(measures, str):
            return "unreadable"
        _, dropped = judge([Record(sha256, "", candidate, measures)], self.recipe.filters)
        return dropped[0].verdict.reason if dropped else ""

    def _trim(self, records: list[Record], target: int | None) -> tuple[list[Record], list[LedgerEntry]]:
        """At most as many of one set as are wanted: true pairs, then the first sources' first pictures."""
        if target is None or len(records) <= target:
            return records, []
        rank = {source.name: i for i, source in enumerate(self.recipe.sources)}
        numbers = self.journal.numbers(r.candidate for r in records)
        order = [(not r.candidate.pair, rank[r.candidate.source]) for r in records]
        ordered = [records[i] for _, _, i in sorted(zip(order, numbers, count(), strict=False))]
        verdict = Verdict(False, "surplus", f"the target of {target} is met")
        over = [LedgerEntry(r.candidate, verdict, r.sha256, r.statistics) for r in ordered[target:]]
        return ordered[:target], over

    def remove_excluded(self, decided: Decided) -> None:
        """Take away the files of works that were taken out for good."""
        gone = {e.sha256 for e in decided.values() if e.verdict.reason == "excluded"} - {""}
        kept = {e.sha256 for e in decided.values() if e.verdict.reason != "excluded"}
        for sha256 in gone - kept:
            for file in self.out.glob(f"images/??/{sha256}.*"):
                file.unlink(missing_ok=True)
        drop_prepared(self.out, gone - kept)

    def ledger(self, decided: Decided) -> Iterator[LedgerEntry]:
        """Every candidate with its one verdict, by source, key and set."""
        sources = {source.name: source for source in self.recipe.sources}
        for listed, taken in self.journal.all():
            candidate = listed.candidate
            if taken:
                yield decided[_identity(candidate)]
                continue
            verdict = self.before(sources[candidate.source], candidate)
            met = Verdict(False, "surplus", "enough others were taken; it was not fetched")
            yield LedgerEntry(candidate, met if verdict.kept else verdict)

    def state(self) -> dict[str, str]:
        """What the data set is made of; equal states, equal data sets."""
        offers = (told + (stamp(path) if path else "") for told, path in self.journal.offers())
        return {
            "recipe": self.recipe.text,
            "candidates": sha256_lines(offers),
            "excluded": self.excluded.text(),
            "version": lacbench.__version__,
        }


def limits_for(source: Source, limits: FilterSpec) -> FilterSpec:
    """The filters as they hold for a source: ratings that it asks its site for are wanted."""
    ratings = getattr(source, "ratings", ())
    return limits.model_copy(update={"ratings": ratings}) if ratings else limits


def claim(out: Path) -> None:
    """Make `out` a data set's folder.

    Raises OutputError for a folder that holds other files: nothing of the user's is touched.
    """
    make_folder(out)
    begun = (out / "work").is_dir() and not any((out / "work").iterdir())
    ours = begun or (out / JOURNAL).is_file() or (out / "ledger.parquet").is_file()
    if not ours and any(file.name != EXCLUDED for file in out.iterdir()):
        raise OutputError(f"{out} holds files, but no data set; choose another output folder")
    make_folder(out / "work")


def _identity(candidate: Candidate) -> tuple[str, str, Set]:
    return candidate.source, candidate.key, candidate.set


def _more(target: int | None, have: int, taken: int) -> int:
    """How many more candidates to take, at the yield so far; 0 where it is enough."""
    if target is None or have >= target:
        return 0
    return math.ceil((target - have) / max(have / max(taken, 1), LEAST_YIELD))


def _finished(build: Build) -> Dataset | None:
    """The data set that an earlier run made of the same, if it is all still there."""
    told = read_json(build.out / DONE)
    if told is None:
        return None
    try:
        dataset = load_dataset(build.out)
    except InputError:
        return None
    whole = all(dataset.file(m).is_file() for m in (*dataset.illustrations, *dataset.linearts))
    return dataset if whole and told == {**build.state(), "digest": dataset.digest} else None


def _check_both_sets(recipe: Recipe) -> None:
    """Raise RecipeError, before anything is fetched, where no source can offer one of the sets."""
    offered = {kind for source in recipe.sources for kind in source.sets()}
    for kind in SETS:
        if kind not in offered:
            raise RecipeError(f"no source of {recipe.name} offers {kind}; add one that does")


def _check_not_empty(dataset: Dataset) -> None:
    counts: dict[Set, int] = {name: len(getattr(dataset, name)) for name in SETS}
    for name, number in counts.items():
        if not number:
            reasons = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped().items()) or "none offered"
            raise InputError(
                f"{dataset.folder} has no {name}: expected at least one, dropped were {reasons}; "
                f"see {dataset.folder / 'card.md'} for the reasons, then mend the sources or the filters"
            )


def _summary(dataset: Dataset) -> str:
    dropped = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped().items()) or "none"
    return (
        f"{len(dataset.illustrations)} illustrations, {len(dataset.linearts)} line arts, "
        f"dropped: {dropped}; digest {dataset.digest[:12]}"
    )
