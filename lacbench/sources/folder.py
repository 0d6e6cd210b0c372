"""Pictures in a folder, with licences from its `manifest.json` where it has one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from lacbench.errors import InputError
from lacbench.records import Candidate
from lacbench.sources.base import Globbed, Page, Tree, Visit, as_text, chosen, limited

MANIFEST = "manifest.json"
"""Optional: a list of {"file": relative path, "license": SPDX, "source": where from}."""


class Folder(Globbed):
    """A folder on this machine; only the recipe's globs of it are read."""

    local_paths: ClassVar = ("folder",)

    kind: Literal["folder"]
    folder: Path
    """Where the pictures lie; relative paths start at the recipe's own folder."""

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the folder's pictures, all on one page."""
        if not self.folder.is_dir():
            raise InputError(f"source {self.name}: {self.folder} is no folder; name one that holds pictures")
        told = _read_manifest(self.folder)
        offered = chosen(self, Tree(self.folder, "", f"folder {self.folder.name}"))
        # The output may lie inside the source; what it holds was taken from there.
        inside = visit.folder.resolve()
        found = limited(self, [c for c in offered if not c.path.resolve().is_relative_to(inside)])
        if not found:
            raise InputError(
                f"source {self.name}: {self.folder} holds none of "
                f"{', '.join(self.illustrations + self.linearts)}; put pictures there"
            )
        yield Page(tuple(_with_rights(c, told.get(c.key, {})) for c in found))

    def plan(self) -> tuple[str, ...]:
        """Reads this machine's files only."""
        return (f"reads {self.folder}; asks nobody",)


def _with_rights(candidate: Candidate, entry: dict[str, Any]) -> Candidate:
    return replace(
        candidate,
        license=as_text(str(entry.get("license", candidate.license))),
        origin=as_text(str(entry.get("source", candidate.origin))),
    )


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
