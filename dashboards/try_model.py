"""Paint strokes over a line art, and see what a model makes of them: `lacbench try MODEL`.

One component (try_model.html, .css, .js) holds the canvas, its tools and the output. It sends the strokes as
the very PNG that it lets the visitor save, so that `lacbench colorize --hints` makes the same output of it.
"""

import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance

from lacbench.baselines.colorize import colorize_one
from lacbench.baselines.models import open_model
from lacbench.baselines.painting import Painter
from lacbench.dashboards.easel import (
    UPLOAD_MB,
    LineArt,
    bring,
    brush_for,
    offered,
    paper,
    receive_strokes,
)
from lacbench.dashboards.pictures import STYLE
from lacbench.errors import LacbenchError
from lacbench.hints import Strokes
from lacbench.images import SUFFIXES, Array, encode_png

NOTES = {
    "taken": "",
    "needed": "{} colours by hints alone: paint some strokes first.",
    "ignored": "{} takes no hints: it makes the same of any strokes.",
}
"""What is said of a model, by the use that it makes of hints."""
OWN = "A line art of your own"

opened = st.cache_resource(show_spinner="Opening the model …")(open_model)
shown = st.cache_resource(show_spinner=False)(offered)


@st.cache_resource(show_spinner=False)
def turn() -> threading.Lock:
    """Held by the visitor whose line art is coloured: memory has room for one."""
    return threading.Lock()


@st.cache_resource(show_spinner=False)
def component() -> Any:
    """The canvas's mount, registered once a process."""
    here = Path(__file__).parent
    html, css, js = (
        (here / f"try_model.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("try_model", html=html, css=css, js=js)


@dataclass(frozen=True)
class Sheet:
    """A picture as the browser gets it."""

    png: bytes = field(repr=False)
    """The file."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""

    @classmethod
    def of(cls, picture: Array) -> "Sheet":
        """Of uint8 (H, W, 3) RGB or (H, W) grey."""
        return cls(encode_png(picture), *picture.shape[:2])

    def told(self, name: str) -> dict[str, Any]:
        """Address and size; `name` tells it from the page's other picture."""
        address = get_instance().media_file_mgr.add(self.png, "image/png", f"try-model-{name}")
        return {"src": address.lstrip("/"), "width": self.width, "height": self.height}


@dataclass
class Desk:
    """What one visitor has before them."""

    drawer: TemporaryDirectory[str] = field(default_factory=lambda: TemporaryDirectory("-lacbench-try"))
    """Holds the visitor's files, and goes with the visit."""
    key: str = ""
    """Which line art it is."""
    line_art: LineArt | None = None
    """The same, opened."""
    paper: Sheet | None = None
    """The line art as it is painted on."""
    output: Sheet | None = None
    """What the model made last."""
    event: dict[str, Any] = field(default_factory=dict)
    """The browser's last wish."""
    done: str = ""
    """Name of the last event that was dealt with."""
    notice: str = ""
    """Why it came to nothing."""

    @property
    def folder(self) -> Path:
        """Where the visitor's files lie."""
        return Path(self.drawer.name)

    def lay(self, line_art: LineArt, key: str) -> None:
        """Put a line art on the desk; what lay there is put away. Raises ImageError."""
        if key != self.key:
            self.key, self.line_art, self.paper, self.output, self.notice = "", None, None, None, ""
            self.paper = Sheet.of(paper(line_art))
            self.key, self.line_art = key, line_art

    def color(self, painter: Painter) -> None:
        """Do what the browser wished for last, if that is not done yet."""
        name = str(self.event.get("event", ""))
        if name in ("", self.done) or self.line_art is None or self.paper is None:
            return
        self.notice = ""
        try:
            if self.event.get("picture") == self.key:  # and not one that was put away meanwhile
                with turn():
                    self.output = Sheet.of(colorize_one(painter, self.line_art.file, self.strokes()))
        except LacbenchError as error:
            self.notice = sentence(error)
        self.done = name

    def strokes(self) -> Strokes | tuple[()]:
        """The strokes that came with the wish; none where nothing is painted."""
        text = self.event.get("strokes")
        if not isinstance(text, str) or self.paper is None:
            return ()
        return receive_strokes(text, (self.paper.height, self.paper.width), self.folder)

    def told(self, painter: Painter, model: str) -> dict[str, Any]:
        """What the component shows now."""
        if self.line_art is None or self.paper is None:
            return {}
        picture = {"key": self.key, "id": self.line_art.id, "title": self.line_art.title}
        shape = self.paper.height, self.paper.width
        return {
            "picture": picture | self.paper.told("paper"),
            "output": self.output and self.output.told("output"),
            "brush": asdict(brush_for(shape, painter.size)),
            "note": NOTES[painter.hints].format(model),
            "model": model,
            "notice": self.notice,
            "ack": self.done,
        }


def show_page(model: str, device: str, source: str = "") -> None:
    """The whole page, for one model."""
    st.set_page_config("lacbench try", layout="wide")
    st.html(STYLE)
    name = Path(model).name
    st.title("Colour a line art")
    desk: Desk = st.session_state.setdefault("desk", Desk())
    try:
        painter = opened(Path(model), device)
        choose(desk, shown(Path(source)) if source else {})
    except LacbenchError as error:
        st.error(sentence(error))
        return
    if desk.line_art is None:
        st.info("Choose a picture of a line drawing: dark lines on light paper, without colours.")
        return
    desk.color(painter)
    component()(key="easel", data=desk.told(painter, name), on_event_change=receive)


def choose(desk: Desk, line_arts: dict[str, LineArt]) -> None:
    """Lay the line art on the desk that the visitor chooses or brings. Raises ImageError."""
    choices = [*line_arts, ""]
    chosen = ""
    if line_arts:
        chosen = st.selectbox(
            "Line art", choices, format_func=lambda key: line_arts[key].title if key else OWN
        )
    if chosen:
        desk.lay(line_arts[chosen], chosen)
        return
    kinds = sorted({suffix[1:] for suffix in SUFFIXES.values()} | {"jpeg", "tiff"})
    file = st.file_uploader(f"{OWN} (a picture of {UPLOAD_MB} MB at most)", kinds)
    if file is None:
        desk.key, desk.line_art, desk.paper, desk.output = "", None, None, None
    elif desk.key != file.file_id:
        desk.lay(bring(file.getvalue(), file.name, desk.folder), file.file_id)


def receive() -> None:
    """Keep the component's wish; it is done when the page is drawn again, which follows."""
    event = st.session_state.easel.get("event")
    if isinstance(event, dict):
        st.session_state.desk.event = event


def sentence(error: LacbenchError) -> str:
    """What an error says, as a sentence of its own."""
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


if __name__ == "__main__":
    show_page(*sys.argv[1:])
