"""A model's outputs: one picture for each line art of a data set, and what is told of their making.

A submission is a folder, a zip, a tar, or a folder of tars (WebDataset shards). A picture belongs to the line
art whose id (the SHA-256 of its file) its name has before the first dot, or to the one that `map.csv`
(`line_art,file`) names it for. Archives are read where they lie. `submission.toml` tells who made the
outputs, and how; `submission.json`, which `lacbench colorize` writes, of which model and hints they are.
"""

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_json
from lacbench.hints import AnyHints, told_of
from lacbench.images import read_bytes
from lacbench.metrics.archives import Entry, entries, is_archive
from lacbench.metrics.decoding import SUFFIXES
from lacbench.records import Dataset
from lacbench.text import one_line

SUBMISSION = "submission.json"
"""What `lacbench colorize` tells of the outputs that it made."""
ABOUT = "submission.toml"
"""What the authors tell of their model."""
MAP = "map.csv"
"""Which picture belongs to which line art, where their names do not say so."""
NAMED = 5
"""Pictures that a refusal names."""
MAX_TEXT = 16 * 2**20
"""Bytes of the longest text file that is read of a submission."""

File = Path | Entry
"""A file in a folder, or in an archive."""


class About(BaseModel):
    """What the authors tell: `submission.toml`. All of it may be shown on a leaderboard."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, str_max_length=500)

    model: str = Field(min_length=1, max_length=100)
    """Name of the model, as a table should have it."""
    authors: tuple[str, ...] = Field((), max_length=100)
    """Who made it."""
    link: str = Field("", pattern=r"^(https?://\S+)?$")
    """Where to read about it."""
    hints: bool = False
    """Whether it was given colour hints."""
    training_data: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    """Digest of the data set that it was trained on, where it is one of lacbench's."""
    hardware: str = ""
    """What the outputs were made on."""
    seconds_per_image: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Time a picture took there."""

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, told: object) -> object:
        return cleaned(told)


@dataclass(frozen=True)
class Submission:
    """A submission against the line arts of one data set."""

    source: Path
    """The folder or archive."""
    outputs: Mapping[str, File] = field(repr=False)
    """The outputs by the line art's id, in the data set's order."""
    missing: tuple[str, ...]
    """Ids of the line arts that have none."""
    extra: tuple[str, ...]
    """Pictures of no line art of the data set; FID would count them."""
    twice: tuple[str, ...]
    """Ids of line arts with several outputs."""
    about: About | None
    """What `submission.toml` tells."""
    told: Mapping[str, Any] = field(repr=False)
    """What `submission.json` tells; empty without one."""

    @property
    def name(self) -> str:
        """The model's name; the folder's where none is told."""
        return self.about.model if self.about else self.source.resolve().name.split(".")[0]

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the frozen weights in the model, by name, where they are told in that form."""
        weights = self.told.get("weights")
        return {str(k): str(v) for k, v in weights.items()} if isinstance(weights, dict) else {}

    @property
    def hints(self) -> str | None:
        """Digest of the hints that the outputs were made with; empty for none; None where nothing is told."""
        return str(self.told["hints"] or "") if "hints" in self.told else None

    @property
    def hinted(self) -> bool:
        """Whether it tells of hints."""
        return bool(self.hints) or bool(self.about and self.about.hints)

    def complete(self) -> "Submission":
        """Itself. Raises InputError, with names, unless each line art has one output and there are no
        others."""
        if not self.outputs and not self.missing:
            raise InputError("the data set has no line arts to colour; expected one at least; add some")
        self.having((*self.outputs, *self.missing))
        if self.twice:
            raise InputError(
                f"{len(self.twice)} line arts have several outputs in {self.source}: {some(self.twice)}; "
                "expected one each; take the others away"
            )
        if self.extra:
            raise InputError(
                f"{self.source} holds {len(self.extra)} pictures of no line art of the data set: "
                f"{some(self.extra)}; expected outputs alone; move the others away"
            )
        return self

    def having(self, wanted: Iterable[str]) -> dict[str, File]:
        """The outputs of some line arts, by their id. Raises InputError, with names, for those without."""
        keys = list(wanted)
        missing = [f"{key}.png" for key in keys if key not in self.outputs]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(keys)} line arts have no output in {self.source}: {some(missing)}; "
                "expected <line art's sha256>.png for each; run `lacbench colorize` on the data set, or tell "
                "which is which in map.csv"
            )
        return {key: self.outputs[key] for key in keys}

    def check_hints(self, hints: AnyHints, dataset: Dataset) -> None:
        """Raise InputError where it tells that it was made with other hints, or with none."""
        if self.hints is not None and self.hints != hints_digest(hints, dataset):
            raise InputError(
                f"{self.source} was made {'with other hints' if self.hints else 'without hints'}, as its "
                f"{SUBMISSION} tells; expected the hints that it was given; name their file, or leave out "
                "--hints"
            )


def open_submission(source: Path, dataset: Dataset) -> Submission:
    """Find a submission's outputs; none is decoded.

    Raises InputError for a path that is neither folder nor archive, an archive with entries that lead out of
    it, and for a map.csv or submission.toml that cannot be read.
    """
    files = _files(source)
    texts = {name: file for name in (MAP, ABOUT) if (file := _beside(files, name, source))}
    told = _beside(files, SUBMISSION, source)
    pictures = [file for file in files if PurePosixPath(file.name).suffix.lower() in SUFFIXES]
    mapped = _mapped(texts[MAP], pictures) if MAP in texts else None
    wanted = {member.record.sha256 for member in dataset.linearts}
    found: dict[str, File] = {}
    extra, twice = [], []
    for file in pictures:
        key = mapped.get(file, "") if mapped is not None else PurePosixPath(file.name).name.split(".")[0]
        if key not in wanted:
            extra.append(file.name)
        elif key in found:
            twice.append(key)
        else:
            found[key] = file
    return Submission(
        source=source,
        outputs={
            m.record.sha256: found[m.record.sha256] for m in dataset.linearts if m.record.sha256 in found
        },
        missing=tuple(sorted(wanted - set(found))),
        extra=tuple(sorted(extra)),
        twice=tuple(sorted(set(twice))),
        about=_about(texts[ABOUT]) if ABOUT in texts else None,
        told=_json(told) if told else {},
    )


def hints_digest(hints: AnyHints, dataset: Dataset) -> str:
    """Digest of the hints of the data set's line arts, as `lacbench colorize` notes it."""
    given = {m.record.sha256: hints.get(m.record.sha256, ()) for m in dataset.linearts}
    return sha256_json({key: told_of(hints) for key, hints in given.items() if hints})


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with an `About`, for a sentence."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {str(first['input'])[:80]!r}"


def read_text(file: File) -> str:
    """A submission's or card's text, which may be a stranger's.

    Raises InputError for what cannot be read, more than MAX_TEXT bytes, or no UTF-8.
    """
    try:
        data = read_bytes(file) if isinstance(file, Path) else file.read_bytes()
        if len(data) > MAX_TEXT:
            raise InputError(f"{file} has {len(data):,} bytes; expected at most {MAX_TEXT:,}; shorten it")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no text in UTF-8: {error}; save it again as such") from error
    except ImageError as error:
        raise InputError(str(error)) from error


def cleaned(told: Any) -> Any:
    """A stranger's JSON or TOML with each text as one line, without what would move a terminal's cursor."""
    if isinstance(told, str):
        return one_line(told)
    if isinstance(told, list | tuple):
        return [cleaned(one) for one in told]
    if isinstance(told, dict):
        return {cleaned(key): cleaned(value) for key, value in told.items()}
    return told


def some(names: Iterable[str]) -> str:
    """The first few of the names, for a sentence."""
    shown = list(names)
    return ", ".join(shown[:NAMED]) + " …" * (len(shown) > NAMED)


def _files(source: Path) -> Sequence[File]:
    """The files of a folder or an archive; of a folder with shards and no pictures, what the shards hold."""
    if is_archive(source):
        return entries(source)
    if not source.is_dir():
        raise InputError(
            f"{source} is {'a file' if source.exists() else 'not there'}; expected a submission: a "
            "folder, or a zip or tar archive; check the path"
        )
    files = [file for file in sorted(source.iterdir()) if file.is_file() and not file.name.startswith(".")]
    shards = [file for file in files if file.suffix.lower() == ".tar"]
    if shards and not any(file.suffix.lower() in SUFFIXES for file in files):
        return [
            *(file for file in files if file not in shards),
            *(e for shard in shards for e in entries(shard)),
        ]
    return files


def _beside(files: Sequence[File], name: str, source: Path) -> File | None:
    """The file of that name; raises InputError for several, as an archive may hold."""
    found = [file for file in files if PurePosixPath(file.name).name == name]
    if len(found) > 1:
        raise InputError(f"{source} has {len(found)} files called {name}; expected one; take the others away")
    return found[0] if found else None


def _mapped(table: File, pictures: Sequence[File]) -> dict[File, str]:
    """The line art's id of each picture that map.csv names, by its name or its path beside the map."""
    rows = list(csv.DictReader(io.StringIO(read_text(table))))
    if not rows or not {"line_art", "file"} <= set(rows[0]):
        raise InputError(f"{table} is no map: expected a table with the columns line_art and file; mend it")
    folder = PurePosixPath(table.name).parent if isinstance(table, Entry) else PurePosixPath()
    named = {file.name: file for file in pictures}
    mapped: dict[File, str] = {}
    for number, row in enumerate(rows, 2):
        file = named.get(str(folder / str(row["file"])))
        if file is None or file in mapped:
            what = "names a picture that is not there" if file is None else "names a picture again"
            raise InputError(f"{table}, line {number}, {what}: {row['file']!r}; mend the table")
        mapped[file] = str(row["line_art"]).strip().lower()
    return mapped


def _about(file: File) -> About:
    try:
        return About.model_validate(tomllib.loads(read_text(file)))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is no TOML: {error}; mend it") from error
    except ValidationError as error:
        raise InputError(f"{file}: {first_fault(error)}; mend it") from error


def _json(file: File) -> dict[str, Any]:
    """What our own note tells; nothing where it is broken: it is no part of the submission proper."""
    try:
        told = json.loads(read_text(file))
    except (ValueError, RecursionError, InputError):
        return {}
    return told if isinstance(told, dict) else {}
