"""Where an analysis takes its table from: a study's folder, or a file of ratings or choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacbench.errors import StudyError
from lacbench.files import read_json, sha256_file
from lacbench.study import choices, ratings
from lacbench.study.choices import PLACES, Choices, make_choices
from lacbench.study.ratings import Ratings, make_ratings
from lacbench.study.tables import OPTIONAL, read_table

if TYPE_CHECKING:
    from lacbench.study.folder import Study

EVENT = ("kind", "who", "time")
"""What is known of an event: of `KINDS`; by whom; when, UTC."""
KINDS = ("close", "reopen", "peek")
"""What an organiser can have done."""


@dataclass(frozen=True)
class Source:
    """What raters said, and what is known of the study that they said it in."""

    file: str
    """The table's file name; empty where it is a study's own."""
    table: Ratings | Choices
    """What raters said."""
    name: str = ""
    """The study's; empty where no study tells."""
    open: bool = False
    """Whether the study still takes ratings."""
    events: tuple[Mapping[str, str], ...] = ()
    """What the organiser did, in order, each as `EVENT`."""
    rule: str | None = None
    """The screening rule that was stated beforehand; None where no study file tells."""
    exclude: bool = False
    """Whether it was stated that flagged raters are left out of the verdict."""
    seed: int | None = None
    """The study's."""
    study_digest: str = ""
    """SHA-256 of all that the study was made of, pictures and orders; empty where no study tells."""
    data_digest: str = ""
    """SHA-256 of the data set whose line arts were coloured."""

    @property
    def title(self) -> str:
        """The study's name, or the file's."""
        return self.name or self.file

    @property
    def peeks(self) -> tuple[Mapping[str, str], ...]:
        """When somebody looked before the study was closed."""
        return tuple(event for event in self.events if event["kind"] == "peek")


def load_source(path: Path, peek: str = "") -> Source:
    """Read a study's folder, or a .csv or .parquet file of ratings or choices.

    What `lacbench mos export` wrote beside a file is read with it, as long as it tells of that very file.
    `peek` names who looks though the study is open, which is recorded; without it an open study is refused.
    Raises StudyError for what cannot be read, or holds no answers; MissingError without SQLAlchemy.
    """
    if path.is_dir():
        from lacbench.study.folder import Study

        with Study.open(path) as study:
            return of_study(study, peek)
    columns, where = read_table(path, (*ratings.COLUMNS, *choices.COLUMNS, *PLACES[2:], *OPTIONAL))
    make = make_choices if "best" in columns else make_ratings
    return Source(path.name, make(columns, where, str(path)), **_told_beside(path))


def _told_beside(path: Path) -> dict[str, Any]:
    """What an export's JSON tells of the study; nothing where there is none, or it is of another file."""
    told = read_json(path.with_suffix(".json"))
    if not isinstance(told, dict) or told.get("file_sha256") != sha256_file(path):
        return {}
    try:
        return {
            "name": str(told["study"]),
            "open": not told["closed"],
            "events": tuple(_event(event) for event in told["events"]),
            "rule": str(told["screening"]["rule"]),
            "exclude": bool(told["screening"]["exclude"]),
            "seed": int(told["seed"]),
            "study_digest": str(told["study_digest"]),
            "data_digest": str(told["data_digest"]),
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StudyError(
            f"{path.with_suffix('.json')} is not what `lacbench mos export` writes ({error!r}); export again"
        ) from error


def _event(told: Mapping[str, Any]) -> dict[str, str]:
    event = {key: str(told[key]) for key in EVENT}
    if event["kind"] not in KINDS:
        raise ValueError(event["kind"])
    return event


def of_study(study: "Study", peek: str = "") -> Source:
    """A study's answers so far. Raises StudyError as `load_source`."""
    is_open = not study.closed
    columns = study.peek(peek) if is_open and peek else study.table()
    make = make_choices if "best" in columns else make_ratings
    return Source(
        file="",
        table=make(columns, source=f"the study {study.name!r}"),
        name=study.name,
        open=is_open,
        events=tuple(study.events()),
        rule=study.design.screening.rule,
        exclude=study.design.screening.exclude,
        seed=study.design.seed,
        study_digest=str(study.told["digest"]),
        data_digest=str(study.told["data_digest"]),
    )
