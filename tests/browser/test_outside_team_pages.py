"""What an outside team ends with, in a real browser: leaderboard and report, at a desk and on a phone.

LACBENCH_SCREENSHOTS=FOLDER keeps pictures of the pages there, for people to look at.
"""

import os
from contextlib import chdir
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from chromium import Findings
from outside import commands, prepare, run

pytestmark = pytest.mark.browser

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, random_cache: Path) -> Path:
    """A folder in which the README's commands have been run."""
    folder = tmp_path_factory.mktemp("place")
    with chdir(folder):
        prepare()
        for command in commands():
            run(command)
    return folder


def test_the_pages_open_fit_and_are_accessible(place: Path, chromium: Browser, findings: Findings) -> None:
    shots = os.environ.get("LACBENCH_SCREENSHOTS")
    for kind, (width, height) in SIZES.items():
        with chromium.new_context(viewport={"width": width, "height": height}) as context:
            page = context.new_page()
            troubles: list[str] = []
            page.on("console", lambda message, told=troubles: told.append(message.text))
            page.on("pageerror", lambda error, told=troubles: told.append(str(error)))
            asked: set[str] = set()
            page.on("request", lambda request, told=asked: told.add(request.url))
            for name in ("leaderboard", "report"):
                page.goto((place / f"{name}.html").as_uri())
                if shots:
                    page.screenshot(path=f"{shots}/{name}-{kind}.png", full_page=True)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, kind)
                assert page.get_by_role("rowheader", name="Outside").first.is_visible()
                assert findings(page) == []
            assert troubles == []
            assert {url for url in asked if not url.startswith("data:")} == {
                (place / f"{name}.html").as_uri() for name in ("leaderboard", "report")
            }


def test_the_ranking_marks_floors_ties_and_what_the_paper_reports(place: Path, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto((place / "leaderboard.html").as_uri())
        rows = page.get_by_role("region", name="Ranking").locator("tbody tr")
        texts = rows.all_inner_texts()
        grey = page.locator("tr.reported th").first.evaluate("row => getComputedStyle(row).color")
        usual = rows.first.locator("th").evaluate("row => getComputedStyle(row).color")
        notes = page.locator("p.note").inner_text()
    assert len(texts) == 8 and sum("as reported in the paper, other data" in text for text in texts) == 6
    floors = [text for text in texts[:2] if "floor" in text]
    assert len(floors) == 1 and floors[0].startswith("grey")
    assert grey != usual
    assert "ties (=)" in notes and "a floor that any model must beat" in notes
