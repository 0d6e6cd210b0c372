"""A study's report in a real browser: it asks for nothing, and fits a desk, a phone and paper."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lacbench.study.choices import make_choices
from lacbench.study.ratings import make_ratings
from lacbench.study.report import find, write_report
from lacbench.study.sources import Source

from chromium import Findings
from opinions import chosen, simulated

pytestmark = pytest.mark.browser

LONG = f"a method with a rather long name: {'abc' * 25}"
SOURCES = {
    "ratings": Source("r.csv", make_ratings(simulated(raters=9, items=12, methods=("ours", LONG, "c")))),
    "choices": Source("c.csv", make_choices(chosen(raters=9, items=12))),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_page_opens_asks_for_nothing_and_fits(
    kind: str, tmp_path: Path, chromium: Browser, findings: Findings
) -> None:
    report = write_report(tmp_path / "mos.html", find(SOURCES[kind], "ours"))
    with chromium.new_context() as context:
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for width, scheme in ((1280, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(report.as_uri())
            wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= seen == width, f"the page scrolls sideways at {width} px"
            broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
            assert page.evaluate("document.images.length") > 1 and page.evaluate(broken) == 0
        assert troubles == [], "before axe-core, which the page's own rules refuse nothing"
        assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
        assert findings(page) == []
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        cut = "[...document.querySelectorAll('.drawn img')].filter(i => i.clientWidth > 794).length"
        assert page.evaluate(cut) == 0
