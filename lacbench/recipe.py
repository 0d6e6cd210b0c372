"""The recipe of a data set: what to take from where, what to keep, how to split it. TOML, validated."""

import difflib
import json
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lacbench.errors import RecipeError
from lacbench.images import SUFFIXES
from lacbench.records import SETS


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSpec(_Table):
    """One place that pictures come from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Unique within the recipe; the ledger names it."""
    kind: Literal["packages", "folder"]
    """Which class of `lacbench.sources` reads it."""
    client: Literal["apt", "npm"] | None = None
    """`packages`: the package client that fetches."""
    packages: tuple[str, ...] = ()
    """`packages`: names; `a | b` takes the first that the client knows."""
    folder: Path | None = None
    """`folder`: where the pictures lie; relative paths start at the recipe's own folder."""
    license: str = "unknown"
    """SPDX identifier for pictures whose source gives none of its own."""
    illustrations: tuple[str, ...] = ()
    """Globs, relative to the package or folder, of colour illustrations; `**` crosses folders."""
    linearts: tuple[str, ...] = ()
    """Globs of line arts."""
    exclude: tuple[str, ...] = ()
    """Globs of files that are neither."""
    pairs: bool = False
    """Whether an illustration and a line art of one file stem are one picture (a true pair); files without a
    partner are not offered then."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many pictures of each set, spread evenly over the sorted names."""

    @field_validator("illustrations", "linearts", "exclude")
    @classmethod
    def _inside(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in globs:
            if glob.startswith("/") or ".." in glob.split("/"):
                raise ValueError(f"glob {glob!r} leads outside; write it relative to the source")
        return globs

    @field_validator("packages")
    @classmethod
    def _names(cls, packages: tuple[str, ...]) -> tuple[str, ...]:
        for name in (name.strip() for names in packages for name in names.split("|")):
            if not re.fullmatch(r"(@[\w-][\w.-]*/)?[A-Za-z0-9][\w.+-]*", name):
                raise ValueError(f"{name!r} is no package name")
        return packages

    @model_validator(mode="after")
    def _complete(self) -> "SourceSpec":
        if self.kind == "packages" and not (self.client and self.packages):
            raise ValueError("kind `packages` needs `client` and `packages`")
        if self.kind == "folder" and self.folder is None:
            raise ValueError("kind `folder` needs `folder`")
        if not (self.illustrations or self.linearts):
            raise ValueError("a source needs globs under `illustrations`, `linearts`, or both")
        return self


class FilterSpec(_Table):
    """Limits that pictures must keep."""

    min_side: int = Field(default=200, ge=1)
    """Shortest side, pixels."""
    min_colorfulness: float = Field(default=3.0, ge=0)
    """Illustrations: least Hasler-Süsstrunk colourfulness."""
    max_lineart_hues: float = Field(default=0.0005, ge=0, le=1)
    """Line arts: largest share of pixels with a colour of their own; tinted paper and ink are none."""
    min_lineart_paper: float = Field(default=0.55, ge=0, le=1)
    """Line arts: least share of pixels in the paper's colour."""
    min_lineart_ink: float = Field(default=0.005, ge=0, le=1)
    """Line arts: least share of pixels clearly darker than the paper."""


class DedupeSpec(_Table):
    """Hamming distances, in bits of 256, up to which two pictures count as the same."""

    illustrations: int = Field(default=32, ge=0, le=255)
    """Among illustrations, by perceptual hash."""
    linearts: int = Field(default=24, ge=0, le=255)
    """Among line arts, by perceptual hash."""
    across: int = Field(default=60, ge=0, le=255)
    """Between an illustration and a line art, by ink hash."""
    together: int = Field(default=64, ge=0, le=255)
    """Illustrations up to this distance are no duplicates yet, but never fall into different splits."""


class SplitSpec(_Table):
    """Shares of the illustrations held back; the rest is `train`. Line arts are always `test`."""

    validation: float = Field(default=0.05, ge=0, le=1)
    """Share for choosing a model."""
    test: float = Field(default=0.05, ge=0, le=1)
    """Share for scoring it."""


class Recipe(_Table):
    """What `build_dataset` does, from the first source to the last split."""

    name: str
    """The data set's name, for people."""
    seed: int = Field(default=0, ge=0)
    """Decides the splits."""
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    """Where pictures come from; earlier sources win ties among duplicates."""
    filters: FilterSpec = FilterSpec()
    """What is kept."""
    dedupe: DedupeSpec = DedupeSpec()
    """What counts as the same picture."""
    splits: SplitSpec = SplitSpec()
    """What each picture may be used for."""
    text: str = Field(default="", exclude=True)
    """The recipe as it was written."""

    @model_validator(mode="after")
    def _unique_names(self) -> "Recipe":
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"source names must differ, got {', '.join(names)}")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file, or one that ships with lacbench by its bare name (`open-art`).

    Raises RecipeError with every mistake in one sentence, and the nearest right name of unknown keys.
    """
    shipped = resources.files("lacbench.recipes") / f"{path}.toml"
    bare = len(path.parts) == 1 and not path.suffix  # `./name` reads a file of that name
    try:
        text = shipped.read_text("utf-8") if bare and shipped.is_file() else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error}; {_shipped_names()}") from error
    return parse_recipe(text, path.parent, str(path))


def parse_recipe(text: str, base: Path = Path(), name: str = "the recipe") -> Recipe:
    """Read a recipe's text; folders in it are relative to `base`. Raises RecipeError."""
    try:
        recipe = Recipe.model_validate({**tomllib.loads(text), "text": text})
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is no TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(_problem(dict(e)) for e in error.errors())
        raise RecipeError(f"{name} does not hold: {problems}") from error
    sources = tuple(_resolve(source, base) for source in recipe.sources)
    return recipe.model_copy(update={"sources": sources, "text": _with_folders(text, sources)})


def _with_folders(text: str, sources: tuple[SourceSpec, ...]) -> str:
    """The recipe's text with whole paths of folders, so that the copy beside the data finds them too."""
    folders = iter([s.folder for s in sources if s.folder is not None])
    whole = re.sub(
        r"(?m)^(\s*folder\s*=\s*).*$", lambda line: line[1] + json.dumps(str(next(folders, ""))), text
    )
    found = [source.get("folder") for source in tomllib.loads(whole)["sources"]]
    # Written in a way that lines do not show (inline tables, quoted keys), it stays as it is.
    return whole if found == [str(s.folder) if s.folder else None for s in sources] else text


def folder_recipe(folder: Path) -> Recipe:
    """The recipe that takes `illustrations/` and `linearts/` below a folder, pictures of all kinds."""
    suffixes = sorted({*SUFFIXES.values(), ".jpeg", ".tiff", ".svg"})
    either_case = ["".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in suffix) for suffix in suffixes]
    globs: dict[str, Any] = {name: [f"{name}/**/*{suffix}" for suffix in either_case] for name in SETS}
    place = folder.expanduser().resolve()
    # JSON's strings and lists of strings are TOML's too.
    settings: dict[str, Any] = {"name": "folder", "kind": "folder", "folder": str(place), **globs}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    name = json.dumps(place.name, ensure_ascii=False)
    return parse_recipe("\n".join([f"name = {name}", "", "[[sources]]", *lines]) + "\n")


def _resolve(source: SourceSpec, base: Path) -> SourceSpec:
    if source.folder is None:
        return source
    return source.model_copy(update={"folder": (base / source.folder.expanduser()).resolve()})


def _shipped_names() -> str:
    names = sorted(f.name[:-5] for f in resources.files("lacbench.recipes").iterdir() if ".toml" in f.name)
    return f"expected a TOML file, or one that ships with lacbench: {', '.join(names)}"


def _problem(error: dict[str, Any]) -> str:
    """One pydantic error as a phrase; an unknown key comes with the nearest right one."""
    *parents, key = [str(part) for part in error["loc"]] or ["recipe"]
    where = ".".join([*parents, key])
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}"
    tables: dict[str, type[_Table]] = {
        "sources": SourceSpec, "filters": FilterSpec, "dedupe": DedupeSpec, "splits": SplitSpec
    }  # fmt: skip
    table = tables.get(parents[0] if parents else "", Recipe)
    known = [name for name in table.model_fields if name != "text"]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key, {hint}"
