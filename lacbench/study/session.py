"""One rater's sitting: what is shown next, and what becomes of what they say. No page, no network."""

import re
import secrets
from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from lacbench.errors import StudyError
from lacbench.study.design import LABELS
from lacbench.study.folder import ClosedError, Study
from lacbench.study.invite import is_open_link, join, token_sha256
from lacbench.study.store import (
    StoreError,
    assignment,
    hidden_from_raters,
    invitation,
    item,
    lease,
    now,
    rater,
    rating,
    shown,
    stimulus,
)

__all__ = ["ClosedError", "OtherTabError", "Sitting", "StoreError", "Study", "Trial", "UnknownLinkError"]


LONGEST = 2**31 - 1
"""Milliseconds that are told apart; a tab may be open for weeks."""


CHANGES = 100
"""Revisions of one trial; a page that goes wild, or a rater's program, does not fill the disk."""


class OtherTabError(StudyError):
    """The rater opened their link elsewhere, later: that one speaks now."""


class UnknownLinkError(StudyError):
    """No rater has this link, or too many wrong ones were tried."""


@dataclass(frozen=True)
class Trial:
    """What a page shows of one trial; nothing in it tells a method."""

    key: str
    """Random id of the trial."""
    training: bool
    """Whether it is for practice."""
    number: int
    """Its number from 1, among the practice trials or among the others."""
    total: int
    """How many of these there are."""
    pictures: tuple[str, ...]
    """SHA-256 of what is shown, in order of place: one picture to be scored, or those to choose from."""
    line_art: str
    """SHA-256 of the line art's picture."""
    break_before: bool
    """Whether a break is offered before it."""


class Sitting:
    """A rater who is there. The one that was opened last speaks for its rater; earlier ones are refused."""

    def __init__(self, study: Study, rater_id: int, token: str) -> None:
        self.study = study
        self.token = token
        """The rater's own token, which is another than the one given where that was an open link's: the page
        goes on under this one."""
        self._rater = rater_id
        self._holder = secrets.token_hex(8)
        with study.store.writing() as connection:
            study.check_open(connection)
            self._take_lease(connection)
            self._ids, self._trials = _trials(connection, study, rater_id)
            self._refresh(connection)

    @classmethod
    def open(cls, study: Study, token: str, address: str = "") -> "Sitting":
        """Sit down with a link's token; the visitor of an open link becomes a rater.

        Args:
            study: the opened study.
            token: what stands behind `?t=`.
            address: the visitor's, for the count of wrong links.

        Raises:
            UnknownLinkError: nobody has this link, or too many wrong ones were tried.
            ClosedError: the study takes no ratings any more.
            StudyError: an open link has all the raters it asked for.
            StoreError: the database does not answer.
        """
        if not study.attempts.allowed(address):
            raise UnknownLinkError("too many wrong links were tried; wait a minute, then open yours again")
        with hidden_from_raters():
            if is_open_link(study, token):
                token = join(study, token)
            found = _rater_of(study, token)
            if found is None:
                study.attempts.failed(address)
                raise UnknownLinkError(
                    "this link is not known; open it exactly as it was sent to you, or ask for a new one"
                )
            return cls(study, found, token)

    @property
    def mode(self) -> str:
        """`rating` or `pairwise`."""
        return self.study.design.ratings.mode

    @property
    def instructions(self) -> str:
        """What raters read first; paragraphs are parted by empty lines."""
        return self.study.design.told

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of scores 1 to 5, or the numbers of the places to choose from."""
        places = range(1, self.study.design.shown + 1)
        return LABELS if self.mode == "rating" else tuple(str(place) for place in places)

    @property
    def minimum_viewing_ms(self) -> int:
        """Milliseconds that pictures are looked at, at least, before an answer is taken."""
        return self.study.design.ratings.minimum_viewing_ms

    @property
    def started(self) -> bool:
        """Whether the rater has rated anything, now or at an earlier sitting."""
        return bool(self._revisions)

    @property
    def done(self) -> int:
        """Trials that are rated, practice included; as many can be undone."""
        return self._next

    def trial(self) -> Trial | None:
        """The trial that is to be rated; None when all are. Raises OtherTabError, StoreError."""
        with hidden_from_raters(), self.study.store.reading() as connection:
            self._check_lease(connection)
        return self._trials[self._next] if self._next < len(self._trials) else None

    def upcoming(self, count: int = 1) -> tuple[Trial, ...]:
        """The trials after the one that is to be rated, so that their pictures can be fetched ahead."""
        return self._trials[self._next + 1 : self._next + 1 + count]

    def rate(self, event: str, trial: str, score: int, milliseconds: float) -> bool:
        """Keep what the rater said of the trial at hand.

        Args:
            event: an id that the page makes up for this answer; the same again is stored once.
            trial: the trial's key.
            score: 1 to 5; in pairwise mode the place of the best, from 1.
            milliseconds: from the pictures' appearing to the answer.

        Returns whether it is stored, now or before, on the disk; False where another trial is at hand.

        Raises:
            OtherTabError: the rater's link was opened elsewhere later.
            ClosedError: the study takes no ratings any more.
            StudyError: no such score, an answer before the minimum viewing time, another answer's event id.
            StoreError: the database does not answer: nothing is known of the answer, which may be sent again.
        """
        if type(score) is not int or not 1 <= score <= len(self.labels):
            raise StudyError(
                f"there is no score {score!r}; expected a whole number from 1 to {len(self.labels)}"
            )
        if type(milliseconds) not in (int, float) or not self.minimum_viewing_ms <= milliseconds:
            raise StudyError(
                f"the answer came {milliseconds!r} ms after the picture; expected {self.minimum_viewing_ms} "
                "or more; look a little longer"
            )
        at_hand = self._next if self._next < len(self._trials) else None
        at_hand = at_hand if at_hand is not None and self._trials[at_hand].key == trial else None
        return self._write(event, at_hand, score, round(min(milliseconds, LONGEST)))

    def undo(self, event: str) -> bool:
        """Withdraw the last answer: its trial is at hand again. Raises as `rate` does.

        Returns whether it is withdrawn, now or before under this event id; False where nothing was rated.
        Raises StudyError, too, where the answer was changed `CHANGES` times.
        """
        return self._write(event, self._next - 1 if self._next else None, None, 0)

    def _write(self, event: str, position: int | None, score: int | None, milliseconds: int) -> bool:
        """Add a revision to the trial at a position, unless the event is known."""
        if not isinstance(event, str) or not re.fullmatch("[ -~]{1,100}", event):
            raise StudyError("an answer came without an id of 1 to 100 ASCII characters; reload the page")
        with hidden_from_raters(), self.study.store.writing() as connection:
            if self._known(connection, event):  # asked first: the trial at hand may have moved on since
                self._refresh(connection)
                return True
            self._check_lease(connection, writes=True)
            self.study.check_open(connection)
            if position is None:
                return False
            revision = self._revisions.get(position, -1) + 1
            if score is None and revision >= CHANGES:
                raise StudyError("this answer was changed so often that it stands now; go on with the next")
            row = {
                "assignment": self._ids[position], "revision": revision, "event": event, "score": score,
                "milliseconds": milliseconds, "time": now(),
            }  # fmt: skip
            if not self.study.store.insert_new(connection, rating, row):
                self._refresh(connection)  # it was stored, though the database seemed to have failed
                return False
        # Only now it is on the disk.
        self._revisions[position] = revision
        self._next = position + (score is not None)
        return True

    def _known(self, connection: sa.Connection, event: str) -> bool:
        """Whether the event is stored. Raises StudyError where it is another rater's."""
        found = connection.scalar(sa.select(rating.c.assignment).where(rating.c.event == event))
        if found is not None and found not in self._ids:
            raise StudyError("an answer came under another one's id; reload the page")
        return found is not None

    def _refresh(self, connection: sa.Connection) -> None:
        """Read the newest revision of every trial, and which trial is at hand: they are rated in order."""
        rows = connection.execute(
            sa.select(assignment.c.position, rating.c.revision, rating.c.score)
            .join_from(rating, assignment)
            .where(assignment.c.rater == self._rater)
            .order_by(rating.c.revision)
        ).all()
        self._revisions = {row.position: row.revision for row in rows}
        scores = {row.position: row.score for row in rows}
        self._next = sum(score is not None for score in scores.values())

    def _take_lease(self, connection: sa.Connection) -> None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        row = {"holder": self._holder, "time": now()}
        taken = dialect.insert(lease).values(rater=self._rater, **row)
        connection.execute(taken.on_conflict_do_update(index_elements=["rater"], set_=row))

    def _check_lease(self, connection: sa.Connection, writes: bool = False) -> None:
        question = sa.select(lease.c.holder).where(lease.c.rater == self._rater)
        # Until an answer is on the disk no other tab may begin to speak: it would not see the answer.
        holder = connection.scalar(question.with_for_update() if writes else question)
        if holder != self._holder:
            raise OtherTabError(
                "this study was opened in another tab or window since; reload this page to go on here"
            )


def _rater_of(study: Study, token: str) -> int | None:
    """The rater whose newest link has this token."""
    newer = invitation.alias()
    replaced = sa.exists().where(
        newer.c.rater == invitation.c.rater, newer.c.revision > invitation.c.revision
    )
    question = (
        sa.select(rater.c.id)
        .join_from(invitation, rater)
        .where(rater.c.study == study.id, invitation.c.token_sha256 == token_sha256(token), ~replaced)
    )
    with study.store.reading() as connection:
        return connection.scalar(question)


def _trials(connection: sa.Connection, study: Study, rater_id: int) -> tuple[list[int], tuple[Trial, ...]]:
    """The rater's trials in their order, and their numbers in the database."""
    rows = connection.execute(
        sa.select(
            assignment.c.id,
            assignment.c.key,
            assignment.c.role,
            stimulus.c.picture,
            item.c.picture.label("line_art"),
        )
        .join_from(assignment, item, item.c.id == assignment.c.item)
        .join(shown, shown.c.assignment == assignment.c.id)
        .join(stimulus, stimulus.c.id == shown.c.stimulus)
        .where(assignment.c.rater == rater_id)
        .order_by(assignment.c.position, shown.c.place)
    ).all()
    pictures = defaultdict[int, list[str]](list)
    for row in rows:
        pictures[row.id].append(row.picture)
    firsts = list({row.id: row for row in rows}.values())
    training = sum(row.role == "training" for row in firsts)
    trials = []
    for position, row in enumerate(firsts):
        practice = row.role == "training"
        number = position + 1 if practice else position + 1 - training
        every = study.design.ratings.break_every
        trials.append(
            Trial(
                key=row.key,
                training=practice,
                number=number,
                total=training if practice else len(firsts) - training,
                pictures=tuple(pictures[row.id]),
                line_art=row.line_art,
                break_before=not practice and number > 1 and (number - 1) % every == 0,
            )
        )
    return [row.id for row in firsts], tuple(trials)
