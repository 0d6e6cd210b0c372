"""The raters' page as its users have it: a real server of a study, and a rater's tab at it."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from playwright.sync_api import Locator, Page

from lacbench.study.answers import Answer, read_answers
from lacbench.study.create import create_study
from lacbench.study.invite import Invitation, invite
from lacbench.study.session import Study
from lacbench.study.store import rating

from studies import coloured, study_file

METHODS = ("zebrafish-net", "quokka-floor", "okapi-gan")
"""Words that stand nowhere by chance."""
NAME = "wombat study"
SIZE = 240
TRIALS = 1 + 4 * 3 + 1
"""Trials of a rater: practice, four line arts by three methods, a repeat."""
USUAL = "raters = 60\nminimum_viewing_ms = 250\ntraining = 1\nrepeats = 1\nbreak_every = 5"


def make_rated(folder: Path, ratings: str = USUAL, alike: bool = False) -> Path:
    """A small study of noisy pictures; returns its folder. `alike`: two methods give the same ones."""
    coloured(folder, 5, METHODS, SIZE)
    if alike:
        shutil.copytree(folder / "outputs" / METHODS[0], folder / "outputs" / METHODS[1], dirs_exist_ok=True)
    file = study_file(folder, ratings, "", METHODS, SIZE)
    file.write_text(file.read_text().replace('name = "drawn"', f'name = "{NAME}"'))
    create_study(file, folder / "study").store.close()
    return folder / "study"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the process listens there."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server ended")


class Server:
    """`lacbench mos serve`, which can be killed and started again at its port."""

    def __init__(self, folder: Path) -> None:
        self.study = Study.open(folder)
        self.port = free_port()
        self.log = folder.parent / "serve.log"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "lacbench.cli.main", "mos", "serve", str(self.study.folder)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port)], stdout=log, stderr=log)
        wait_for(self.port, self.process)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait()

    def tokens(self, count: int) -> list[str]:
        return [invitation.token for invitation in self.invited(count)]

    def invited(self, count: int) -> list[Invitation]:
        return invite(self.study, count)

    def link(self, token: str) -> str:
        return f"http://127.0.0.1:{self.port}/?t={token}"

    def answers(self, *raters: str) -> list[Answer]:
        """What these raters said, practice included, in order."""
        with self.study.store.reading() as connection:
            return [a for a in read_answers(connection, self.study.id) if a.rater in raters]

    def events(self) -> list[str]:
        """Ids of all that is stored, withdrawals included."""
        with self.study.store.reading() as connection:
            return list(connection.scalars(sa.select(rating.c.event)))


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server of the study until the block ends."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.end(signal.SIGTERM)
        server.study.store.close()


class Tab:
    """A rater's tab."""

    def __init__(self, page: Page, link: str) -> None:
        self.page = page
        page.set_default_timeout(60_000)
        page.goto(link)
        self.settled()

    @property
    def title(self) -> str:
        """Of the page of text that is shown; empty while a picture is."""
        return self.page.locator("h1").inner_text() if self.page.locator("h1").is_visible() else ""

    @property
    def count(self) -> str:
        return self.page.locator(".count").inner_text()

    @property
    def warning(self) -> Locator:
        return self.page.locator(".lost")

    @property
    def images(self) -> Locator:
        return self.page.locator(".pictures img")

    def go(self) -> None:
        """On from a page of text."""
        self.page.locator(".go").click()
        self.settled()

    def settled(self) -> "Tab":
        """Wait until the last answer is safe, and another one is taken or a text is shown."""
        free = ".message:has(.go[hidden])", ".go[aria-disabled=false]", ".answers button[aria-disabled=false]"
        self.page.locator(", ".join(f"{selector}:visible" for selector in free)).first.wait_for()
        return self

    def answer(self, score: int) -> None:
        """Answer by key, as soon as that can be; then on to the next picture or text."""
        self.settled()
        self.page.keyboard.press(str(score))
        self.settled()

    def rate(self, *scores: int) -> None:
        """Answer picture after picture; pages of text are passed."""
        for score in scores:
            while self.title:
                self.go()
            self.answer(score)
