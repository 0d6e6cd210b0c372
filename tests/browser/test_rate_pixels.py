"""What raters see are the stored pixels: the bytes served, what a canvas reads, what the screen shows."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from lacbench.files import sha256_bytes
from lacbench.study.stimuli import media_path

from chromium import ARGUMENTS, executable
from rating import SIZE, Server, Tab

pytestmark = pytest.mark.browser

READ = """image => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def pixels(file: Path | bytes) -> np.ndarray:
    """uint8 (height, width, 3) RGB of a picture."""
    return np.asarray(Image.open(io.BytesIO(file) if isinstance(file, bytes) else file).convert("RGB"))


def stored(server: Server, page: Page, address: str) -> Path:
    """The study's file whose very bytes are served at the address."""
    answer = page.request.get(f"{server.link('').partition('?')[0]}{address}")
    assert answer.headers["content-type"] == "image/png"
    file = server.study.folder / media_path(sha256_bytes(answer.body()))
    assert file.read_bytes() == answer.body()
    return file


def seen(page: Page) -> list[np.ndarray]:
    """What the screen shows of each picture, in the device's own pixels."""
    screen = pixels(page.screenshot(scale="device"))
    ratio = page.evaluate("devicePixelRatio")
    found = []
    for image in page.locator(".pictures img").all():
        box = image.bounding_box()
        assert box
        left, top, right, bottom = (
            round(side * ratio)
            for side in (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
        )
        found.append(screen[top:bottom, left:right])
    return found


@pytest.mark.parametrize("ratio", [1, pytest.param(1.25, marks=pytest.mark.long), 2.625])
def test_one_stored_pixel_is_one_of_the_devices(server: Server, chromium: Browser, ratio: float) -> None:
    # A screen that really is so dense: Chromium lays out emulated ones on another grid.
    dense = [*ARGUMENTS, f"--force-device-scale-factor={ratio}", "--window-size=1101,803"]
    with (
        chromium.browser_type.launch(executable_path=executable(), args=dense) as browser,
        browser.new_context(no_viewport=True) as context,
    ):
        page = context.new_page()
        tab = Tab(page, server.link(*server.tokens(1)))
        assert page.evaluate("devicePixelRatio") == ratio
        tab.go()
        for lines in (False, True):
            if lines:
                page.keyboard.press("l")
                tab.images.nth(1).wait_for()
            addresses = [str(image.get_attribute("src")) for image in tab.images.all()]
            files = [stored(server, page, address) for address in addresses]
            for file, shown, image in zip(files, seen(page), tab.images.all(), strict=True):
                expected = pixels(file)
                assert expected.shape == (SIZE, SIZE, 3)
                drawn = np.array(image.evaluate(READ), np.uint8).reshape(SIZE, SIZE, 4)
                assert np.array_equal(drawn[..., :3], expected) and (drawn[..., 3] == 255).all()
                assert np.array_equal(shown, expected)
        surround = pixels(page.screenshot())
        assert surround[len(surround) // 2, 4].tolist() == [0x80] * 3


def test_zoom_shows_each_pixel_as_a_square(server: Server, chromium: Browser) -> None:
    with chromium.new_context(viewport={"width": 1000, "height": 800}) as context:
        page = context.new_page()
        tab = Tab(page, server.link(*server.tokens(1)))
        tab.go()
        file = stored(server, page, str(tab.images.get_attribute("src")))
        page.keyboard.press("z")
        assert page.locator(".scale").inner_text() == "Zoom × 2"
        (shown,) = seen(page)
        assert np.array_equal(shown, pixels(file).repeat(2, 0).repeat(2, 1))
        page.keyboard.press("z")
        assert np.array_equal(seen(page)[0], pixels(file))


def test_what_does_not_fit_is_shown_smaller_and_said_so(server: Server, chromium: Browser) -> None:
    with chromium.new_context(viewport={"width": 320, "height": 400}) as context:
        page = context.new_page()
        tab = Tab(page, server.link(*server.tokens(1)))
        tab.go()
        box = tab.images.bounding_box()
        assert box and box["height"] < SIZE
        assert "of its size, so that it fits" in page.locator(".scale").inner_text()
        page.wait_for_timeout(100)
        inside = "s => s.scrollHeight <= s.clientHeight && s.scrollWidth <= s.clientWidth"
        assert page.locator(".stage").evaluate(inside), "though these words took another line"
        held = "labels => labels.every(l => l.getClientRects()[0].width <= l.parentNode.clientWidth)"
        assert page.locator(".answers .label").evaluate_all(held)
        page.keyboard.press("z")
        file = stored(server, page, str(tab.images.get_attribute("src")))
        box = tab.images.bounding_box()
        assert box and (box["width"], box["height"]) == pixels(file).shape[1::-1]
        page.set_viewport_size({"width": 900, "height": 900})
        assert np.array_equal(seen(page)[0], pixels(file).repeat(2, 0).repeat(2, 1))
