"""What a page shows of a data set: counts, rights, what was dropped and why, its line drawings."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lacbench.card import members, rights
from lacbench.errors import ImageError
from lacbench.reasons import REASONS
from lacbench.records import SETS, Dataset, LedgerEntry, Member, Pair
from lacbench.report.pictures import SIDE, Picture, label, picture, title

GLIMPSE = 96
"""Longest side of a dropped picture on the page, in CSS pixels; stored at twice that."""
TASTE = 128
"""Longest side of a picture in the page's head, in CSS pixels; stored at twice that."""
DROPPED = 8
"""Dropped pictures shown, at most, for each reason."""
DRAWN = 6
"""Illustrations shown with their line drawings."""


@dataclass(frozen=True)
class Drop:
    """Dropped pictures that lost to the same keeper, or to none."""

    keeper: Picture | None
    """The picture kept instead, for duplicates and leaks."""
    dropped: tuple[tuple[Picture, str], ...]
    """The dropped ones, with the numbers behind the reason."""


@dataclass(frozen=True)
class Reason:
    """Everything that was dropped for one reason."""

    name: str
    """The ledger's word."""
    meaning: str
    """The same, for people."""
    count: int
    """Candidates dropped for it."""
    drops: tuple[Drop, ...]
    """Some of them."""
    notes: tuple[str, ...]
    """What the ledger says of some that have no picture to show."""


def taste(dataset: Dataset) -> list[Picture]:
    """Four line arts and four illustrations in turn, by falling id: the sections show others."""
    linearts, illustrations = (
        varied(getattr(dataset, name)[::-1], 4) for name in ("linearts", "illustrations")
    )
    turns = (m for turn in zip_longest(linearts, illustrations) for m in turn if m)
    return [
        picture(dataset.file(m), TASTE, title(m), lines=m.record.candidate.set == "linearts") for m in turns
    ]


def counts(dataset: Dataset) -> dict[str, Counter[str]]:
    """How many pictures each set has, by split."""
    found: dict[str, Counter[str]] = {name: Counter() for name in SETS}
    for name, member in members(dataset):
        found[name][member.split] += 1
    return found


def origins(dataset: Dataset, page: Path) -> list[dict[str, Any]]:
    """Each set's sources with their rights, how many pictures they gave, and a link to the licence text."""
    return [{**row, "link": _link(dataset, row["file"], page)} for row in rights(dataset)]


def _link(dataset: Dataset, file: str, page: Path) -> str:
    """Relative link from the page to a licence text; empty where the page does not lie above it."""
    target, home = (dataset.folder / file).resolve(), page.resolve().parent
    inside = target.is_relative_to(dataset.folder.resolve()) and target.is_relative_to(home)
    return quote(Path(os.path.relpath(target, home)).as_posix()) if inside and target.is_file() else ""


def reasons(dataset: Dataset) -> list[Reason]:
    """Every reason for which something was dropped, most frequent first, with some of its pictures."""
    found = []
    for name, count in dataset.dropped().items():
        entries = [e for e in dataset.ledger if not e.verdict.kept and e.verdict.reason == name]
        drops, notes = _drops(dataset, entries)
        found.append(Reason(name, REASONS.get(name, ""), count, drops, notes))
    return found


def _drops(dataset: Dataset, entries: list[LedgerEntry]) -> tuple[tuple[Drop, ...], tuple[str, ...]]:
    """The first pictures dropped for a reason, beside their keepers; and what is said of those without."""
    shown: list[tuple[str, Picture, str]] = []
    notes: list[str] = []
    for entry in sorted(entries, key=lambda e: e.verdict.keeper):
        if len(shown) + len(notes) == DROPPED:
            break
        detail = without_folders(entry.verdict.detail)
        picture = glimpse(dataset, entry.sha256, f"dropped picture {label(entry.candidate.key)}")
        if picture:
            shown.append((entry.verdict.keeper, picture, detail))
        else:
            notes.append(detail or entry.candidate.key)
    drops = [
        Drop(glimpse(dataset, keeper, "the picture kept instead"), tuple((p, text) for _, p, text in group))
        for keeper, group in groupby(shown, key=lambda s: s[0])
    ]
    return tuple(drops), tuple(notes)


def glimpse(dataset: Dataset, sha256: str, alt: str) -> Picture | None:
    """A small picture of anything in the data set's store, dropped or kept; None where it holds none."""
    file = dataset.stored(sha256)
    try:
        return picture(file, GLIMPSE, alt) if file else None
    except ImageError:
        return None


def drawings(dataset: Dataset, pairs: Sequence[Pair]) -> list[tuple[Picture, list[tuple[float, Picture]]]]:
    """Some illustrations, each with its line drawings by rising σ."""
    by_id: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda p: p.sigma):
        by_id.setdefault(pair.sha256, []).append(pair)
    chosen = varied([m for m in dataset.illustrations if m.record.sha256 in by_id], DRAWN)
    return [
        (
            picture(dataset.file(member), SIDE, f"illustration {title(member)}"),
            [(pair.sigma, _drawing(dataset, pair)) for pair in by_id[member.record.sha256]],
        )
        for member in chosen
    ]


def _drawing(dataset: Dataset, pair: Pair) -> Picture:
    return picture(dataset.folder / pair.path, SIDE, f"its line drawing at σ {pair.sigma:g}", lines=True)


def without_folders(text: str) -> str:
    """The text without this machine's folders: of an absolute path only the last name is told."""
    return re.sub(r"""(?<![^\s"'])(?:~|[A-Za-z]:)?[/\\](?=\S)(?:[^"'/\\\n]+[/\\])*""", "…/", text)


def varied(chosen: Sequence[Member], count: int) -> list[Member]:
    """The first `count` by id, the sources taking turns: varied, and picked by no eye."""
    sources: dict[str, list[Member]] = {}
    for member in chosen:
        sources.setdefault(member.record.candidate.source, []).append(member)
    return [m for turn in zip_longest(*sources.values()) for m in turn if m][:count]
