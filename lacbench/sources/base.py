"""What every source shares: its promise, and how globs become candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from lacbench.errors import InputError, RecipeError
from lacbench.progress import Progress
from lacbench.recipe import SourceSpec
from lacbench.records import SETS, Candidate, Set


class Source(Protocol):
    """A place that pictures come from."""

    def candidates(self, out: Path, progress: Progress) -> Iterator[Candidate]:
        """Offer every picture, in an order that only depends on the pictures' names.

        Args:
            out: the data set's folder; resumable state goes below its `work/`.
            progress: who listens.

        Raises:
            MissingError: the source needs something that this machine lacks.
            FetchError: the source did not deliver.
            InputError: the source holds nothing that the recipe asks for.
        """
        ...


@dataclass(frozen=True)
class Tree:
    """A folder of pictures and what is known of all of them."""

    root: Path
    """The folder."""
    prefix: str
    """Start of every key, so that keys of several trees in one source differ; may be empty."""
    origin: str
    """Where the tree comes from, for people."""
    license_file: str = ""
    """Path of the full licence text within the data set's folder; empty for none."""


def chosen(spec: SourceSpec, tree: Tree) -> Iterator[Candidate]:
    """Offer the tree's files that the source's globs name, without limit, sorted by set and key."""
    files = {name: _matching(spec, tree.root, getattr(spec, name)) for name in SETS}
    if spec.pairs:
        for name in SETS:
            _one_of_each_stem(spec, files[name])
    stems = {name: {PurePosixPath(f).stem for f in files[name]} for name in SETS}
    common = stems["illustrations"] & stems["linearts"]
    for name in SETS:
        for file in files[name]:
            stem = PurePosixPath(file).stem
            if not spec.pairs or stem in common:
                pair = f"{spec.name}/{tree.prefix}{as_text(stem)}" if spec.pairs else ""
                yield _candidate(spec, tree, name, file, pair)


def limited(spec: SourceSpec, candidates: list[Candidate]) -> list[Candidate]:
    """At most `spec.limit` candidates a set, spread evenly over their order; true pairs stay together."""
    if spec.limit is None:
        return candidates
    kept = []
    for name in SETS:
        of_set = sorted((c for c in candidates if c.set == name), key=lambda c: (c.pair, c.key))
        step = max(1.0, len(of_set) / spec.limit)
        kept += [of_set[int(i * step)] for i in range(min(spec.limit, len(of_set)))]
    return kept


def _one_of_each_stem(spec: SourceSpec, files: list[str]) -> None:
    """Raise InputError for two files of one stem: which of them would be the line art's partner?"""
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(PurePosixPath(file).stem, file)
        if other != file:
            raise InputError(
                f"source {spec.name}: {other} and {file} have one stem, so `pairs` cannot tell them apart; "
                "name one of them in `exclude`"
            )


def _matching(spec: SourceSpec, root: Path, globs: tuple[str, ...]) -> list[str]:
    try:
        left_out = {p for glob in spec.exclude for p in root.glob(glob)}
        found = {p for glob in globs for p in root.glob(glob) if p.is_file() and p not in left_out}
    except (ValueError, NotImplementedError) as error:
        raise RecipeError(f"source {spec.name}: a glob does not hold: {error}; write it relative") from error
    return sorted(p.relative_to(root).as_posix() for p in found)


def as_text(name: str) -> str:
    """A file's name, or what a source says, as text that can be written: other bytes become escapes."""
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that are no bytes of a file name
        data = name.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def _candidate(spec: SourceSpec, tree: Tree, name: Set, file: str, pair: str) -> Candidate:
    return Candidate(
        source=spec.name,
        key=f"{tree.prefix}{as_text(file)}",
        set=name,
        origin=tree.origin,
        license=spec.license,
        license_file=tree.license_file,
        pair=pair,
        path=tree.root / file,
    )
