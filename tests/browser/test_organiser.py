"""`lacbench mos watch` in a real browser: the link, live progress, a look that is recorded."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lacbench.study.invite import invite
from lacbench.study.session import Sitting, Study

from chromium import Findings
from rating import free_port
from studies import METHODS, rate_all, rated

pytestmark = pytest.mark.browser


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study with room for a third rater."""
    return rated(tmp_path, "raters = 4\nrepeats = 2", None, None)


@pytest.fixture
def link(study: Study) -> Iterator[str]:
    """What the command prints; the server is ended by its process id."""
    port = free_port()
    command = [sys.executable, "-m", "lacbench.cli.main", "mos", "watch", str(study.folder)]
    words = [*command, "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        printed = process.stdout.readline().strip()
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield printed
        process.terminate()
        process.wait()  # while there is a pipe for its last words


def test_an_organisers_day(study: Study, link: str, chromium: Browser, findings: Findings) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(link.replace("key=", "key=x"))
        page.get_by_text("This secret cannot be used").wait_for()
        assert findings(page) == []
        page.goto(link)
        state = page.get_by_test_id("stMetricValue")
        expect(state).to_have_text(["open", "2 of 4", "2 of 4", "28 of 56"], timeout=60_000)
        assert findings(page) == []
        told = page.content()
        assert not [name for name in METHODS if name in told]
        rate_all(Sitting.open(study, invite(study, 1)[0].token))
        expect(state).to_have_text(["open", "3 of 4", "3 of 4", "42 of 56"], timeout=60_000)
        page.get_by_label("Your name").fill("ann")
        page.get_by_role("button", name="Look all the same").click()
        page.get_by_text("nothing was tested").wait_for()
        assert [(event["kind"], event["who"]) for event in study.events()] == [("peek", "ann")]
        page.get_by_role("combobox").fill(METHODS[0])
        page.get_by_role("option", name=METHODS[0]).click()
        page.get_by_role("heading", name=f"Differences from {METHODS[0]}").wait_for()
        assert page.locator("img[alt^='Ratings of 1 (bad)']").evaluate("i => i.naturalWidth") > 0
        assert findings(page) == []
        with page.expect_download() as download:
            page.get_by_role("button", name="The whole report").click()
        assert "looked at once before the study was closed" in Path(download.value.path()).read_text()


def test_it_fits_a_phone(study: Study, link: str, chromium: Browser, findings: Findings) -> None:
    study.close()
    with chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(link)
        page.get_by_text("nothing was tested").wait_for()
        page.locator("img[alt^='Seconds from picture']").wait_for()
        wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= seen == 390
        assert findings(page) == []
