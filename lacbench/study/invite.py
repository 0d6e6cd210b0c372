"""Raters' links: tokens that are known by their SHA-256 alone, and QR codes of links."""

import io
import secrets
from dataclasses import dataclass
from pathlib import Path

import segno
import sqlalchemy as sa

from lacbench.errors import StudyError
from lacbench.files import sha256_bytes, write_bytes
from lacbench.study import store
from lacbench.study.folder import Study
from lacbench.study.store import hidden_from_raters, now

TOKEN_BYTES = 16
"""Random bytes of a token: 128 bits are not guessed."""


@dataclass(frozen=True)
class Invitation:
    """A link's secret; it is shown once, and kept nowhere."""

    rater: str
    """Pseudonym; empty for an open link."""
    token: str
    """What stands behind `?t=`."""

    def link(self, base: str) -> str:
        """The address to give away. `base`: where the raters' page is."""
        return f"{base.rstrip('/')}/?t={self.token}"


def invite(study: Study, count: int) -> list[Invitation]:
    """Links for so many raters who have none yet. Raises StudyError where there are not so many."""
    with study.store.writing() as connection:
        free = list(connection.execute(uninvited(study).limit(count)))
        if len(free) < count:
            raise StudyError(
                f"{count} links are asked for, and {len(free)} of the study's {study.design.ratings.raters} "
                f"raters have none yet; {'ask for fewer' if free else 'replace a lost one by `--again`'}"
            )
        return [_handed_out(study, connection, rater.id, rater.name, 0) for rater in free]


def invite_again(study: Study, name: str) -> Invitation:
    """A new link for a rater who lost theirs; the old one ends. Raises StudyError for an unknown rater."""
    rater, invitation = store.rater, store.invitation
    with study.store.writing() as connection:
        found = connection.execute(
            sa.select(rater.c.id, sa.func.max(invitation.c.revision).label("revision"))
            .join(invitation, isouter=True)
            .where(rater.c.study == study.id, rater.c.name == name)
            .group_by(rater.c.id)
        ).first()
        if found is None or found.revision is None:
            raise StudyError(
                f"{name} has no link in this study; expected a rater who was invited, like rater-01"
            )
        return _handed_out(study, connection, found.id, name, found.revision + 1)


def invite_openly(study: Study, cap: int) -> Invitation:
    """One link whose visitors each become a rater, up to `cap` of them. Raises StudyError for too many."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with study.store.writing() as connection:
        free = len(connection.execute(uninvited(study)).all())
        if cap > free:
            raise StudyError(
                f"{cap} visitors of the link would become raters, and {free} of the study's "
                f"{study.design.ratings.raters} raters have no link yet; expected no more than these"
            )
        store.insert_many(
            connection,
            store.open_link,
            [{"study": study.id, "token_sha256": token_sha256(token), "cap": cap, "time": now()}],
        )
    return Invitation("", token)


def is_open_link(study: Study, token: str) -> bool:
    """Whether the token is an open link's, so that opening it would make the visitor a rater."""
    with hidden_from_raters(), study.store.reading() as connection:
        return connection.scalar(_open_link(study, token)) is not None


def join(study: Study, token: str) -> str:
    """Make the visitor of an open link a rater; returns their own token.

    Raises StudyError where the cap is reached, or no rater is left, ClosedError of a closed study.
    """
    with study.store.writing() as connection:
        study.check_open(connection)
        # Locked, so that visitors come one after the other.
        link = connection.execute(_open_link(study, token).with_for_update()).one()
        came = sa.select(sa.func.count()).where(store.joined.c.open_link == link.id)
        number = connection.scalar(came) or 0
        rater = connection.execute(uninvited(study).limit(1).with_for_update(skip_locked=True)).first()
        if number >= link.cap or rater is None:
            raise StudyError("this study has all the raters it asked for; thank you for coming")
        row = {"open_link": link.id, "number": number, "rater": rater.id}
        store.insert_many(connection, store.joined, [row])
        return _handed_out(study, connection, rater.id, rater.name, 0).token


def _open_link(study: Study, token: str) -> sa.Select[tuple[int, int]]:
    link = store.open_link
    return sa.select(link.c.id, link.c.cap).where(
        link.c.study == study.id, link.c.token_sha256 == token_sha256(token)
    )


def uninvited(study: Study) -> sa.Select[tuple[int, str]]:
    """Raters who have no link yet, in order."""
    rater = store.rater
    invited = sa.select(store.invitation.c.rater)
    return (
        sa.select(rater.c.id, rater.c.name)
        .where(rater.c.study == study.id, rater.c.id.not_in(invited))
        .order_by(rater.c.id)
    )


def token_sha256(token: str) -> str:
    """What is kept of a token."""
    return sha256_bytes(token.encode("utf-8", "surrogatepass"))


def _handed_out(study: Study, connection: sa.Connection, rater: int, name: str, revision: int) -> Invitation:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {"rater": rater, "revision": revision, "token_sha256": token_sha256(token), "time": now()}
    if not study.store.insert_new(connection, store.invitation, row):
        raise StudyError(f"{name} was invited by somebody else just now; try again")
    return Invitation(name, token)


def qr_text(link: str) -> str:
    """The link's QR code in block characters, two rows a line, for a terminal that is light on dark."""
    text = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(text, compact=True)
    return text.getvalue()


def save_qr(link: str, path: Path) -> None:
    """Write the link's QR code, as SVG or PNG by the path's suffix, atomically. Raises OutputError."""
    data = io.BytesIO()
    segno.make(link, error="m", micro=False).save(data, kind=path.suffix[1:], scale=8, border=4)
    write_bytes(path, data.getvalue())
