"""The study file: which methods are rated on which line arts, by how many, how. TOML, validated."""

import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lacbench.errors import StudyError
from lacbench.recipe import problem_told
from lacbench.study.tables import is_one_line

INSTRUCTIONS = """\
You will see coloured line drawings, one at a time. Rate how good each one looks as a finished picture, \
from 1 (bad) to 5 (excellent).

There is no right answer: go by your first impression, and use the whole scale. Some pictures come twice.

You can stop at any time and go on later by the same link."""
"""What raters read first, where the study file says nothing; empty lines part paragraphs."""
CHOICE_INSTRUCTIONS = """\
You will see a few coloured versions of one line drawing beside each other. Choose the one that looks best \
as a finished picture.

There is no right answer: go by your first impression. Some comparisons come twice.

You can stop at any time and go on later by the same link."""
"""The same in pairwise mode."""
LABELS = ("Bad", "Poor", "Fair", "Good", "Excellent")
"""The scale's words, of score 1 first (ITU-T P.910, absolute category rating)."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemSpec(_Table):
    """Which of the data set's line arts are shown, and how large."""

    draw: int | None = Field(default=None, ge=2)
    """How many are drawn by the study's seed; None takes all, but those that training is on."""
    list: tuple[str, ...] = ()
    """Ids, or beginnings of ids, of the line arts to take, in place of drawing."""
    size: int = Field(default=512, ge=16, le=4096)
    """Longest side, in pixels, of every picture that is shown."""

    @model_validator(mode="after")
    def _one_way(self) -> "ItemSpec":
        if self.list and self.draw is not None:
            raise ValueError("expected `draw` or `list`, not both")
        if bad := [name for name in self.list if not re.fullmatch("[0-9a-f]{6,64}", name)]:
            raise ValueError(f"{bad[0]!r} is no line art's id, nor six digits or more of its beginning")
        if len(set(self.list)) < len(self.list):
            raise ValueError(f"{next(n for n in self.list if self.list.count(n) > 1)!r} is listed twice")
        return self


class RatingSpec(_Table):
    """Who rates how much, and how."""

    raters: int = Field(ge=1, le=10_000)
    """How many there can be."""
    items_per_rater: int | None = Field(default=None, ge=2)
    """How many line arts each of them sees; None for all."""
    repeats: int = Field(default=0, ge=0)
    """How many trials each of them gets a second time, far from the first."""
    training: int = Field(default=0, ge=0)
    """How many trials come first, for practice, on line arts beside those of the study."""
    break_every: int = Field(default=100, ge=1)
    """After so many trials a break is offered."""
    minimum_viewing_ms: int = Field(default=500, ge=0, le=60_000)
    """Milliseconds that a picture is looked at, at least, before it can be rated."""
    mode: Literal["rating", "pairwise"] = "rating"
    """Scores from 1 to 5, or the choice of the best among some."""
    shown: int = Field(default=2, ge=2, le=3)
    """Pairwise: outputs of one line art beside each other."""
    comparisons: int | None = Field(default=None, ge=1)
    """Pairwise: trials of each line art that a rater sees; None for all combinations of methods."""


class GoldSpec(_Table):
    """A picture whose score is known beforehand: who scores it otherwise was not looking."""

    item: str = Field(pattern=r"^[0-9a-f]{6,64}$")
    """Id, or its beginning, of the line art that it colours."""
    picture: Path
    """The file; a relative path starts at the study file's own folder."""
    expected: tuple[int, ...] = Field(min_length=1)
    """Scores that are right."""

    @field_validator("expected")
    @classmethod
    def _scores(cls, expected: tuple[int, ...]) -> tuple[int, ...]:
        if not set(expected) <= set(range(1, 6)):
            raise ValueError(f"expected scores from 1 to 5, got {list(expected)}")
        return expected


class ScreeningSpec(_Table):
    """Which raters count, said before anybody has rated."""

    rule: Literal["none", "median-4mad", "bt500", "leave-one-out-0.30"] = "none"
    """How raters are screened; see docs/significance.md."""
    exclude: bool = False
    """Whether those who fail are left out of the verdict; results are given with and without either way."""


class Design(_Table):
    """A study as its file says it."""

    name: str = Field(min_length=1, max_length=200)
    """The study's name, for people."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides which line arts are drawn, and every rater's order."""
    data: Path
    """The data set whose line arts were coloured; a relative path starts at the study file's own folder."""
    methods: dict[str, Path] = Field(min_length=2, max_length=50)
    """Folder of each method's outputs, by the method's name; relative paths as in `data`."""
    items: ItemSpec = ItemSpec()
    """What is shown."""
    ratings: RatingSpec
    """Who rates how much, and how."""
    gold: tuple[GoldSpec, ...] = ()
    """Pictures whose score is known beforehand; each rater gets each once."""
    screening: ScreeningSpec = ScreeningSpec()
    """Which raters count."""
    instructions: str = ""
    """What raters read first; empty for the usual text."""
    database: str = Field(default="", repr=False)
    """URL of a PostgreSQL database that holds the ratings, without a password; empty for a file."""
    text: str = Field(default="", exclude=True, repr=False)
    """The study file as it was written."""

    @model_validator(mode="after")
    def _consistent(self) -> "Design":
        spec = self.ratings
        if spec.mode == "pairwise" and spec.shown > len(self.methods):
            raise ValueError(
                f"shown = {spec.shown} asks for more outputs than {len(self.methods)} methods have"
            )
        if spec.mode == "pairwise" and self.gold:
            raise ValueError("gold pictures are scored; expected none in pairwise mode")
        if spec.mode == "pairwise" and self.screening.rule != "none":
            raise ValueError("screening rules are of scores; expected none in pairwise mode")
        if spec.mode == "rating" and spec.model_fields_set & {"shown", "comparisons"}:
            raise ValueError('`shown` and `comparisons` belong to mode = "pairwise"')
        if bad := [name for name in self.methods if not _is_method(name)]:
            raise ValueError(
                f"{bad[0]!r} is no method's name: expected 1 to 100 characters, no colon or control one "
                "among them, and none of = + - @ at the beginning, which makes spreadsheets calculate"
            )
        if not is_one_line(self.name):
            raise ValueError(f"the name {self.name!r} has control characters or line feeds; expected none")
        return self

    @property
    def told(self) -> str:
        """What raters read first."""
        usual = INSTRUCTIONS if self.ratings.mode == "rating" else CHOICE_INSTRUCTIONS
        return self.instructions.strip() or usual

    @property
    def shown(self) -> int:
        """Pictures in a trial."""
        return self.ratings.shown if self.ratings.mode == "pairwise" else 1


def load_design(path: Path) -> Design:
    """Read a study file. Raises StudyError with every mistake in one sentence."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or error
        raise StudyError(f"{path} cannot be read as a study file: {told}; expected a TOML file") from error
    return parse_design(text, path.parent, str(path))


def parse_design(text: str, base: Path = Path(), name: str = "the study file") -> Design:
    """Read a study file's text; paths in it are relative to `base`. Raises StudyError."""
    try:
        told = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers and nests too large for Python among them
        raise StudyError(f"{name} is no TOML: {error}") from error
    try:
        design = Design.model_validate({**told, "text": text})
    except ValidationError as error:
        problems = "; ".join(problem_told(Design, e) for e in error.errors())
        raise StudyError(f"{name} does not hold: {problems}") from error
    design = design.model_copy(
        update={
            "data": _whole(base, design.data),
            "methods": {method: _whole(base, folder) for method, folder in design.methods.items()},
            "gold": tuple(g.model_copy(update={"picture": _whole(base, g.picture)}) for g in design.gold),
        }
    )
    folders = list(design.methods.values())
    if twice := [m for m, folder in design.methods.items() if folders.count(folder) > 1]:
        raise StudyError(
            f"{name} gives one folder to several methods ({', '.join(twice)}); expected a folder for each; "
            "mend [methods]"
        )
    return design


def _whole(base: Path, path: Path) -> Path:
    try:
        return (base / path.expanduser()).resolve()
    except (RuntimeError, ValueError) as error:  # nobody's ~, a loop of links, a null character
        raise StudyError(f"the study file names {str(path)!r}, which is no path: {error}; mend it") from error


def _is_method(name: str) -> bool:
    whole = re.fullmatch(r"[^\s=+@-](.{0,98}\S)?", name)
    return whole is not None and ":" not in name and is_one_line(name)
