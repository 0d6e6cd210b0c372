"""What every source shares: its promise, its table in the recipe, and how globs become candidates."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lacbench.errors import InputError, RecipeError
from lacbench.progress import Progress
from lacbench.records import KEPT, SETS, Candidate, Set, Verdict


@dataclass(frozen=True)
class Answer:
    """What a site said to one question."""

    status: int
    """HTTP status; always below 400 but for those that the asker said it understands."""
    headers: Mapping[str, str]
    """Headers, their names in any case."""
    body: bytes
    """The whole body, at most some tens of megabytes."""


class Web(Protocol):
    """The polite client that sources ask their sites through: paced, patient, guarded."""

    def ask(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        secret: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        understood: frozenset[int] = frozenset(),
    ) -> Answer:
        """GET an address of a documented API; waits its turn, and asks again after passing troubles.

        Args:
            url: without a query.
            params: the query.
            secret: more of the query, which no error, log or file may show.
            login: user and password for HTTP Basic.
            understood: statuses of 400 and more that the caller wants to see itself.

        Raises:
            FetchError: no usable answer; the message names address, status and what to do.
        """
        ...


@dataclass(frozen=True)
class Visit:
    """What a source is handed when it is asked for its pictures."""

    folder: Path
    """The data set's folder; resumable state goes below its `work/`."""
    progress: Progress
    """Who listens."""
    web: Web
    """The way to sites."""


@dataclass(frozen=True)
class Page:
    """Some candidates, and where to go on after them."""

    candidates: tuple[Candidate, ...]
    """In an order that only depends on the source's content."""
    cursor: str = ""
    """Handed to `pages` later to go on after this page; whatever the source needs, as text."""


class Source(BaseModel, ABC):
    """A place that pictures come from: its table in a recipe, and how to list what it has.

    A new kind is one subclass with the fields of its table, named by an entry point of the group
    `lacbench.sources` (its name is the recipe's `kind`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    remote: ClassVar[bool] = False
    """Whether it asks anybody outside this machine over HTTP: then the recipe must name a contact."""
    plain: ClassVar[bool] = False
    """Whether its addresses come from no documented API, so that their hosts' robots.txt is asked."""
    local_paths: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are paths on this machine, relative to the recipe's folder."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Unique within the recipe; the ledger names it."""
    kind: str
    """Which kind of source it is."""
    license: str = "unknown"
    """SPDX identifier for pictures whose source gives none of its own."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many pictures of each set."""

    @abstractmethod
    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer every picture, page by page, after `cursor` (empty: from the start).

        Raises:
            MissingError: the source needs something that this machine lacks.
            FetchError: the source did not deliver.
            InputError: the source holds nothing that the recipe asks for.
        """

    def sets(self) -> tuple[Set, ...]:
        """The sets it may offer pictures for: a field `set` names the only one."""
        only: Set | None = getattr(self, "set", None)
        return (only,) if only else SETS

    def accepts(self, candidate: Candidate) -> Verdict:
        """The source's own verdict on a candidate, before anything is fetched; reasons are of `[a-z-]+`."""
        return KEPT

    def stamp(self) -> str | None:
        """Text that changes when a finished list must be made again; None makes it again every run."""
        return None

    @abstractmethod
    def plan(self) -> tuple[str, ...]:
        """What it would ask of whom, in sentences for `lacbench recipe check`; asks nobody."""

    def at(self, base: Path) -> Self:
        """The same source with whole paths, those of its table being relative to `base`."""
        told = {name: getattr(self, name) for name in self.local_paths}
        whole = {name: (base / path.expanduser()).resolve() for name, path in told.items() if path}
        return self.model_copy(update=whole)


class Globbed(Source):
    """A source of files that globs part into the two sets."""

    illustrations: tuple[str, ...] = ()
    """Globs, relative to the package or folder, of colour illustrations; `**` crosses folders."""
    linearts: tuple[str, ...] = ()
    """Globs of line arts."""
    exclude: tuple[str, ...] = ()
    """Globs of files that are neither."""
    pairs: bool = False
    """Whether an illustration and a line art of one file stem are one picture (a true pair); files without a
    partner are not offered then."""

    @field_validator("illustrations", "linearts", "exclude")
    @classmethod
    def _inside(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in globs:
            if glob.startswith("/") or ".." in glob.split("/"):
                raise ValueError(f"glob {glob!r} leads outside; write it relative to the source")
        return globs

    def sets(self) -> tuple[Set, ...]:
        """Those that it has globs for."""
        return tuple(name for name in SETS if getattr(self, name))

    @model_validator(mode="after")
    def _some_globs(self) -> Self:
        if not (self.illustrations or self.linearts):
            more = ", or `set` for all of its pictures" if "set" in type(self).model_fields else ""
            raise ValueError(f"a source needs globs under `illustrations`, `linearts`, or both{more}")
        return self


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


def chosen(source: Globbed, tree: Tree) -> Iterator[Candidate]:
    """Offer the tree's files that the source's globs name, without limit, sorted by set and key."""
    files = {name: _matching(source, tree.root, getattr(source, name)) for name in SETS}
    if source.pairs:
        for name in SETS:
            _one_of_each_stem(source, files[name])
    stems = {name: {PurePosixPath(f).stem for f in files[name]} for name in SETS}
    common = stems["illustrations"] & stems["linearts"]
    for name in SETS:
        for file in files[name]:
            stem = PurePosixPath(file).stem
            if not source.pairs or stem in common:
                pair = f"{source.name}/{tree.prefix}{as_text(stem)}" if source.pairs else ""
                yield _candidate(source, tree, name, file, pair)


def limited(source: Source, candidates: list[Candidate]) -> list[Candidate]:
    """At most `source.limit` candidates a set, spread evenly over their order; true pairs stay together."""
    if source.limit is None:
        return candidates
    kept = []
    for name in SETS:
        of_set = sorted((c for c in candidates if c.set == name), key=lambda c: (c.pair, c.key))
        step = max(1.0, len(of_set) / source.limit)
        kept += [of_set[int(i * step)] for i in range(min(source.limit, len(of_set)))]
    return kept


def as_text(name: str) -> str:
    """A file's name, or what a source says, as text that can be written: other bytes become escapes."""
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that are no bytes of a file name
        data = name.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def _one_of_each_stem(source: Source, files: list[str]) -> None:
    """Raise InputError for two files of one stem: which of them would be the line art's partner?"""
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(PurePosixPath(file).stem, file)
        if other != file:
            raise InputError(
                f"source {source.name}: {other} and {file} have one stem, so `pairs` cannot tell them apart; "
                "name one of them in `exclude`"
            )


def _matching(source: Globbed, root: Path, globs: tuple[str, ...]) -> list[str]:
    try:
        left_out = {p for glob in source.exclude for p in root.glob(glob)}
        found = {p for glob in globs for p in root.glob(glob) if p.is_file() and p not in left_out}
    except (ValueError, NotImplementedError) as error:
        raise RecipeError(
            f"source {source.name}: a glob does not hold: {error}; write it relative"
        ) from error
    return sorted(p.relative_to(root).as_posix() for p in found)


def _candidate(source: Source, tree: Tree, name: Set, file: str, pair: str) -> Candidate:
    return Candidate(
        source=source.name,
        key=f"{tree.prefix}{as_text(file)}",
        set=name,
        origin=tree.origin,
        license=source.license,
        license_file=tree.license_file,
        pair=pair,
        path=tree.root / file,
    )
