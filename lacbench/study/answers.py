"""What raters have said so far, as it counts now: the last revision of each trial."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import sqlalchemy as sa

from lacbench.study.choices import PLACES
from lacbench.study.store import assignment, item, rater, rating, shown, stimulus


@dataclass(frozen=True)
class Answer:
    """One trial that was rated, and not withdrawn."""

    rater: str
    """Pseudonym."""
    position: int
    """The trial's place in the rater's session, from 0, training included."""
    role: str
    """training, main, repeat or gold."""
    item: str
    """Id of the line art."""
    methods: tuple[str, ...]
    """What was shown, in order of place."""
    score: int
    """The score; in pairwise mode the place of the best, from 1."""
    milliseconds: int
    """From the pictures' appearing to the answer."""
    revisions: int
    """How often it was given, withdrawals included."""
    time: str
    """When, UTC."""


@dataclass(frozen=True)
class Progress:
    """How far one rater is; it says nothing of any method."""

    rater: str
    """Pseudonym."""
    invited: bool
    """Whether they have a link."""
    done: int
    """Trials rated, training not counted."""
    total: int
    """Trials in all, training not counted."""
    median_milliseconds: float | None
    """Of the trials rated, training not counted."""
    last_seen: str | None
    """When they rated last, UTC."""
    repeats: int
    """Trials rated twice."""
    repeats_equal: int
    """Of these, how many got the same answer."""
    repeat_difference: float | None
    """Mean absolute difference between first and second score; None without repeats."""
    gold: int
    """Gold pictures rated."""
    gold_right: int
    """Of these, how many got a score that was expected."""


def read_answers(connection: sa.Connection, study: int) -> list[Answer]:
    """All answers that count, by rater and position."""
    newest = (
        sa.select(rating.c.assignment, sa.func.max(rating.c.revision).label("revision"))
        .join_from(rating, assignment)
        .join(rater)
        .where(rater.c.study == study)
        .group_by(rating.c.assignment)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            assignment.c.id, rater.c.name, assignment.c.position, assignment.c.role,
            item.c.name.label("item"), rating.c.score, rating.c.milliseconds, rating.c.revision,
            rating.c.time,
        )
        .join_from(rating, assignment)
        .join(rater, rater.c.id == assignment.c.rater)
        .join(item, item.c.id == assignment.c.item)
        .join(newest, (newest.c.assignment == rating.c.assignment) & (newest.c.revision == rating.c.revision))
        .where(rating.c.score.is_not(None))
        .order_by(rater.c.id, assignment.c.position)
    ).all()  # fmt: skip
    methods = _methods(connection, study)
    return [
        Answer(
            rater=row.name,
            position=row.position,
            role=row.role,
            item=row.item,
            methods=tuple(methods[row.id]),
            score=row.score,
            milliseconds=row.milliseconds,
            revisions=row.revision + 1,
            time=row.time,
        )
        for row in rows
    ]


def read_progress(
    connection: sa.Connection, study: int, invited: Iterable[str], expected: Sequence[Sequence[int]]
) -> tuple[Progress, ...]:
    """How far each rater is, in order. `expected`: the right scores of each gold picture."""
    totals = connection.execute(
        sa.select(rater.c.name, sa.func.count(assignment.c.id).label("total"))
        .join(assignment)
        .where(rater.c.study == study, assignment.c.role != "training")
        .group_by(rater.c.id, rater.c.name)
        .order_by(rater.c.id)
    ).all()
    said = defaultdict[str, list[Answer]](list)
    for answer in read_answers(connection, study):
        said[answer.rater].append(answer)
    known = set(invited)
    return tuple(
        _progress(row.name, row.name in known, row.total, said[row.name], expected) for row in totals
    )


def _progress(
    name: str, invited: bool, total: int, said: list[Answer], expected: Sequence[Sequence[int]]
) -> Progress:
    counted = [answer for answer in said if answer.role != "training"]
    first = {(a.item, a.methods): a.score for a in said if a.role == "main"}
    pairs = [
        (a.score, first[a.item, a.methods])
        for a in said
        if a.role == "repeat" and (a.item, a.methods) in first
    ]
    gold = [a for a in said if a.role == "gold"]
    return Progress(
        rater=name,
        invited=invited,
        done=len(counted),
        total=total,
        median_milliseconds=median(a.milliseconds for a in counted) if counted else None,
        last_seen=max((a.time for a in said), default=None),
        repeats=len(pairs),
        repeats_equal=sum(a == b for a, b in pairs),
        repeat_difference=fmean(abs(a - b) for a, b in pairs) if pairs else None,
        gold=len(gold),
        gold_right=sum(a.score in expected[gold_number(a.methods[0])] for a in gold),
    )


Table = dict[str, list[Any]]
"""Columns by name, all of one length."""


def as_table(answers: Sequence[Answer], shown: int = 1) -> Table:
    """The answers as columns.

    rater, item; method and score, or where `shown` is more than 1 first, second, (third,) and best, the
    method that was chosen; role, position, milliseconds, revisions, time.
    """
    table: Table = {"rater": [a.rater for a in answers], "item": [a.item for a in answers]}
    if shown == 1:
        table |= {"method": [a.methods[0] for a in answers], "score": [a.score for a in answers]}
    else:
        table |= {name: [a.methods[place] for a in answers] for place, name in enumerate(PLACES[:shown])}
        table["best"] = [a.methods[a.score - 1] for a in answers]
    for name in ("role", "position", "milliseconds", "revisions", "time"):
        table[name] = [getattr(a, name) for a in answers]
    return table


def gold_name(number: int) -> str:
    """What a gold picture is called where methods have their names; no method is called so."""
    return f"gold:{number + 1}"


def gold_number(name: str) -> int:
    """Which gold picture a name is of, from 0."""
    return int(name.removeprefix("gold:")) - 1


def _methods(connection: sa.Connection, study: int) -> dict[int, list[str]]:
    """What each trial shows, in order of place."""
    rows = connection.execute(
        sa.select(shown.c.assignment, stimulus.c.method)
        .join_from(shown, stimulus)
        .join(item)
        .where(item.c.study == study)
        .order_by(shown.c.assignment, shown.c.place)
    )
    found = defaultdict[int, list[str]](list)
    for row in rows:
        found[row.assignment].append(row.method)
    return found
