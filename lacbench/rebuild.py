"""A published data set, made again: every work got from where it came, and checked by its SHA-256."""

import csv
import io
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lacbench.card import write_card
from lacbench.collect.client import Client
from lacbench.curate import claim
from lacbench.engine import Engine, Local
from lacbench.errors import InputError, OutputError
from lacbench.exclusions import load_exclusions
from lacbench.files import read_json, sweep, write_bytes, write_json, write_text
from lacbench.gather import PARTS, Gatherer
from lacbench.journal import JOURNAL, Fetched, Journal
from lacbench.manifest import save_dataset
from lacbench.progress import Progress, Silent
from lacbench.published import Published, read_published
from lacbench.recipe import CONTACT, CollectSpec
from lacbench.records import KEPT, SETS, Candidate, Dataset, LedgerEntry, Member, Record, Statistics, Verdict
from lacbench.sources import Visit
from lacbench.whereabouts import Whereabouts, whereabouts, work_id

GONE = "gone.csv"
"""The works that are not to be had any more, in the data set's folder."""
MARK = "work/.rebuilt.json"
"""Which published data set a folder is made after."""


@dataclass(frozen=True)
class Gone:
    """A work that is not to be had any more."""

    member: Member
    """The work, as it was published."""
    verdict: Verdict
    """Why."""


@dataclass(frozen=True)
class Rebuilt:
    """What became of a published data set."""

    dataset: Dataset
    """What was made."""
    published: str
    """Digest of the data set that was published."""
    gone: tuple[Gone, ...]
    """What is missing from it, by set and id; empty where the digests are equal."""

    @property
    def whole(self) -> bool:
        """Whether it is the published data set."""
        return self.dataset.digest == self.published

    @property
    def share(self) -> float:
        """Part of the published works that is here, 0–1."""
        here = len(self.dataset.illustrations) + len(self.dataset.linearts)
        return here / (here + len(self.gone))


def rebuild(
    folder: Path,
    out: Path,
    *,
    folders: Mapping[str, Path] | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    collect: CollectSpec | None = None,
    retry: bool = False,
) -> Rebuilt:
    """Get every work of a published data set again, check its bytes, and write manifests, ledger and card.

    Nothing is judged: the works and their splits are those that were published; their measures are taken
    anew. What is not to be had, or has other bytes now, is named in `gone.csv`. A killed run goes on from
    what it stored. Of the published recipe only what a source is is used, never a folder or a manner of
    asking.

    Args:
        folder: what `lacbench publish` wrote, perhaps a stranger's.
        out: the new data set's folder.
        folders: where the files of sources lie on this machine, by the source's name.
        engine: where pictures are measured; this machine's cores by default.
        progress: who listens.
        collect: how sites are asked.
        retry: ask again for what was not to be had.

    Raises:
        InputError: no published data set; a folder that is none of its sources'; nothing left of it; sites
            to be asked without a contact.
        IntegrityError: the published folder is not what it says.
        OutputError: the output cannot be written, or holds another data set.
    """
    engine, progress, collect = engine or Local(), progress or Silent(), collect or manners()
    published = read_published(folder)
    _claim(out, published)
    with Journal(out / JOURNAL) as journal, Client(collect) as client, engine.sharing(out):
        sweep(out)
        journal.adopt(collect.model_dump_json())
        if retry:
            journal.forget_failures()
        told = whereabouts(published, folders or {}, Visit(out, progress, client))
        _leave_out_excluded(out, published, told)
        _check_contact(collect, told.found)
        _want(journal, told.found)
        plain = {c.source for c in told.found} - told.apis
        gatherer = Gatherer(out, journal, client, plain, load_exclusions(out))
        gatherer.recover()
        gatherer.gather(engine, progress, len(published.works), _trouble)
        here = _taken(out, journal, published, told)
        dataset = _save(out, published, here, told, journal)
        shutil.rmtree(out / PARTS, ignore_errors=True)
    rebuilt = Rebuilt(dataset, published.index.dataset, _gone(published, told))
    _write_gone(out, rebuilt.gone)
    progress.say(f"rebuild: {len(here)} of {len(published.works)} works; digest {dataset.digest[:12]}")
    return rebuilt


def manners(allow_hosts: Iterable[str] = ()) -> CollectSpec:
    """How sites are asked: as everywhere, and as whom the environment says. Raises InputError."""
    try:
        return CollectSpec(allow_hosts=tuple(allow_hosts))
    except ValidationError as error:
        raise InputError(f"{CONTACT} does not hold: {error.errors()[0]['msg']}; mend it") from error


def _claim(out: Path, published: Published) -> None:
    """Make `out` the folder of this data set's copy. Raises OutputError where it holds another data set."""
    claim(out)
    mark = {"published": published.index.dataset}
    if (out / "ledger.parquet").is_file() and read_json(out / MARK) != mark:
        raise OutputError(f"{out} holds another data set; choose another output folder")
    write_json(out / MARK, mark)


def _leave_out_excluded(out: Path, published: Published, told: Whereabouts) -> None:
    """Do not ask for works that were taken out of this folder for good."""
    rules = load_exclusions(out)
    excluded = set()
    for member in published.works:
        candidate, sha256 = member.record.candidate, member.record.sha256
        if rule := rules.names(candidate, sha256):
            told.gone[work_id(candidate, sha256)] = Verdict(False, "excluded", rule)
            excluded.add(_identity(candidate))
    told.found = [c for c in told.found if _identity(c) not in excluded]


def _check_contact(collect: CollectSpec, found: Iterable[Candidate]) -> None:
    if any(c.url for c in found) and not collect.contact:
        raise InputError(
            f"works lie on sites, and these must know whom to tell of trouble: set {CONTACT} in the "
            "environment to your mail address or page"
        )


def _want(journal: Journal, found: list[Candidate]) -> None:
    """Let the journal want these works, and no others."""
    journal.forget_listings()
    sources: dict[str, list[Candidate]] = {}
    for candidate in found:
        sources.setdefault(candidate.source, []).append(candidate)
    for name, candidates in sources.items():
        journal.listing(name, "")
        journal.add_page(name, candidates, "")
        journal.finish_listing(name)
    journal.take(journal.numbers(found))


def _taken(out: Path, journal: Journal, published: Published, told: Whereabouts) -> list[Member]:
    """The works that are here with their bytes, measured; why others are not is noted."""
    works = {_identity(m.record.candidate): m for m in published.works}
    ids = {m.record.sha256 for m in published.works}
    here, wrong = [], []
    for listed, fetched, measures in journal.results():
        member = works[_identity(listed.candidate)]
        record, candidate = member.record, member.record.candidate
        if fetched.sha256 == record.sha256 and isinstance(measures, Statistics):
            here.append(Member(Record(record.sha256, fetched.path, candidate, measures), member.split))
            continue
        if fetched.sha256 and fetched.sha256 != record.sha256:
            detail = f"SHA-256 {fetched.sha256[:12]}…, published was {record.sha256[:12]}…"
            verdict = Verdict(False, "corrupt", detail)
            wrong.append((fetched, verdict))
        elif fetched.reason:
            verdict = Verdict(False, fetched.reason, fetched.detail)
        else:
            verdict = Verdict(False, "unreadable", str(measures))
        told.gone[work_id(candidate, record.sha256)] = verdict
    for fetched, verdict in wrong:
        told_so = Fetched(fetched.place, validator=fetched.validator, reason="corrupt", detail=verdict.detail)
        journal.note(told_so)
        if fetched.sha256 not in ids:
            (out / fetched.path).unlink(missing_ok=True)
    return here


def _save(
    out: Path, published: Published, here: list[Member], told: Whereabouts, journal: Journal
) -> Dataset:
    """Write the data set: what is here, and a ledger of all that was published."""
    if not here:
        reasons = ", ".join(sorted({verdict.reason for verdict in told.gone.values()}))
        raise InputError(
            f"none of the {len(published.works)} works of {published.folder} is to be had: {reasons}; name "
            "the folders of its sources with --folder, or run the same command again later"
        )
    for text in sorted({m.record.candidate.license_file for m in here} - {""}):
        if not (out / text).is_file() and text in published.index.files:
            write_bytes(out / text, (published.folder / text).read_bytes())
    kept = {
        _identity(m.record.candidate): LedgerEntry(
            m.record.candidate, KEPT, m.record.sha256, m.record.statistics
        )
        for m in here
    }
    gone = {_identity(g.member.record.candidate): _entry(g) for g in _gone(published, told)}
    ledger = [entry for _, entry in sorted({**gone, **kept}.items())]
    sets = {
        name: sorted((m for m in here if m.record.candidate.set == name), key=lambda m: m.record.sha256)
        for name in SETS
    }
    dataset = save_dataset(out, sets["illustrations"], sets["linearts"], ledger, published.recipe)
    write_card(dataset, told.trouble, journal.asked())
    return dataset


def _gone(published: Published, told: Whereabouts) -> tuple[Gone, ...]:
    return tuple(
        Gone(member, verdict)
        for member in published.works
        if (verdict := told.gone.get(work_id(member.record.candidate, member.record.sha256)))
    )


def _entry(gone: Gone) -> LedgerEntry:
    return LedgerEntry(gone.member.record.candidate, gone.verdict)


def _write_gone(out: Path, gone: tuple[Gone, ...]) -> None:
    """Write `gone.csv`, or take an earlier one away."""
    if not gone:
        (out / GONE).unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("set", "sha256", "split", "source", "key", "url", "page", "reason", "detail"))
    for one in gone:
        told = one.member.record.candidate
        where = (told.source, told.key, told.url, told.page)
        verdict = (one.verdict.reason, one.verdict.detail)
        rows.writerow((told.set, one.member.record.sha256, one.member.split, *where, *verdict))
    write_text(out / GONE, text.getvalue())


def _identity(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.source, candidate.key, candidate.set


def _trouble(_: Candidate, __: str, measures: Statistics | str) -> str:
    """Why a picture will not do, as far as it alone tells."""
    return "unreadable" if isinstance(measures, str) else ""
