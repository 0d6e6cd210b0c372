"""`card.md`, `card.json` and `card/`: what a data set holds, where it comes from, and what was left out."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from lacbench.errors import ImageError
from lacbench.files import json_bytes, output_errors, write_bytes
from lacbench.hashing import ALGORITHM
from lacbench.histogram import draw_histogram
from lacbench.images import Array, contact_sheet, encode_jpeg, read, thumbnail
from lacbench.journal import Asked
from lacbench.reasons import REASONS
from lacbench.records import SETS, Candidate, Dataset, Member

FOLDER = "card"
"""Where the card's pictures lie."""
SHOWN, COLUMNS, SIDE = 24, 8, 128
"""Pictures on a contact sheet, in a row of it, and the largest side of each in pixels."""
_PICTURES = re.compile(
    rf"(sides|colours)-({'|'.join(SETS)})\.svg|kept-({'|'.join(SETS)})\.jpg|dropped-[a-z-]+\.jpg"
)
_MARKUP = re.compile(r"[\\`\[\]!*_<>|]|:(?=//)|(?<=www)\.")


class Known(BaseModel):
    """What a card says that the manifests do not."""

    sources_left_out: dict[str, str] = {}
    """Why which source was left out."""
    asked: list[Asked] = []
    """What was asked of which host, by all runs."""


def known_from(folder: Path) -> Known:
    """What a data set's card says beyond the manifests; nothing where it has none that can be read."""
    try:
        return Known.model_validate_json((folder / "card.json").read_bytes())
    except (OSError, ValidationError):
        return Known()


def write_card(dataset: Dataset, left_out: dict[str, str], asked: Sequence[Asked]) -> None:
    """Write the data set's card beside its manifests: Markdown for people, JSON for programs, pictures.

    Args:
        dataset: as it was saved.
        left_out: why which source was left out.
        asked: what was asked of which host, by all runs.
    """
    files = draw_card(dataset, left_out, asked)
    _clear(dataset.folder / FOLDER)
    for path, data in files.items():
        write_bytes(dataset.folder / path, data)


def draw_card(
    dataset: Dataset, left_out: dict[str, str], asked: Sequence[Asked], *, sheets: bool = True
) -> dict[str, bytes]:
    """The card's files by their paths; `sheets`: with the contact sheets, which show pictures."""
    facts = {
        "name": dataset.name,
        "digest": dataset.digest,
        "hashes": ALGORITHM,
        "candidates": len(dataset.ledger),
        "pictures": _rows(("set", "split"), ((name, m.split) for name, m in members(dataset))),
        "rights": rights(dataset),
        "ratings": _rows(("set", "rating"), ((n, _told(m).rating or "none") for n, m in members(dataset))),
        "dropped": dataset.dropped(),
        "sources_left_out": left_out,
        "asked": [asdict(host) for host in asked],
    }
    pictures = _histograms(dataset)
    if sheets:
        pictures |= {**_kept_sheets(dataset), **_dropped_sheets(dataset)}
    files = {f"{FOLDER}/{name}": data for name, data in pictures.items()}
    return {**files, "card.json": json_bytes(facts), "card.md": _page(facts, list(pictures)).encode()}


def _clear(folder: Path) -> None:
    """Take away an earlier card's pictures, which may show what is unwanted by now; nothing else."""
    for file in folder.glob("*"):
        if _PICTURES.fullmatch(file.name):
            with output_errors(file):
                file.unlink()


def members(dataset: Dataset) -> list[tuple[str, Member]]:
    """Every record of both sets, with its set's name."""
    return [(name, member) for name in SETS for member in getattr(dataset, name)]


def rights(dataset: Dataset) -> list[dict[str, Any]]:
    """Each set's sources with their rights, and how many pictures they gave.

    Where a source's pictures come from many places (posts of a site), `origin` says how many.
    """
    counts: Counter[tuple[str, str, str, str]] = Counter()
    origins: dict[tuple[str, str, str, str], set[str]] = {}
    for name, member in members(dataset):
        told = _told(member)
        key = (name, told.source, told.license, told.license_file)
        counts[key] += 1
        origins.setdefault(key, set()).add(told.origin)
    return [
        dict(zip(("set", "source", "license", "file"), key, strict=True))
        | {"origin": _one_of(origins[key]), "count": count}
        for key, count in sorted(counts.items())
    ]


def _one_of(origins: set[str]) -> str:
    first, *others = sorted(origins)
    return f"{first} and {len(others):,} others" if others else first


def _told(member: Member) -> Candidate:
    return member.record.candidate


def _rows(header: tuple[str, ...], keys: Iterable[tuple[str, ...]]) -> list[dict[str, Any]]:
    """How often each key comes, one row a key."""
    return [
        dict(zip(header, key, strict=True)) | {"count": count} for key, count in sorted(Counter(keys).items())
    ]


def _histograms(dataset: Dataset) -> dict[str, bytes]:
    """Sizes and colours of both sets, as SVG pictures by name."""
    drawn = {}
    for name in SETS:
        told = [m.record.statistics for m in getattr(dataset, name)]
        for label, file, values in (
            ("shortest side in pixels", "sides", [min(s.width, s.height) for s in told]),
            ("colourfulness", "colours", [s.colorfulness for s in told]),
        ):
            text = draw_histogram(np.asarray(values, dtype=np.float64), f"{name}: {label}")
            drawn[f"{file}-{name}.svg"] = text.encode()
    return drawn


def _kept_sheets(dataset: Dataset) -> dict[str, bytes]:
    """A contact sheet of each set, its pictures spread evenly over the ids."""
    sheets = {}
    for name in SETS:
        of_set = getattr(dataset, name)
        step = max(1, len(of_set) // SHOWN)
        sheets[f"kept-{name}.jpg"] = _sheet(dataset, [m.record.sha256 for m in of_set[::step][:SHOWN]])
    return {name: sheet for name, sheet in sheets.items() if sheet}


def _dropped_sheets(dataset: Dataset) -> dict[str, bytes]:
    """A contact sheet of the first pictures that fell to each reason, where there are any in the store.

    Works that were taken out for good are shown nowhere.
    """
    shown = REASONS.keys() - {"excluded"}  # a stranger's ledger may have others: they become files' names
    found: dict[str, list[str]] = {reason: [] for reason in dataset.dropped() if reason in shown}
    for entry in dataset.ledger:
        of_reason = found.get(entry.verdict.reason)
        if of_reason is not None and entry.sha256 and len(of_reason) < SHOWN:
            of_reason.append(entry.sha256)
    sheets = {f"dropped-{reason}.jpg": _sheet(dataset, ids) for reason, ids in found.items()}
    return {name: sheet for name, sheet in sheets.items() if sheet}


def _sheet(dataset: Dataset, ids: list[str]) -> bytes:
    """A contact sheet, as JPEG; empty where none of the pictures can be shown."""
    images = list(islice((image for i in ids if (image := _image(dataset, i)) is not None), SHOWN))
    return encode_jpeg(contact_sheet(images, SIDE, min(COLUMNS, len(images)))) if images else b""


def _image(dataset: Dataset, sha256: str) -> Array | None:
    """A stored picture as small as the sheet shows it; None where it cannot be read."""
    file = dataset.stored(sha256)
    try:
        return thumbnail(read(file), SIDE) if file else None
    except ImageError:
        return None


def _page(facts: dict[str, Any], pictures: list[str]) -> str:
    """The card as Markdown."""
    dropped = [
        {"reason": reason, "what it means": REASONS.get(reason, ""), "count": n}
        for reason, n in facts["dropped"].items()
    ]
    told = [
        f"{asked['host']}: {asked['requests']:,} requests, {asked['bytes'] / 1e6:,.1f} MB, first "
        f"{asked['first']}, last {asked['last']}; statuses "
        + ", ".join(f"{n} × {status}" for status, n in sorted(asked["statuses"].items()))
        for asked in facts["asked"]
    ]
    sections = [
        f"# {plain(facts['name'])}\n\nDigest `{facts['digest']}`. Hashes: {facts['hashes']}. "
        f"{facts['candidates']:,} candidates, each with one verdict in `ledger.parquet`.",
        table("Pictures", facts["pictures"]),
        _pictures("kept-", pictures),
        "## Sizes and colours",
        _pictures("sides-", pictures) + "\n" + _pictures("colours-", pictures),
        table("Origins and rights", facts["rights"]),
        table("Ratings", facts["ratings"]),
        table("Left out", dropped),
        *(f"### {r}\n\n{image}" for r in facts["dropped"] if (image := _pictures(f"dropped-{r}.", pictures))),
        "## What was asked of whom\n\n"
        + ("\n".join(f"- {plain(line)}" for line in told) or "Nobody was asked."),
    ]
    if facts["sources_left_out"]:
        lines = (f"- {plain(f'{source}: {why}')}" for source, why in facts["sources_left_out"].items())
        sections.append("## Sources left out\n\n" + "\n".join(lines))
    sections.append(
        "## Make it again\n\n`lacbench build-dataset recipe.toml -o FOLDER` with the recipe beside this "
        "card. To have a work taken out: `lacbench prune`."
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _pictures(start: str, names: list[str]) -> str:
    """Markdown that shows the card's pictures whose names start so."""
    shown = [name for name in names if name.startswith(start)]
    return "\n".join(f"![{name.rpartition('.')[0]}]({FOLDER}/{name})" for name in shown)


def table(title: str, rows: list[dict[str, Any]]) -> str:
    """Rows of one form as a section of Markdown."""
    header = list(rows[0]) if rows else ["none"]
    cells = [header, ["---"] * len(header), *(row.values() for row in rows)]
    return f"## {title}\n\n" + "\n".join("| " + " | ".join(plain(c) for c in row) + " |" for row in cells)


def plain(value: object) -> str:
    """Text that Markdown shows as it stands, on one line: sources and recipes are strangers'.

    Nothing in it becomes an image, a link (bare addresses included), markup, or the end of a table's cell.
    """
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))
