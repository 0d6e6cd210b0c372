"""The recipe of a data set: what to take from where, what to keep, how to split it. TOML, validated."""

import difflib
import json
import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lacbench.errors import RecipeError
from lacbench.images import MAX_BYTES
from lacbench.records import SETS, Set
from lacbench.sources import Source, kinds, open_kind
from lacbench.sources.folder import all_pictures

CONTACT = "LACBENCH_CONTACT"
"""Environment variable that names the contact of recipes that have none."""


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

    contact: str = Field(default="", validate_default=True)
    """Mail address or page by which a site's owner reaches you; sites are told it with every request. What
    the environment has under LACBENCH_CONTACT, where the recipe names none: recipes can be passed on."""
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

    @field_validator("contact")
    @classmethod
    def _reachable(cls, contact: str) -> str:
        contact = contact or os.environ.get(CONTACT, "")
        if contact and not re.fullmatch(r"[ -~]*(\S@\S+\.\S|https?://\S)[ -~]*", contact):
            raise ValueError(f"expected a mail address or a page, in printable ASCII, got {contact!r}")
        return contact


class ClassifierSpec(_Table):
    """One ONNX model that judges what statistics cannot tell; needs `lacbench[classify]`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Unique within the recipe; the ledger names it."""
    model: Path
    """The ONNX file; a relative path starts at the recipe's own folder."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the ONNX file: a model is code, and another file is refused."""
    set: Set
    """Which set it judges."""
    size: int = Field(ge=1, le=4096)
    """Width and height, in pixels, of the model's input."""
    fit: Literal["stretch", "pad"] = "stretch"
    """How a picture becomes square: squeezed, or shrunk onto the middle of a white square."""
    scale: float = 1 / 255
    """Values 0–255 are multiplied by this first,"""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """then this is taken away, by channel in the model's order,"""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """then they are divided by this."""
    color: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    """Order of the input's axes."""
    labels: tuple[str, ...] = ()
    """What the model's outputs stand for, in their order; empty where they are only numbered."""
    output: int | str = 0
    """Which output is the score: its number from 0, or one of `labels`."""
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    """What turns the model's outputs into scores."""
    keep: Literal["above", "below"] = "above"
    """Which side of the threshold is kept; the threshold itself is kept on both."""
    threshold: float
    """Score at which pictures part."""

    @property
    def index(self) -> int:
        """Number of the output that is the score."""
        return self.labels.index(self.output) if isinstance(self.output, str) else self.output

    @model_validator(mode="after")
    def _consistent(self) -> "ClassifierSpec":
        if isinstance(self.output, str) and self.output not in self.labels:
            raise ValueError(f"output {self.output!r} is none of `labels`")
        if self.index < 0:
            raise ValueError("outputs are numbered from 0")
        if 0 in self.std:
            raise ValueError("`std` must not be 0")
        return self


class FilterSpec(_Table):
    """Limits that pictures must keep. docs/filters.md says why each default is what it is."""

    min_side: int = Field(default=200, ge=1)
    """Shortest side, pixels."""
    max_ratio: float = Field(default=3.0, ge=1)
    """Longest side by shortest side."""
    max_frames: int = Field(default=1, ge=1)
    """Pictures in the file; more than one is an animation."""
    max_transparency: float = Field(default=0.95, ge=0, le=1)
    """Illustrations: largest area that is not opaque; figures without ground are wanted."""
    max_border: float = Field(default=0.05, ge=0, le=1)
    """Illustrations: largest share of the area in letterboxes and frames."""
    min_colorfulness: float = Field(default=3.0, ge=0)
    """Illustrations: least Hasler-Süsstrunk colourfulness."""
    min_chroma: float = Field(default=2.5, ge=0)
    """Illustrations: least spread of colours that tone does not explain, 0–255; tinted grey has none."""
    max_sketch_hues: float = Field(default=0.05, ge=0, le=1)
    """Illustrations below `min_chroma` with more pixels off the line from paper to ink are no sketches."""
    min_solid: float = Field(default=0.03, ge=0, le=1)
    """Illustrations: least share of pixels off the paper once lines are closed; less is not filled in."""
    max_lineart_hues: float = Field(default=0.001, ge=0, le=1)
    """Line arts: largest share of pixels with a colour of their own; tinted paper and ink are none."""
    max_lineart_chroma: float = Field(default=3.0, ge=0)
    """Line arts: largest spread of colours that tone does not explain, 0–255."""
    min_lineart_paper: float = Field(default=0.5, ge=0, le=1)
    """Line arts: least share of pixels in the paper's colour."""
    min_lineart_ink: float = Field(default=0.005, ge=0, le=1)
    """Line arts: least share of pixels clearly darker than the paper."""
    max_lineart_solid: float = Field(default=0.25, ge=0, le=1)
    """Line arts: largest share of pixels off the paper once lines are closed."""
    max_lineart_shading: float = Field(default=0.06, ge=0, le=1)
    """Line arts: largest share of pixels between paper and ink, once lines are closed."""
    min_lineart_reach: float = Field(default=0.12, ge=0, le=1)
    """Line arts: least mean size of the marks, as a share of the shortest side; letters are smaller."""
    ratings: tuple[str, ...] = ("general", "safe")
    """Ratings that may be there, as the source says; none named allows all."""
    min_score: int | None = None
    """Least score that a source gives."""
    tags_all: tuple[str, ...] = ()
    """Tags that must all be there."""
    tags_none: tuple[str, ...] = ()
    """Tags of which none may be there."""
    classifiers: tuple[ClassifierSpec, ...] = ()
    """ONNX models, asked in order about what the other filters kept."""

    @model_validator(mode="after")
    def _unique_names(self) -> "FilterSpec":
        names = [classifier.name for classifier in self.classifiers]
        if len(set(names)) < len(names):
            raise ValueError(f"classifier names must differ, got {', '.join(names)}")
        return self

    def relative_to(self, base: Path) -> "FilterSpec":
        """The same with whole paths of models; relative ones start at `base`."""
        found = [
            c.model_copy(update={"model": (base / c.model.expanduser()).resolve()}) for c in self.classifiers
        ]
        return self.model_copy(update={"classifiers": tuple(found)})


class DedupeSpec(_Table):
    """Hamming distances, in bits of 256, up to which two pictures count as the same."""

    illustrations: int = Field(default=32, ge=0, le=255)
    """Among illustrations, by perceptual hash."""
    linearts: int = Field(default=24, ge=0, le=255)
    """Among line arts, by perceptual hash."""
    across: int = Field(default=40, ge=0, le=255)
    """Between an illustration and a line art, by ink hash."""
    crops: bool = False
    """Whether crops, padding and mirrors count by a second key; every kept picture is read again for it."""
    cropped: int = Field(default=24, ge=0, le=255)
    """By the second key, within the sets and across. What the first key tells apart, variants of one picture
    included, lies beyond, unless it is a crop or a mirror."""
    together: int = Field(default=64, ge=0, le=255)
    """Illustrations up to this distance are no duplicates yet, but never fall into different splits."""
    review_illustrations: int = Field(default=40, ge=0, le=255)
    """Kept illustrations up to this distance are listed for a person. Of pictures cropped by 2% a side,
    62% lie within 32 bits of the whole one and 94% within 40; among 737 pictures 10 pairs lie between."""
    review_linearts: int = Field(default=40, ge=0, le=255)
    """Kept line arts up to this distance, likewise."""
    review_across: int = Field(default=60, ge=0, le=255)
    """Kept illustrations whose drawing is so near a line art's are listed too, and are never trained on:
    mostly variants of one portrait, which share outlines and colours. Other drawings lie beyond."""


class SplitSpec(_Table):
    """Shares of the illustrations held back; the rest is `train`. Line arts are always `test`."""

    validation: float = Field(default=0.05, ge=0, le=1)
    """Share for choosing a model."""
    test: float = Field(default=0.05, ge=0, le=1)
    """Share for scoring it."""
    by_artist: bool = True
    """Whether all that an artist made, where the source names one, stays on one side: also illustrations by
    the artists of line arts, which become `test`."""


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
    collect: CollectSpec = Field(default_factory=CollectSpec)
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

    @property
    def asks_sites(self) -> bool:
        """Whether anybody is asked over HTTP."""
        return any(source.remote for source in self.sources)

    def check_contact(self) -> None:
        """Raise RecipeError where sites would be asked without telling them whom to turn to."""
        if self.asks_sites and not self.collect.contact:
            raise RecipeError(
                f"{self.name} asks sites, and they must know whom to tell of trouble: set `contact` under "
                f"`[collect]`, or {CONTACT} in the environment, to your mail address or page"
            )


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
    sources, problems = _parse_sources(told.get("sources"))
    try:
        # Sources that do not hold are told already; the rest is checked without them.
        recipe = Recipe.model_validate({**told, "sources": sources, "text": text})
    except ValidationError as error:
        problems += [
            problem_told(Recipe, e) for e in error.errors() if not (problems and e["loc"][:1] == ("sources",))
        ]
    if problems:
        raise RecipeError(f"{name} does not hold: {'; '.join(problems)}")
    whole = {
        "sources": tuple(source.at(base) for source in recipe.sources),
        "filters": recipe.filters.relative_to(base),
    }
    recipe = recipe.model_copy(update=whole)
    return recipe.model_copy(update={"text": _with_whole_paths(text, recipe)})


def _parse_sources(tables: Any) -> tuple[list[Source], list[str]]:
    """Each table by the class of its kind; and what is wrong with those that do not hold."""
    if not (isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)):
        return [], ["sources: expected at least one table [[sources]]"]
    sources, problems = [], []
    for number, table in enumerate(tables):
        where, kind = f"sources.{number}", str(table.get("kind"))
        try:
            opened = open_kind(kind)
        except KeyError:
            near = difflib.get_close_matches(kind, kinds(), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(kinds())}"
            problems.append(f"{where}.kind: unknown kind {kind!r}, {hint}")
            continue
        try:
            sources.append(opened.model_validate(table))
        except ValidationError as error:
            problems += [
                f"{where}.{problem_told(opened, e)}" if e["loc"] else f"{where}: {_said(e)}"
                for e in error.errors()
            ]
    return sources, problems


def _with_whole_paths(text: str, recipe: Recipe) -> str:
    """The recipe's text with whole paths, so that the copy beside the data finds the same files."""
    whole = text
    paths = {"model": [str(classifier.model) for classifier in recipe.filters.classifiers]}
    for source in recipe.sources:
        for key in source.local_paths:
            if (path := getattr(source, key)) is not None:
                paths.setdefault(key, []).append(str(path))
    for key, values in paths.items():
        # `split` gives what lies between the lines and the lines' starts by turns.
        between, *rest = re.split(rf"(?m)^(\s*{key}\s*=\s*).*$", whole)
        if len(rest) == 2 * len(values):
            lines = zip(rest[::2], values, rest[1::2], strict=True)
            whole = between + "".join(start + json.dumps(path) + after for start, path, after in lines)
    # Written in a way that lines do not show (inline tables, quoted keys), it stays as it is.
    return whole if _means(whole, recipe) else text


def _means(text: str, recipe: Recipe) -> bool:
    """Whether a text names the same files as a recipe."""
    try:
        told = tomllib.loads(text)
        classifiers = [Path(table["model"]) for table in told.get("filters", {}).get("classifiers", ())]
    except (tomllib.TOMLDecodeError, KeyError):
        return False
    sources, _ = _parse_sources(told["sources"])
    return tuple(sources) == recipe.sources and classifiers == [c.model for c in recipe.filters.classifiers]


def folder_recipe(folder: Path) -> Recipe:
    """The recipe that takes `illustrations/` and `linearts/` below a folder, pictures of all kinds."""
    globs: dict[str, Any] = {name: all_pictures(f"{name}/") for name in SETS}
    place = folder.expanduser().resolve()
    # JSON's strings and lists of strings are TOML's too.
    settings: dict[str, Any] = {"name": "folder", "kind": "folder", "folder": str(place), **globs}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    name = json.dumps(place.name, ensure_ascii=False)
    return parse_recipe("\n".join([f"name = {name}", "", "[[sources]]", *lines]) + "\n")


def _shipped_names() -> str:
    names = sorted(f.name[:-5] for f in resources.files("lacbench.recipes").iterdir() if ".toml" in f.name)
    return f"expected a TOML file, or one that ships with lacbench: {', '.join(names)}"


def _said(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def problem_told(table: type[BaseModel], error: Any) -> str:
    """One pydantic error of `table` as a phrase; an unknown key comes with the nearest right one."""
    location = [str(part) for part in error["loc"]] or [""]
    where = ".".join(location) or "the recipe"
    if error["type"] != "extra_forbidden":
        return f"{where}: {_said(error)}"
    for part in location[:-1]:
        field = table.model_fields.get(part)
        kind: Any = field.annotation if field else None
        kind = next(iter(get_args(kind)), kind)  # of a list of tables, the table
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            table = kind
    known = [name for name in table.model_fields if name != "text"]
    near = difflib.get_close_matches(location[-1], known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key, {hint}"
