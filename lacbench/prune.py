"""Take works out of a data set for good, as authors who ask for it can expect."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lacbench.card import known_from, write_card
from lacbench.exclusions import Exclusions, load_exclusions, read_exclusions, save_exclusions
from lacbench.files import md5_bytes
from lacbench.journal import JOURNAL, VERSION, Journal
from lacbench.manifest import load_dataset, load_pairs, save_dataset, save_pairs
from lacbench.prepared import drop_prepared
from lacbench.records import SETS, Dataset, LedgerEntry, Verdict


@dataclass(frozen=True)
class Pruned:
    """What was taken out."""

    dataset: Dataset
    """The data set without them."""
    excluded: int
    """Candidates that the rules name, those that were left out before included."""
    unknown: tuple[str, ...]
    """Rules that name nothing here, as they are written."""


def prune(folder: Path, exclude: Path) -> Pruned:
    """Take out the works that a file of rules names; see `lacbench.exclusions.parse_exclusions`.

    The rules are remembered beside the manifests, with the ids of what they named and of all that is the
    same picture: another copy of an unwanted work does not take its place. Then pictures, line drawings and
    manifests are rewritten, and copies prepared for training taken away. Killed in between, the same
    command finishes.

    Raises InputError for no data set, and for a line that names no work; OutputError, also while a build
    runs there.
    """
    with _claimed(folder) as journal:
        dataset = load_dataset(folder)
        asked_for = read_exclusions(exclude)
        rules = load_exclusions(folder) | asked_for
        rule_of, used = _named(dataset, rules, journal)
        rules = rules | Exclusions(sha256=_same_pictures(dataset, rule_of.keys()))
        save_exclusions(folder, rules)
        pruned, excluded = _rewrite(dataset, rules, rule_of)
        known = known_from(folder)
        write_card(pruned, known.sources_left_out, journal.asked() if journal else known.asked)
    unknown = tuple(rule for rule in asked_for.text().splitlines() if rule not in used)
    return Pruned(pruned, excluded, unknown)


@contextmanager
def _claimed(folder: Path) -> Iterator[Journal | None]:
    """The journal of the build, held so that no build runs meanwhile; None where there is none of ours."""
    file = folder / JOURNAL
    if not (file.is_file() and _is_of_this_version(file)):
        yield None  # a data set that was handed on, or a journal that opening would begin anew
        return
    with Journal(file) as journal:
        yield journal


def _is_of_this_version(file: Path) -> bool:
    """Whether a journal can be gone on with; it is only looked at."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
            return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)
    except sqlite3.OperationalError:  # somebody has it open: `Journal` says so
        return True
    except sqlite3.DatabaseError:
        return False


def _named(dataset: Dataset, rules: Exclusions, journal: Journal | None) -> tuple[dict[str, str], set[str]]:
    """The stored pictures that rules name, by id, each with its first rule; and the rules that named any."""
    by_journal = {known.sha256: md5 for md5 in rules.md5 if journal and (known := journal.stored_as(md5))}
    rule_of: dict[str, str] = {}
    used: set[str] = set()
    for entry in dataset.ledger:
        md5 = by_journal.get(entry.sha256) or _md5(dataset, entry, rules)
        named = rules.all_names(entry.candidate, entry.sha256, md5)
        if named and entry.sha256:
            rule_of.setdefault(entry.sha256, named[0])
        # A picture's file goes with it: what named it then stands in the verdict.
        used.update(named, {entry.verdict.detail} if entry.verdict.reason == "excluded" else ())
    return rule_of, used


def _md5(dataset: Dataset, entry: LedgerEntry, rules: Exclusions) -> str:
    """MD5 of the stored file, where rules ask for MD5s and it has one."""
    file = dataset.stored(entry.sha256) if rules.md5 else None
    return md5_bytes(file.read_bytes()) if file else ""


def _same_pictures(dataset: Dataset, named: Iterable[str]) -> frozenset[str]:
    """The ids, and those of all pictures that the ledger ties to them: keepers, and what repeats these."""
    ties: dict[str, set[str]] = {}
    for entry in dataset.ledger:
        if entry.sha256 and entry.verdict.keeper:  # what was never stored is nobody's repeat
            ties.setdefault(entry.sha256, set()).add(entry.verdict.keeper)
            ties.setdefault(entry.verdict.keeper, set()).add(entry.sha256)
    found: set[str] = set()
    new = set(named)
    while new:
        found |= new
        new = set().union(*(ties.get(sha256, ()) for sha256 in new)) - found
    return frozenset(found)


def _rewrite(dataset: Dataset, rules: Exclusions, rule_of: Mapping[str, str]) -> tuple[Dataset, int]:
    """Write manifests and pairs without what the rules name; then take its files away.

    Returns the new data set, and how many candidates are excluded.
    """
    folder, excluded = dataset.folder, 0

    def judged() -> Iterator[LedgerEntry]:
        nonlocal excluded
        for entry in dataset.ledger:
            rule = rule_of.get(entry.sha256) or rules.names(entry.candidate, entry.sha256)
            if rule and entry.verdict.reason != "excluded":
                entry = replace(entry, verdict=Verdict(False, "excluded", rule))
            excluded += bool(rule)
            yield entry

    sets = {
        name: [m for m in getattr(dataset, name) if not rules.names(m.record.candidate, m.record.sha256)]
        for name in SETS
    }
    pruned = save_dataset(folder, sets["illustrations"], sets["linearts"], judged(), dataset.recipe)
    if (folder / "pairs.parquet").is_file():
        save_pairs(folder, [pair for pair in load_pairs(folder) if pair.sha256 not in rules.sha256])
    for sha256 in rules.sha256:
        for file in (*folder.glob(f"images/??/{sha256}.*"), *folder.glob(f"pairs/*/*/{sha256}.png")):
            file.unlink(missing_ok=True)
    drop_prepared(folder, rules.sha256)
    return pruned, excluded
