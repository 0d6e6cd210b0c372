"""Pairwise mode in a browser: two or three pictures, and the key of the best one."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chromium import Findings
from rating import SIZE, Tab, make_rated, served

pytestmark = [pytest.mark.browser, pytest.mark.network]


def test_the_best_of_three(tmp_path: Path, chromium: Browser, findings: Findings) -> None:
    folder = make_rated(tmp_path, 'raters = 3\nmode = "pairwise"\nshown = 3\ntraining = 1', alike=True)
    with served(folder) as server, chromium.new_context() as context:
        (rater,) = server.invited(1)
        page = context.new_page()
        tab = Tab(page, server.link(rater.token))
        tab.go()
        expect(page.get_by_role("group", name="Which picture is best?").get_by_role("button")).to_have_count(
            3
        )
        assert page.locator("figcaption").all_inner_texts() == ["1", "2", "3"]
        boxes = [image.bounding_box() for image in tab.images.all()]
        assert all(box and (box["width"], box["height"]) == (SIZE, SIZE) for box in boxes)
        assert len({box["y"] for box in boxes if box}) == 1, "they stand in a row"
        assert findings(page) == []
        page.set_viewport_size({"width": 360, "height": 780})
        assert len({box["x"] for image in tab.images.all() if (box := image.bounding_box())}) == 1
        expect(page.locator(".scale")).to_contain_text("so that it fits")
        page.keyboard.press("4")
        tab.rate(3)
        tab.rate(2, 1, 3, 2)
        assert tab.title == "Thank you"
        assert [answer.score for answer in server.answers(rater.rater)] == [3, 2, 1, 3, 2]
