"""What raters' hands, tabs, links and networks do to a session, and what becomes of their answers."""

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from lacbench.study.attempts import EACH
from lacbench.study.invite import invite_openly

from raters import connected
from rating import Server, Tab, make_rated, served

pytestmark = pytest.mark.browser


def test_double_clicks_held_keys_and_hasty_ones_count_once(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        tab.rate(1, 1)
        page.locator(".answers button").nth(1).dblclick()
        expect(page.locator(".count")).to_have_text("3 of 13")
        tab.settled()
        for _ in range(12):  # a key that is held: all but the first say that they are repeated
            page.keyboard.down("3")
            page.wait_for_timeout(40)
        page.keyboard.up("3")
        expect(page.locator(".count")).to_have_text("4 of 13")
        tab.settled()
        page.keyboard.press("4")
        page.keyboard.press("5")
        expect(page.locator(".count")).to_have_text("5 of 13")
        tab.settled()
        page.get_by_role("button", name="Poor").focus()
        for _ in range(12):  # a held Enter presses whatever button is under it
            page.keyboard.down("Enter")
            page.wait_for_timeout(40)
        page.keyboard.up("Enter")
        expect(page.locator("h1")).to_have_text("Time for a break")
        tab.settled()
    assert [answer.score for answer in server.answers(rater.rater)] == [1, 1, 2, 3, 4, 2]


def test_one_tab_speaks_at_a_time(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context, chromium.new_context() as phone:
        first = Tab(context.new_page(), server.link(rater.token))
        first.rate(1, 2)
        second = Tab(context.new_page(), server.link(rater.token))
        assert second.count == "2 of 13"
        expect(first.page.locator("h1")).to_have_text("This study is open in another tab")
        second.rate(3)
        elsewhere = Tab(phone.new_page(), server.link(rater.token))
        assert elsewhere.count == "3 of 13"
        second.page.keyboard.press("5")  # another device is noticed at the next answer, which does not count
        expect(second.page.locator("h1")).to_have_text("This study is open in another tab")
        elsewhere.rate(4)
        first.page.get_by_role("button", name="Go on here").click()
        expect(first.page.locator(".trial")).to_be_visible()
        assert first.count == "4 of 13"
        first.rate(5)
    assert [answer.score for answer in server.answers(rater.rater)] == [1, 2, 3, 4, 5]


def test_a_server_that_dies_and_comes_back(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        tab.rate(1, 2, 3)
        server.end(signal.SIGKILL)
        assert [answer.score for answer in server.answers(rater.rater)] == [1, 2, 3]
        expect(tab.warning).to_have_text(re.compile("The connection is lost"))
        page.keyboard.press("4")
        expect(tab.warning).to_have_text(re.compile("not saved yet"))
        page.keyboard.press("5")  # nothing is taken before the last answer is safe
        server.start()
        expect(tab.warning).to_be_hidden(timeout=60_000)
        tab.settled()
        tab.rate(1)
    assert [answer.score for answer in server.answers(rater.rater)] == [1, 2, 3, 4, 1]


def test_pictures_that_do_not_come_cannot_be_rated(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        page = context.new_page()
        page.route("**/media/*.png", lambda route: route.abort())
        tab = Tab(page, server.link(rater.token))
        page.locator(".go").click()
        expect(tab.warning).to_have_text(re.compile("does not load"))
        for _ in range(4):
            page.wait_for_timeout(100)
            page.keyboard.press("5")
        expect(page.get_by_role("button", name="Excellent")).to_have_attribute("aria-disabled", "true")
        page.unroute("**/media/*.png")
        expect(tab.warning).to_be_hidden(timeout=30_000)
        tab.rate(2)
    assert [answer.score for answer in server.answers(rater.rater)] == [2]


def test_a_study_that_is_closed_meanwhile(server: Server, chromium: Browser) -> None:
    (rater,) = server.invited(1)
    with chromium.new_context() as context:
        tab = Tab(context.new_page(), server.link(rater.token))
        tab.rate(1)
        server.study.close()
        try:
            tab.rate(2)
            expect(tab.page.locator("h1")).to_have_text("The study is over")
            tab.page.reload()
            assert tab.settled().title == "The study is over"
            assert "takes no ratings any more" in tab.page.locator(".text").inner_text()
        finally:
            server.study.reopen()
    assert [answer.score for answer in server.answers(rater.rater)] == [1]


def test_an_open_link_asks_first_and_knows_who_came_by_it(server: Server, chromium: Browser) -> None:
    link = server.link(invite_openly(server.study, 2).token)
    invited = lambda: {told.rater for told in server.study.progress() if told.invited}  # noqa: E731
    before = invited()
    with chromium.new_context() as first, chromium.new_context() as second, chromium.new_context() as third:
        tab = Tab(first.new_page(), link)
        assert tab.title == "Welcome to a rating study" and invited() == before
        tab.go()
        expect(tab.page).not_to_have_url(link)
        own = tab.page.url
        tab.rate(1, 2)
        again = Tab(first.new_page(), link)
        expect(again.page).to_have_url(own)
        again.settled()
        assert again.count == "2 of 13"
        Tab(second.new_page(), link).go()
        late = Tab(third.new_page(), link)
        late.go()
        expect(late.page.locator(".text")).to_have_text(re.compile("all the raters it asked for"))
    came = invited() - before
    assert len(came) == 2
    assert sorted(answer.score for answer in server.answers(*came)) == [1, 2]


def test_wrong_links_and_too_many_of_them(tmp_path: Path, chromium: Browser) -> None:
    with served(make_rated(tmp_path, "raters = 1")) as server, chromium.new_context() as context:
        page = context.new_page()
        for token in ("", "<b>nobody</b>&t=1"):
            tab = Tab(page, server.link(token))
            assert tab.title == "This link cannot be used"
            assert "This link is not known" in page.locator(".text").inner_text()
            assert page.locator(".go").is_hidden()
        for _ in range(20):
            with connected(server.port, "guess") as guesser:
                if guesser.data["text"][0].startswith("Too many wrong links"):
                    return
    raise AssertionError("any number of links can be tried")


def test_wrong_links_are_not_forgotten_at_a_visitors_wish(tmp_path: Path) -> None:
    def tried(empty: bool) -> str:
        with connected(server.port, "guess") as guesser:
            if empty:
                guesser.socket.send(BackMsg(clear_cache=True).SerializeToString())
                guesser.run({})
            return str(guesser.data["text"][0])

    with served(make_rated(tmp_path, "raters = 1")) as server:
        assert any(tried(False).startswith("Too many") for _ in range(2 * EACH))
        assert tried(True).startswith("Too many")


def test_raters_are_not_told_what_a_broken_study_is_called(tmp_path: Path, chromium: Browser) -> None:
    folder = make_rated(tmp_path, "raters = 1\nminimum_viewing_ms = 0")
    with served(folder) as server, chromium.new_context() as context:
        (token,) = server.tokens(1)
        hidden = folder / "study.json"
        hidden.rename(tmp_path / "elsewhere.json")
        tab = Tab(context.new_page(), server.link(token))
        assert tab.title == "The study does not work just now"
        assert str(tmp_path) not in tab.page.content()
        assert f"{folder} holds no study" in server.log.read_text()
        (tmp_path / "elsewhere.json").rename(hidden)
        tab.go()
        tab.rate(4)
        assert [answer.score for answer in server.answers("rater-01")] == [4]
