"""Is a data set still what its manifests say? Every file is read and hashed again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lacbench.engine import Engine, Local
from lacbench.errors import ImageError
from lacbench.files import sha256_file
from lacbench.images import read
from lacbench.manifest import load_dataset, load_pairs
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair, Set


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the manifests say."""

    path: str
    """The file, within the data set's folder."""
    problem: str
    """What is wrong with it, in a few words."""


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what was found."""

    digest: str
    """The data set's."""
    checked: int
    """Pictures, line drawings and licence texts that were read."""
    differences: tuple[Difference, ...]
    """Everything that differs, by path; empty for a data set that holds."""


def verify(folder: Path, engine: Engine | None = None, progress: Progress | None = None) -> Verification:
    """Read every file that a data set's manifests name, hash it again, and compare ledger and manifests.

    Raises InputError where there is no data set, or a manifest of it cannot be read.
    """
    engine, progress = engine or Local(), progress or Silent()
    dataset = load_dataset(folder)
    checks = list(_checks(dataset))
    with engine.sharing(folder):
        found = engine.map(partial(_check, folder.absolute()), checks, _unchecked)
        differences = [d for d in progress.track(found, "verify", len(checks)) if d is not None]
    differences += _ledger_differences(dataset)
    progress.say(f"verify: {len(checks)} files, {len(differences)} differences")
    return Verification(dataset.digest, len(checks), tuple(sorted(differences, key=lambda d: d.path)))


Check = tuple[str, str, Pair | None]
"""A file's path, the sha256 that its bytes must have (empty: any), and the pair that it must draw."""


def _checks(dataset: Dataset) -> Iterator[Check]:
    members = (*dataset.illustrations, *dataset.linearts)
    yield from ((m.record.path, m.record.sha256, None) for m in members)
    texts = {m.record.candidate.license_file for m in members} - {""}
    yield from ((text, "", None) for text in sorted(texts))
    if (dataset.folder / "pairs.parquet").is_file():
        yield from ((pair.path, "", pair) for pair in load_pairs(dataset.folder))


def _check(folder: Path, check: Check) -> Difference | None:
    path, sha256, pair = check
    file = folder / path
    if not file.is_file():
        return Difference(path, "is missing")
    if sha256 and (got := sha256_file(file)) != sha256:
        return Difference(path, f"has other bytes: SHA-256 {got[:12]}…")
    if pair is None:
        return None
    try:
        height, width = read(file).shape[:2]
    except ImageError:
        return Difference(path, "is no picture that can be read")
    if (height, width) != (pair.height, pair.width):
        return Difference(path, f"is {width} × {height}, expected {pair.width} × {pair.height}")
    return None


def _unchecked(check: Check, reason: str) -> Difference:
    return Difference(check[0], reason)


def _ledger_differences(dataset: Dataset) -> list[Difference]:
    """Every kept candidate is a member, every member a kept candidate, no candidate has two verdicts."""
    members = Counter(
        (m.record.candidate.set, m.record.sha256) for m in (*dataset.illustrations, *dataset.linearts)
    )
    kept: Counter[tuple[Set, str]] = Counter()
    problems, last = [], None
    for entry in dataset.ledger:  # sorted: two verdicts on one candidate stand side by side
        identity = (entry.candidate.source, entry.candidate.key, entry.candidate.set)
        if identity == last:
            problems.append(f"has more than one verdict on {identity[0]}: {identity[1]}")
        last = identity
        if entry.verdict.kept:
            kept[entry.candidate.set, entry.sha256] += 1
    problems += [f"keeps {sha256[:12]}… of {name}, which no manifest has" for name, sha256 in kept - members]
    problems += [
        f"does not keep {sha256[:12]}… of {name}, a manifest does" for name, sha256 in members - kept
    ]
    return [Difference("ledger.parquet", problem) for problem in problems]
