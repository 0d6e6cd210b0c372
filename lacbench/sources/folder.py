"""Pictures in a folder, with licences from its `manifest.json` where it has one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lacbench.errors import InputError
from lacbench.progress import Progress
from lacbench.recipe import SourceSpec
from lacbench.records import Candidate
from lacbench.sources.base import Tree, as_text, chosen, limited

MANIFEST = "manifest.json"
"""Optional: a list of {"file": relative path, "license": SPDX, "source": where from}."""


@dataclass(frozen=True)
class FolderSource:
    """A folder on this machine; only the recipe's globs of it are read."""

    spec: SourceSpec
    """The recipe's table."""

    def candidates(self, out: Path, progress: Progress) -> Iterator[Candidate]:
        """Offer the folder's pictures; see `Source.candidates`."""
        root = Path(self.spec.folder or "")
        if not root.is_dir():
            raise InputError(f"source {self.spec.name}: {root} is no folder; name one that holds pictures")
        told = _read_manifest(root)
        offered = chosen(self.spec, Tree(root, "", f"folder {root.name}"))
        # The output may lie inside the source; what it holds was taken from there.
        inside = out.resolve()
        found = limited(self.spec, [c for c in offered if not c.path.resolve().is_relative_to(inside)])
        if not found:
            raise InputError(
                f"source {self.spec.name}: {root} holds none of "
                f"{', '.join(self.spec.illustrations + self.spec.linearts)}; put pictures there"
            )
        for candidate in found:
            entry = told.get(candidate.key, {})
            yield replace(
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
