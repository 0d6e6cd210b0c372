"""Where an analysis takes its table from: a study's folder, or a file of ratings or choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lacbench.study import choices, ratings
from lacbench.study.choices import PLACES, Choices, make_choices
from lacbench.study.folder import Study
from lacbench.study.ratings import Ratings, make_ratings
from lacbench.study.tables import OPTIONAL, read_table


@dataclass(frozen=True)
class Source:
    """What raters said, and what is known of the study that they said it in."""

    name: str
    """The study's name, or the file's."""
    table: Ratings | Choices
    """What raters said."""
    open: bool = False
    """Whether the study still takes ratings."""
    events: tuple[Mapping[str, str], ...] = ()
    """What the organiser did: kind (close, reopen, peek), who, time (UTC)."""
    rule: str | None = None
    """The screening rule that was stated beforehand; None where no study file tells."""
    exclude: bool = False
    """Whether it was stated that flagged raters are left out of the verdict."""
    seed: int | None = None
    """The study's."""
    study: bool = False
    """Whether it is a study's folder."""

    @property
    def peeks(self) -> tuple[Mapping[str, str], ...]:
        """When somebody looked before the study was closed."""
        return tuple(event for event in self.events if event["kind"] == "peek")


def load_source(path: Path, peek: str = "") -> Source:
    """Read a study's folder, or a .csv or .parquet file of ratings or choices.

    `peek` names who looks though the study is open, which is recorded; without it an open study is refused.
    Raises StudyError for what cannot be read, or holds no answers.
    """
    if path.is_dir():
        with Study.open(path) as study:
            return of_study(study, peek)
    columns, where = read_table(path, (*ratings.COLUMNS, *choices.COLUMNS, *PLACES[2:], *OPTIONAL))
    make = make_choices if "best" in columns else make_ratings
    return Source(path.name, make(columns, where, str(path)))


def of_study(study: Study, peek: str = "") -> Source:
    """A study's answers so far. Raises StudyError as `load_source`."""
    is_open = not study.closed
    columns = study.peek(peek) if is_open and peek else study.table()
    make = make_choices if "best" in columns else make_ratings
    return Source(
        name=study.name,
        table=make(columns, source=f"the study {study.name!r}"),
        open=is_open,
        events=tuple(study.events()),
        rule=study.design.screening.rule,
        exclude=study.design.screening.exclude,
        seed=study.design.seed,
        study=True,
    )
