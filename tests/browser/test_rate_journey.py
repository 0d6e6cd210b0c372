"""One rater's way through a study: on a desk, on a phone, by keyboard alone, with second thoughts."""

import re

import pytest
from playwright.sync_api import Browser, expect

from chromium import Findings
from rating import TRIALS, Server, Tab

pytestmark = pytest.mark.browser


def test_a_whole_journey(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        tab = Tab(context.new_page(), server.link(rater.token))
        assert tab.page.title() == "Rating study"
        assert tab.title == "Welcome"
        assert "from 1 (bad) to 5 (excellent)" in tab.page.locator(".text").inner_text()
        tab.go()
        assert tab.count == "Practice 1 of 1"
        tab.answer(2)
        assert tab.title == "That was the practice"
        titles, counts, scores = [], [], []
        for number in range(TRIALS - 1):
            if tab.title:
                titles.append(tab.title)
                tab.go()
            counts.append(tab.count)
            scores.append(number % 5 + 1)
            tab.answer(scores[-1])
        assert titles == ["That was the practice", "Time for a break", "Time for a break"]
        assert counts == [f"{number} of {TRIALS - 1}" for number in range(1, TRIALS)]
        assert tab.title == "Thank you"
    answers = server.answers(rater.rater)
    assert [answer.score for answer in answers] == [2, *scores]
    assert all(250 <= answer.milliseconds < 10_000 and answer.revisions == 1 for answer in answers)


def test_a_reload_in_the_middle_changes_nothing(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        tab = Tab(context.new_page(), server.link(rater.token))
        tab.page.reload()
        assert tab.settled().title == "Welcome", "nothing is rated yet"
        tab.rate(1, 2, 3)
        before = tab.count
        tab.page.reload()
        assert (tab.settled().title, tab.count) == ("", before)
        tab.rate(4)
    assert [answer.score for answer in server.answers(rater.rater)] == [1, 2, 3, 4]


def test_the_last_answer_can_be_taken_back(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        tab = Tab(context.new_page(), server.link(rater.token))
        tab.go()
        undo = tab.page.get_by_role("button", name="Undo")
        expect(undo).to_have_attribute("aria-disabled", "true")
        tab.answer(1)
        tab.page.get_by_role("button", name="Undo the last rating").click()
        expect(tab.images).to_be_visible()
        assert tab.count == "Practice 1 of 1"
        tab.rate(2, 3)
        before = tab.images.get_attribute("src")
        tab.page.keyboard.press("u")
        expect(tab.page.locator(".count")).to_have_text("1 of 13")
        assert tab.images.get_attribute("src") != before
        tab.rate(5)
        expect(tab.images).to_have_attribute("src", str(before))
    answers = server.answers(rater.rater)
    assert [(answer.score, answer.revisions) for answer in answers] == [(2, 3), (5, 3)]


def test_a_picture_is_looked_at_before_it_is_rated(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        # Holds the clocks at which buttons would be freed, but lets pictures come.
        page.evaluate(
            "const real = setTimeout; window.setTimeout = (f, ms) => real(f, ms === 251 ? 1500 : ms)"
        )
        page.locator(".go").click()
        expect(tab.images).to_be_visible()
        button = page.get_by_role("button", name="Excellent")
        expect(button).to_have_attribute("aria-disabled", "true")
        shades = "b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color]"
        grey = button.evaluate(shades)
        page.wait_for_timeout(60)
        tab.settled()
        assert button.evaluate(shades) != grey


@pytest.mark.network
def test_without_a_mouse_and_for_screen_readers(
    server: Server, chromium: Browser, findings: Findings
) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        focused = (
            "(() => { let e = document.activeElement; while (e.shadowRoot) e = e.shadowRoot.activeElement;"
        )
        focused += " return e.innerText })()"
        assert page.evaluate(focused) == "Welcome"
        assert findings(page) == []
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Start"
        page.keyboard.press("Enter")
        tab.settled()
        assert findings(page) == []
        for key in ("l", "z"):
            page.keyboard.press(key)
        expect(tab.images).to_have_count(2)
        assert page.locator("[aria-pressed=true]").count() == 2
        assert findings(page) == []
        while not str(page.evaluate(focused)).startswith("4"):
            page.keyboard.press("Tab")
        expect(page.get_by_role("status")).to_have_text("Practice 1 of 1")
        page.keyboard.press("Space")
        expect(page.locator("h1")).to_have_text("That was the practice")
        assert page.evaluate(focused) == "That was the practice"
        page.keyboard.press("Enter")
        tab.rate(1)
        assert findings(page) == []
        page.goto(server.link("nobody"))
        expect(page.locator("h1")).to_have_text("This link cannot be used")
        assert findings(page) == []
    assert [answer.score for answer in server.answers(rater.rater)] == [4, 1]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_on_a_phone(server: Server, chromium: Browser, width: int, height: int) -> None:
    (rater,) = server.invited(1)
    size = {"width": width, "height": height}
    phone = {"viewport": size, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
    with chromium.new_context(**phone) as context:  # type: ignore[arg-type]
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        page.get_by_role("button", name="Start").tap()
        for name in ("Line art", "Zoom"):
            page.get_by_role("button", name=re.compile(name)).tap()
        expect(tab.images).to_have_count(2)
        tab.settled()
        wide, high = page.locator(".panel").evaluate("p => [p.scrollWidth, p.scrollHeight]")
        assert (wide, high) == (width, height), "the page scrolls"
        boxes = [button.bounding_box() for button in page.locator(".answers button").all()]
        assert all(box and box["width"] >= 44 and box["height"] >= 44 for box in boxes)
        page.locator(".answers button").nth(3).tap()
        expect(page.locator("h1")).to_have_text("That was the practice")
        tab.settled()
    assert [answer.score for answer in server.answers(rater.rater)] == [4]
