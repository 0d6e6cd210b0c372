"""Pictures in a folder, with what a layout's own files say of them: licences, tags, artists."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from lacbench.errors import InputError
from lacbench.images import SUFFIXES
from lacbench.records import SETS, Candidate, Set
from lacbench.sources.base import Globbed, Page, Tree, Visit, as_text, chosen, limited
from lacbench.sources.fields import told_of, words
from lacbench.sources.rows import read_rows
from lacbench.sources.sidecar import told_by_sidecar

MANIFEST = "manifest.json"
"""Optional: a list of {"file": relative path, "license": SPDX, "source": where from}."""
SIGMAS = ("0", "1", "2")
"""Folders of the layout `alacgan` that hold XDoG drawings of `color/`, one for each thickness."""
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables of the layout `imagefolder`, in its root and in the folders of its splits."""


class Folder(Globbed):
    """A folder on this machine; only the recipe's globs of it are read, or what its layout names.

    `alacgan` is the layout that the paper's authors published: `color/` has the illustrations. Its `0/`, `1/`
    and `2/` are XDoG drawings of these, no authentic line art, so they are not taken: `lacbench pairs`
    draws them anew.

    `gallery-dl` has beside each picture a file of that name and `.json`, with what the site said of it.

    `imagefolder` is Hugging Face's: `metadata.csv`, `.jsonl` or `.parquet` with a column `file_name`, here or
    in the folders of splits. A column `set` (or `label`, where it says so) parts the pictures.
    """

    local_paths: ClassVar = ("folder",)

    kind: Literal["folder"]
    folder: Path
    """Where the pictures lie; relative paths start at the recipe's own folder."""
    layout: Literal["plain", "alacgan", "gallery-dl", "imagefolder"] = "plain"
    """Whose files say what of the pictures; `plain` folders may have a `manifest.json`."""
    set: Set | None = None
    """Takes all pictures below the folder into one set, instead of globs."""

    @model_validator(mode="before")
    @classmethod
    def _globs_of_layout(cls, told: Any) -> Any:
        """What `set` and the layout stand for, where no globs are named."""
        if not isinstance(told, dict) or told.get("illustrations") or told.get("linearts"):
            return told
        if told.get("layout") == "alacgan":
            return {**told, "illustrations": all_pictures("color/")}
        if told.get("set") in SETS:
            return {**told, told["set"]: all_pictures()}
        if told.get("layout") == "imagefolder":  # the table parts them
            return {**told, "illustrations": all_pictures()}
        return told

    @model_validator(mode="after")
    def _authentic(self) -> Self:
        drawn = [g for g in self.linearts if g.split("/")[0] in SIGMAS] if self.layout == "alacgan" else []
        if drawn:
            raise ValueError(f"{drawn[0]!r} are XDoG drawings of color/, no authentic line art; take it out")
        return self

    def sets(self) -> tuple[Set, ...]:
        """Those that it has globs for; both where a table's rows say it."""
        return SETS if self.layout == "imagefolder" else super().sets()

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the folder's pictures, all on one page."""
        if not self.folder.is_dir():
            raise InputError(f"source {self.name}: {self.folder} is no folder; name one that holds pictures")
        offered = chosen(self, Tree(self.folder, "", f"folder {self.folder.name}"))
        # The output may lie inside the source; what it holds was taken from there.
        inside = visit.folder.resolve()
        fresh = [c for c in offered if not c.path.resolve().is_relative_to(inside)]
        found = limited(self, self._described(fresh, visit))
        if not found:
            by_layout = self.set or self.layout != "plain"
            globs = f"none of {', '.join(self.illustrations + self.linearts)}"
            raise InputError(
                f"source {self.name}: {self.folder} holds {'no such pictures' if by_layout else globs}; "
                "put pictures there"
            )
        yield Page(tuple(found))

    def plan(self) -> tuple[str, ...]:
        """Reads this machine's files only."""
        told = (f"reads {self.folder}; asks nobody",)
        if self.layout == "alacgan":
            return (*told, "takes color/ only: 0/, 1/ and 2/ are XDoG drawings of it, no authentic line art")
        return told

    def _described(self, found: list[Candidate], visit: Visit) -> list[Candidate]:
        """The candidates, with what the layout's files say of them."""
        if self.layout == "gallery-dl":
            told = [told_by_sidecar(c) for c in found]
            if unread := sum(not read for _, read in told):
                visit.progress.say(
                    f"source {self.name}: {unread} of {len(found)} pictures have no sidecar that can be read"
                )
            return [c for c, _ in told]
        if self.layout == "imagefolder":
            return self._parted(found)
        rights = _read_manifest(self.folder)
        return [_with_rights(c, rights.get(c.key, {})) for c in found]

    def _parted(self, found: list[Candidate]) -> list[Candidate]:
        """The candidates with their rows' fields and sets; pictures that no table has are not offered."""
        rows = _read_metadata(self.folder)
        listed = [(c, rows[c.key]) for c in found if c.key in rows]
        parted = self.set or self.linearts or self.illustrations != tuple(all_pictures())
        unclear = next((c.key for c, row in listed if not parted and _set_of(row) is None), None)
        if unclear is not None:
            raise InputError(
                f"source {self.name}: the metadata of {unclear} says not which set it belongs to; "
                f"add a column `set` with {' or '.join(SETS)}, or name `set` or globs in the recipe"
            )
        return [_with_row(c, row) for c, row in listed]


def all_pictures(start: str = "") -> list[str]:
    """Globs of all pictures below a folder, by suffix in either case."""
    suffixes = sorted({*SUFFIXES.values(), ".jpeg", ".tiff", ".svg"})
    either_case = ["".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in suffix) for suffix in suffixes]
    return [f"{start}**/*{suffix}" for suffix in either_case]


def _with_rights(candidate: Candidate, entry: Mapping[str, Any]) -> Candidate:
    return replace(
        candidate,
        license=as_text(str(entry.get("license", candidate.license))),
        origin=as_text(str(entry.get("source", candidate.origin))),
    )


def _with_row(candidate: Candidate, row: Mapping[str, Any]) -> Candidate:
    """The candidate as its row has it."""
    told = told_of(candidate, row)
    return replace(told, set=_set_of(row) or told.set, origin=words(row.get("source")) or told.origin)


def _set_of(row: Mapping[str, Any]) -> Set | None:
    """The set that a row names, by its column or its label."""
    return next((name for name in SETS if name in (row.get("set"), row.get("label"))), None)


def _read_metadata(root: Path) -> dict[str, dict[str, Any]]:
    """The rows of all of an image folder's tables, by the pictures' paths relative to `root`."""
    rows: dict[str, dict[str, Any]] = {}
    tables = sorted(p for name in METADATA for p in root.rglob(name) if p.is_file())
    for table in tables:
        base = table.parent.relative_to(root)
        for number, row in read_rows(table):
            if row is None or not isinstance(row.get("file_name"), str):
                raise InputError(
                    f"row {number} of {table} does not hold: expected a column `file_name`; mend it"
                )
            rows[as_text((base / row["file_name"]).as_posix())] = row
    if not tables:
        raise InputError(f"{root} is no image folder: it has none of {', '.join(METADATA)}; add one")
    return rows


def _read_manifest(root: Path) -> dict[str, dict[str, Any]]:
    path = root / MANIFEST
    if not path.is_file():
        return {}
    try:
        return {str(entry["file"]): dict(entry) for entry in json.loads(path.read_text("utf-8"))}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} does not hold: expected a list of objects with `file`, `license` and `source`, "
            f"got {type(error).__name__} {error}; mend it or take it away"
        ) from error
