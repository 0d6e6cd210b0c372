"""The raters' page of a study: `lacbench mos serve STUDY`.

One panel (rate.html, rate.css, rate.js) is the whole page. What a browser is told is built here and nowhere
else: opaque keys, addresses of pictures, words for raters; no method, no line art's id, no name of the study.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.logger import get_logger
from streamlit.runtime import get_instance

from lacbench.dashboards import kept
from lacbench.errors import LacbenchError, StudyError
from lacbench.study.invite import is_open_link
from lacbench.study.session import ClosedError, OtherTabError, Sitting, Study, Trial
from lacbench.study.store import StoreError

AHEAD = 2
"""Trials whose pictures a browser loads ahead."""

KEYS = (
    "Answer with the buttons or with the keys 1–{}. Zoom (Z) shows the picture larger, Line art (L) puts the "
    "drawing beside it, and Undo (U) takes your last answer back."
)
PRACTISED = {
    "title": "That was the practice",
    "text": ["From here on your answers count."],
    "button": "Begin",
}
PAUSE = {
    "title": "Time for a break",
    "text": [
        "Rest your eyes for a moment.",
        "All your answers are saved. You may also close this page and go on later, with the same link.",
    ],
    "button": "Go on",
}
JOIN = {
    "title": "Welcome to a rating study",
    "text": [
        "You are asked for your opinion of pictures, one after another.",
        "You can stop at any time and go on later.",
    ],
    "button": "Take part",
}
DONE = {
    "title": "Thank you",
    "text": ["That was the last picture. All your answers are saved, and you may close this page."],
}
BROKEN = {
    "title": "The study does not work just now",
    "text": ["Answers cannot be stored at this moment. All that was saved before is safe."],
    "button": "Try again",
}
ELSEWHERE = {
    "title": "This study is open in another tab",
    "text": [
        "A link works in one tab of one device at a time, and yours was opened elsewhere after this one.",
        "All your answers are saved.",
    ],
    "button": "Go on here",
}


@st.cache_resource(show_spinner=False)
def panel() -> Any:
    """The panel's mount, registered once a process."""
    here = Path(__file__).parent
    html, css, js = ((here / f"rate.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("rate", html=html, css=css, js=js)


@dataclass
class Visit:
    """One browser tab's visit: its sitting, or the sentence that says why it has none."""

    study: Study
    token: str
    sitting: Sitting | None = None
    refusal: StudyError | None = None
    acknowledged: str = ""
    """The last event that was stored or refused."""
    notice: str = ""
    """Why that event was refused."""

    def sit(self, asked: bool) -> None:
        """Begin to rate; every other tab with the same link stands up.

        Who comes by an open link is `asked` first, since sitting down makes them a rater.
        """
        self.sitting = self.refusal = None
        try:
            if asked or not is_open_link(self.study, self.token):
                self.sitting = Sitting.open(self.study, self.token, st.context.ip_address or "")
                self.token = self.sitting.token
        except StudyError as error:
            self.refusal = error

    def receive(self, event: dict[str, Any]) -> None:
        """Deal with an event of the panel, which sends it again until it is acknowledged."""
        name = event.get("event")
        if not isinstance(name, str):
            return
        self.notice = ""
        try:
            if event.get("kind") == "sit":
                self.sit(asked=True)
            elif self.sitting and event.get("kind") == "rate":
                trial, score, took = (event.get(key, "") for key in ("trial", "score", "milliseconds"))
                self.sitting.rate(name, trial, score, took)
            elif self.sitting and event.get("kind") == "undo":
                self.sitting.undo(name)
        except StoreError as error:
            tell_organiser(error)
            return  # so that it is sent again
        except OtherTabError:
            pass  # the page will say so
        except ClosedError as error:
            self.refusal = error
        except StudyError as error:
            self.notice = sentence(error)
        self.acknowledged = name

    def told(self) -> dict[str, Any]:
        """What the panel shows now."""
        if self.refusal:
            return refused(self.refusal)
        if self.sitting is None:
            return {"page": "text", "join": True} | JOIN
        try:
            trial = self.sitting.trial()
            if trial is None:
                return {"page": "text", "undo": self.sitting.done > 0} | DONE
            return self.told_of(self.sitting, trial)
        except OtherTabError:
            return {"page": "text"} | ELSEWHERE
        except StudyError as error:  # the database's, or of a picture
            tell_organiser(error)
            return {"page": "text"} | BROKEN

    def told_of(self, sitting: Sitting, trial: Trial) -> dict[str, Any]:
        """A trial and those after it, with what their answers are called."""
        choice = sitting.mode == "pairwise"
        text = [*sitting.instructions.split("\n\n"), KEYS.format(len(sitting.labels))]
        welcome = {"title": "Welcome", "text": text, "button": "Start"}
        return {
            "page": "trial",
            "trial": self.sent(trial),
            "upcoming": [self.sent(later) for later in sitting.upcoming(AHEAD)],
            "labels": ["is best" for _ in sitting.labels] if choice else list(sitting.labels),
            "question": "Which picture is best?" if choice else "How good is this picture?",
            "minimum": sitting.minimum_viewing_ms,
            "undo": sitting.done > 0,
            "pages": {
                "welcome": None if sitting.started else welcome,
                "practised": PRACTISED,
                "pause": PAUSE,
            },
            "own": sitting.token,
        }

    def sent(self, trial: Trial) -> dict[str, Any]:
        """A trial as the browser gets it."""
        return {
            "key": trial.key,
            "training": trial.training,
            "number": trial.number,
            "total": trial.total,
            "pictures": [address(self.study.picture(sha256)) for sha256 in trial.pictures],
            "lineArt": address(self.study.picture(trial.line_art)),
            "pause": trial.break_before,
        }


def tell_organiser(error: LacbenchError) -> None:
    """Write to the server's log what raters are not told."""
    get_logger("lacbench").error("%s", error.__cause__ if isinstance(error.__cause__, StoreError) else error)


def refused(error: StudyError) -> dict[str, Any]:
    """A page that says why nothing can be rated."""
    if isinstance(error, StoreError):
        tell_organiser(error)
        return {"page": "text"} | BROKEN
    title = "The study is over" if isinstance(error, ClosedError) else "This link cannot be used"
    return {"page": "text", "title": title, "text": [sentence(error)]}


def sentence(error: StudyError) -> str:
    """What an error says, as a sentence of its own."""
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


def address(picture: Path) -> str:
    """Where a browser gets the file's very bytes, relative to the page."""
    return get_instance().media_file_mgr.add(str(picture), "image/png", str(picture)).lstrip("/")


def show_page(folder: Path) -> None:
    """The whole page, for the link that the browser came with."""
    st.set_page_config("Rating study", layout="wide")
    token = st.query_params.get("t", "")
    data = {"page": "text", "ack": "", "notice": ""} | BROKEN
    if visit := visited(folder, token):
        if visit.token != token:  # the visitor of an open link goes on under their own
            st.query_params["t"] = visit.token
        data = visit.told() | {"ack": visit.acknowledged, "notice": visit.notice}
    panel()(key="panel", data=data, on_event_change=receive)


def visited(folder: Path, token: str) -> Visit | None:
    """This tab's visit; None as long as the study cannot be opened, why is not for raters."""
    if "visit" not in st.session_state:
        try:
            visit = Visit(kept.opened(folder), token)
        except LacbenchError as error:
            tell_organiser(error)
            return None
        visit.sit(asked=False)
        st.session_state.visit = visit
    found: Visit = st.session_state.visit
    return found


def receive() -> None:
    """Hand the panel's event on, before the page is drawn again."""
    event, visit = st.session_state.panel.get("event"), st.session_state.get("visit")
    if visit and isinstance(event, dict):
        visit.receive(event)


if __name__ == "__main__":
    show_page(Path(sys.argv[1]))
