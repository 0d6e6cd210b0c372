"""The report in a real browser: it opens from a file, asks for nothing, and fits a desk and a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.hints import choose_hints
from lacbench.images import read, write_png
from lacbench.pairs import make_pairs
from lacbench.recipe import folder_recipe
from lacbench.report import write_report
from lacbench.scorecard import ScoreCard
from lacbench.study.ratings import make_ratings
from lacbench.study.report import find
from lacbench.study.sources import Source

from chromium import Findings
from opinions import simulated

pytestmark = pytest.mark.browser

METHODS = ("grey", "mean-hint", "nearest-hint", "flood-fill", "a model with a rather long name", "another")


@pytest.fixture
def report(tmp_path: Path, drawn_art: Path) -> Path:
    """The page of a drawn data set and six methods, one of which lacks its outputs."""
    dataset = build_dataset(folder_recipe(drawn_art), tmp_path / "data", Local(1))
    pairs = make_pairs(dataset, (0.3, 0.4, 0.5), 96, Local(1))
    for name in METHODS[1:]:
        for member in dataset.linearts:
            write_png(tmp_path / name / f"{member.record.sha256}.png", read(dataset.file(member)) // 2)
    fid = {"value": 99.5, "better": "lower", "standard_error": 4.0, "interval": [91.7, 107.3], "n": [5, 12],
           "protocol": "pytorch-fid", "weights_sha256": "ab" * 32, "digests": ["cd" * 32] * 2}  # fmt: skip
    figures = dict.fromkeys(("fid", "kid", "precision", "recall", "density", "coverage", "line-f"), fid)
    cards = [ScoreCard(name, tmp_path / name, True, dataset.digest, figures) for name in METHODS]
    hints = choose_hints(dataset, 5, seed=0)
    opinions = find(Source("r.csv", make_ratings(simulated(methods=METHODS[2:]))), METHODS[4])
    return write_report(tmp_path / "report.html", dataset, pairs, cards, hints=hints, opinions=opinions)


def test_the_page_opens_asks_for_nothing_and_fits(
    report: Path, chromium: Browser, findings: Findings
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(report.as_uri())
            wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= seen == width, f"the page scrolls sideways at {width} px"
            broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
            assert page.evaluate("document.images.length") > 40 and page.evaluate(broken) == 0
        assert troubles == [], "before axe-core, which the page's own rules refuse nothing"
        assert findings(page) == []
        headings = page.locator("h1, h2").all_inner_texts()
        lacking = page.get_by_text("missing", exact=True).count()
    assert headings == [
        "art",
        "The data set",
        "Pairs",
        "Colorizations, side by side",
        "Worst and best",
        "Leaderboards",
        "Scores",
        "What raters said",
        "Leaks",
        "The paper’s own figures",
        "Make it again",
    ]
    assert lacking >= 5
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}


@pytest.mark.parametrize("table", ["Colorizations by method", "Near to illustrations"])
def test_wide_tables_scroll_on_a_phone_and_keep_what_a_row_is_of_in_sight(
    table: str, report: Path, chromium: Browser
) -> None:
    with chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(report.as_uri())
        region = page.get_by_role("region", name=table)
        first = region.locator("tbody th").first
        before = first.bounding_box()
        region.evaluate("element => element.scrollLeft = 200")
        after, moved = first.bounding_box(), region.evaluate("element => element.scrollLeft")
    assert moved == 200
    assert before and after and before["x"] == after["x"]


def test_pictures_are_flipped_in_place_by_mouse_keys_and_on_paper(report: Path, chromium: Browser) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(report.as_uri())
        group = page.get_by_role("radiogroup").first
        figures, names = group.locator("figure"), group.locator("label")

        def seen() -> list[str]:
            shown = "fs => fs.filter(f => getComputedStyle(f).visibility == 'visible')"
            return list(figures.evaluate_all(f"{shown}.map(f => f.querySelector('strong').innerText)"))

        first, last = (names.nth(at).inner_text() for at in (0, -1))
        group.scroll_into_view_if_needed()
        place = figures.first.bounding_box()
        names.first.click()
        page.mouse.move(0, 0)
        assert seen() == [first]
        names.last.hover()
        assert seen() == [first, last], "the one pointed at lies above"
        page.mouse.move(0, 0)
        page.keyboard.press("ArrowRight")
        assert seen() == [names.nth(1).inner_text()] and figures.nth(1).bounding_box() == place
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        assert len(seen()) == figures.count() > 5 and not names.first.is_visible()
        places = [figure.bounding_box() for figure in figures.all()]
        assert len({(box["x"], box["y"]) for box in places if box}) == len(places), "none covers another"
