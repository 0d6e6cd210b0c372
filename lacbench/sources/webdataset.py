"""Pictures in WebDataset's tar shards: what `lacbench export-dataset` or img2dataset wrote."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from lacbench.errors import InputError
from lacbench.files import sha256_json
from lacbench.images import SUFFIXES
from lacbench.records import SETS, Candidate, Set
from lacbench.sources.base import Page, Source, Visit, as_text, limited
from lacbench.sources.fields import address, told_of, words
from lacbench.sources.packages import unpack

PICTURES = {suffix.lstrip(".") for suffix in (*SUFFIXES.values(), ".jpeg", ".tiff")}
"""Kinds of files that are a sample's picture; drawings beside it have other kinds."""
LARGEST = 2**20
"""Bytes of a sample's JSON; a larger one says nothing."""


class WebDataset(Source):
    """Tar shards of `<key>.<picture>` and, where there is one, `<key>.json` with what is known of it.

    Shards are unpacked below the data set's `work/`, once. The JSON may say what a row of the kind `urls`
    may; its address is never asked.
    """

    local_paths: ClassVar = ("shards",)

    kind: Literal["webdataset"]
    shards: Path
    """A tar, or a folder of them."""
    set: Set | None = None
    """The set of samples that name none."""

    def sets(self) -> tuple[Set, ...]:
        """Both: samples may name their own."""
        return SETS

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the samples' pictures, all on one page."""
        found: list[Candidate] = []
        for shard in visit.progress.track(self._shards(), f"unpack: {self.name}"):
            tree = self._unpacked(shard, visit.folder / "work" / self.name)
            files = sorted(f for f in tree.rglob("*") if f.name.partition(".")[2].lower() in PICTURES)
            found += [self._candidate(shard, tree, file) for file in files]
        if not found:
            raise InputError(f"source {self.name}: {self.shards} holds no pictures; name shards that do")
        yield Page(tuple(limited(self, found)))

    def plan(self) -> tuple[str, ...]:
        """Reads this machine's files only."""
        return (f"reads {len(self._shards())} shards of {self.shards}; asks nobody",)

    def _shards(self) -> list[Path]:
        if self.shards.is_file():
            return [self.shards]
        if not (found := sorted(self.shards.glob("*.tar"))):
            raise InputError(f"source {self.name}: {self.shards} holds no shard; expected .tar files")
        return found

    def _unpacked(self, shard: Path, work: Path) -> Path:
        """The shard's files; a second run finds them, unless the shard has changed."""
        told = shard.stat()
        tree = work / sha256_json([shard.name, told.st_size, told.st_mtime_ns])[:16]
        if not tree.is_dir():
            partial = tree.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            with shard.open("rb") as stream:
                unpack(stream, partial, ["*"])
            partial.replace(tree)
        return tree

    def _candidate(self, shard: Path, tree: Path, file: Path) -> Candidate:
        sample = PurePosixPath(file.relative_to(tree)).with_name(file.name.partition(".")[0])
        row = _row(tree / f"{sample}.json")
        name = next((name for name in SETS if name == row.get("set")), self.set)
        if name is None:
            raise InputError(
                f"source {self.name}: {sample} of {shard.name} says not which set it belongs to; name `set` "
                "in the recipe"
            )
        candidate = Candidate(
            source=self.name,
            key=f"{shard.stem}/{as_text(str(sample))}",
            set=name,
            origin=words(row.get("source")) or f"shard {shard.name}",
            license=self.license,
            path=file,
        )
        return told_of(replace(candidate, page=address(row.get("url"))), row)


def _row(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
