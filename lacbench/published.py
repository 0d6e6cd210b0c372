"""A published data set: what its folder holds, and how a stranger's is looked at before any of it is used."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lacbench.errors import InputError, IntegrityError
from lacbench.files import sha256_file, sha256_json
from lacbench.manifest import digest, load_members
from lacbench.records import SETS, Member

FILE = "published.json"
"""What says what is there; written last."""
ATTRIBUTION = "ATTRIBUTION.txt"
"""A line for each picture that is there: whose it is, and under which licence."""
LARGEST = 256 * 2**20
"""Bytes of a file that is no picture; larger ones are none of ours."""
AGAIN = "publish or fetch it again"
"""What to do with one that does not hold."""
_ID = "[0-9a-f]{64}"
_PICTURE = rf"images/[0-9a-f]{{2}}/({_ID})\.[a-z]+"
_FORM = re.compile(
    rf"README\.md|{ATTRIBUTION}|recipe\.toml|card\.(md|json)|card/(sides|colours)-({'|'.join(SETS)})\.svg|"
    rf"({'|'.join(SETS)})\.parquet|hints\.json|cards/[\w+-][\w.+-]*\.json|licenses/[\w@+-][\w@.+-]*|{_PICTURE}"
)


class Drawings(BaseModel):
    """XDoG drawings that the data set has; they are made again, not passed on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=1)
    """Shortest side, pixels."""
    sigmas: tuple[float, ...]
    """Thicknesses."""


class Index(BaseModel):
    """What `published.json` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lacbench_published: Literal[1] = 1
    """Version of the folder's layout."""
    name: str
    """The data set's name, for people."""
    dataset: str = Field(pattern=_ID)
    """The data set's digest, over ids, splits and true pairs."""
    illustrations: int
    """How many."""
    linearts: int
    """How many."""
    pairs: tuple[Drawings, ...] = ()
    """Sizes and thicknesses of the XDoG drawings."""
    files: dict[str, str]
    """SHA-256 of every file, by its path."""

    @property
    def digest(self) -> str:
        """SHA-256 over all of it: equal digests, equal folders."""
        return sha256_json(self.model_dump(mode="json"))

    @property
    def pictures(self) -> frozenset[str]:
        """Paths of the pictures that are there."""
        return frozenset(path for path in self.files if path.startswith("images/"))

    def json_value(self) -> dict[str, Any]:
        """As it is written."""
        return {**self.model_dump(mode="json"), "digest": self.digest}


@dataclass(frozen=True)
class Published:
    """A published data set that holds."""

    folder: Path
    """Where it lies."""
    index: Index
    """What is there."""
    illustrations: tuple[Member, ...]
    """Colour illustrations, sorted by id."""
    linearts: tuple[Member, ...]
    """Authentic line arts, sorted by id."""

    @property
    def works(self) -> tuple[Member, ...]:
        """All of both sets."""
        return (*self.illustrations, *self.linearts)

    @property
    def recipe(self) -> str:
        """The recipe's text; empty where it was passed on without one."""
        return (self.folder / "recipe.toml").read_text("utf-8") if "recipe.toml" in self.index.files else ""


def is_ours(path: str) -> bool:
    """Whether a path is one that a published data set may have; none leads outside, or is hidden."""
    return bool(_FORM.fullmatch(path))


def read_published(folder: Path) -> Published:
    """Read a published data set, and check all of it but its pictures, which are checked as they are taken.

    Raises:
        InputError: it is none, of another version, or not finished.
        IntegrityError: a file is missing, has other bytes, or is a link; or the manifests are of other data.
    """
    index = _read_index(folder)
    for path, sha256 in index.files.items():
        _check_file(folder, path, sha256)
    sets = {name: load_members(folder / f"{name}.parquet") for name in SETS}
    works = [member for members in sets.values() for member in members]
    names = {(m.record.candidate.source, m.record.candidate.key, m.record.candidate.set) for m in works}
    ids = {(m.record.candidate.set, m.record.sha256) for m in works}
    misplaced = any(m.record.candidate.set != name for name, members in sets.items() for m in members)
    if (
        digest(**sets) != index.dataset
        or (len(works) != index.illustrations + index.linearts)
        or len(names) < len(works)
        or len(ids) < len(works)
        or misplaced
    ):
        raise IntegrityError(
            f"{folder} has manifests that are not of the data set {index.dataset[:12]}…; {AGAIN}"
        )
    return Published(folder, index, **sets)


def _read_index(folder: Path) -> Index:
    path = folder / FILE
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            raise ValueError("it is a link, or far too large")
        told = json.loads(path.read_text("utf-8"))
        stated = told.pop("digest")
        index = Index.model_validate(told)
        if wrong := [p for p in index.files if not is_ours(p)]:
            raise ValueError(f"it names {wrong[0][:80]!r}, which no published data set has")
        if missing := [name for name in SETS if f"{name}.parquet" not in index.files]:
            raise ValueError(f"it names no {missing[0]}.parquet")
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{path} does not hold: {'.'.join(map(str, first['loc']))}: {first['msg']}; {AGAIN}"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{folder} is no published data set: {FILE}: {error}; expected all that `lacbench publish` wrote"
        ) from error
    if stated != index.digest:
        raise IntegrityError(f"{path} has other content than its digest says; {AGAIN}")
    return index


def _check_file(folder: Path, path: str, sha256: str) -> None:
    """Raise IntegrityError unless the file is there, is no link, and has its bytes.

    Pictures, whose names are their hashes, are read only as they are taken.
    """
    file = folder / path
    picture = re.fullmatch(_PICTURE, path)
    problem = ""
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()) or file.is_symlink():
        problem = "is missing, or a link"
    elif picture:
        problem = "" if picture[1] == sha256 else "is named after another picture"
    elif file.stat().st_size > LARGEST:
        problem = f"has more than {LARGEST:,} bytes"
    elif sha256_file(file) != sha256:
        problem = "has other bytes than were published"
    if problem:
        raise IntegrityError(f"{file} {problem}; {AGAIN}")
