"""The recipe of a data set: what to take from where, what to keep, how to split it. TOML, validated."""

import difflib
import json
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lacbench.errors import RecipeError
from lacbench.images import MAX_BYTES, SUFFIXES
from lacbench.records import SETS
from lacbench.sources import Source, kinds, open_kind


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetSpec(_Table):
    """How many pictures are wanted; sources are asked, in the recipe's order, until so many are kept."""

    illustrations: int | None = Field(default=None, ge=1)
    """Colour illustrations; None takes all there are."""
    linearts: int | None = Field(default=None, ge=1)
    """Authentic line arts; None takes all there are."""


class HostSpec(_Table):
    """How one host is asked; what is not set is as everywhere."""

    requests_per_second: float | None = Field(default=None, gt=0)
    """API questions a second."""
    downloads_at_once: int | None = Field(default=None, ge=1, le=64)
    """Files at once."""


class CollectSpec(_Table):
    """How sites are asked, and what is never taken from them."""

    contact: str = ""
    """Mail address or page by which a site's owner reaches you; sites are told it with every request."""
    requests_per_second: float = Field(default=1.0, gt=0)
    """Questions a second to each host's API, and to each robots.txt."""
    downloads_at_once: int = Field(default=4, ge=1, le=64)
    """Files at once from each host."""
    attempts: int = Field(default=6, ge=1, le=100)
    """How often one thing is asked for in all, before it counts as not to be had."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds of silence after which an attempt is given up."""
    deadline: float = Field(default=600.0, gt=0)
    """Seconds that one attempt may take in all."""
    max_bytes: int = Field(default=MAX_BYTES, ge=1, le=MAX_BYTES)
    """Larger files are not taken."""
    robots: bool = True
    """Whether robots.txt is obeyed where pictures come by plain addresses; `false` is for your own sites."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that may lie on this machine or in a private network."""
    hosts: dict[str, HostSpec] = {}
    """Other rates for single hosts, by name."""


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
    sources: tuple[Source, ...] = Field(min_length=1)
    """Where pictures come from; earlier sources win ties among duplicates."""
    targets: TargetSpec = TargetSpec()
    """How many are wanted."""
    collect: CollectSpec = CollectSpec()
    """How sites are asked."""
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

    @model_validator(mode="after")
    def _contact(self) -> "Recipe":
        remote = [source.name for source in self.sources if source.remote]
        if remote and not re.search(r"\S@\S+\.\S|https?://\S", self.collect.contact):
            raise ValueError(
                f"source {remote[0]} asks a site, so the site must know whom to tell of trouble: set "
                "`contact` under `[collect]` to your mail address or page, got "
                f"{self.collect.contact!r}"
            )
        if not self.collect.contact.isprintable() or not self.collect.contact.isascii():
            raise ValueError("collect.contact goes into a header: printable ASCII only")
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
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is no TOML: {error}") from error
    sources, problems = _parse_sources(told.get("sources", []))
    try:
        # Sources that do not hold are told already; the rest is checked without them.
        recipe = Recipe.model_validate({**told, "sources": sources or told.get("sources", []), "text": text})
    except ValidationError as error:
        problems += [
            _problem(Recipe, e) for e in error.errors() if not (problems and e["loc"][:1] == ("sources",))
        ]
    if problems:
        raise RecipeError(f"{name} does not hold: {'; '.join(problems)}")
    whole = tuple(source.at(base) for source in recipe.sources)
    return recipe.model_copy(update={"sources": whole, "text": _with_whole_paths(text, whole)})


def _parse_sources(tables: Any) -> tuple[list[Source], list[str]]:
    """Each table by the class of its kind; and what is wrong with those that do not hold."""
    sources, problems = [], []
    for number, table in enumerate(tables if isinstance(tables, list) else []):
        where = f"sources.{number}"
        kind = table.get("kind") if isinstance(table, dict) else None
        try:
            sources.append(open_kind(str(kind)).model_validate(table))
        except KeyError:
            near = difflib.get_close_matches(str(kind), kinds(), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(kinds())}"
            problems.append(f"{where}.kind: unknown kind {kind!r}, {hint}")
        except ValidationError as error:
            problems += [f"{where}.{_problem(open_kind(str(kind)), e)}" for e in error.errors()]
    return sources, problems


def _with_whole_paths(text: str, sources: tuple[Source, ...]) -> str:
    """The recipe's text with whole paths, so that the copy beside the data finds the same files."""
    whole = text
    for key in sorted({name for source in sources for name in source.local_paths}):
        paths = [str(path) for source in sources if (path := getattr(source, key, None)) is not None]
        # `split` gives what lies between the lines and the lines' starts by turns.
        between, *rest = re.split(rf"(?m)^(\s*{key}\s*=\s*).*$", whole)
        if len(rest) == 2 * len(paths):
            lines = zip(rest[::2], paths, rest[1::2], strict=True)
            whole = between + "".join(start + json.dumps(path) + after for start, path, after in lines)
    try:
        found, _ = _parse_sources(tomllib.loads(whole)["sources"])
    except tomllib.TOMLDecodeError:
        found = []
    # Written in a way that lines do not show (inline tables, quoted keys), it stays as it is.
    return whole if tuple(found) == sources else text


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


def _shipped_names() -> str:
    names = sorted(f.name[:-5] for f in resources.files("lacbench.recipes").iterdir() if ".toml" in f.name)
    return f"expected a TOML file, or one that ships with lacbench: {', '.join(names)}"


def _problem(table: type[BaseModel], error: Any) -> str:
    """One pydantic error as a phrase; an unknown key comes with the nearest right one."""
    location = [str(part) for part in error["loc"]] or ["recipe"]
    where = ".".join(location)
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg'].removeprefix('Value error, ')}"
    for part in location[:-1]:
        field = table.model_fields.get(part)
        if (
            field is not None
            and isinstance(field.annotation, type)
            and issubclass(field.annotation, BaseModel)
        ):
            table = field.annotation
    known = [name for name in table.model_fields if name != "text"]
    near = difflib.get_close_matches(location[-1], known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key, {hint}"
