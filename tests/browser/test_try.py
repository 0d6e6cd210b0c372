"""`lacbench try`: strokes painted in a real browser become what `lacbench colorize --hints` makes of them."""

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from lacbench.hints import Strokes
from lacbench.images import encode_png, read, write_png

from chromium import Findings, served
from made import draw_figure
from small import made_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def line_arts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two line arts, larger than the networks are made for, and not square."""
    folder = tmp_path_factory.mktemp("linearts")
    write_png(folder / "first.png", draw_figure(1, 300)[1][:260])
    write_png(folder / "second.png", draw_figure(2, 300)[1])
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def network(run: Path, line_arts: Path) -> Iterator[str]:
    with served("try", str(run), "--linearts", str(line_arts)) as address:
        yield address


def opened(page: Page, address: str) -> Locator:
    """The canvas of a page as it is first shown."""
    page.set_default_timeout(60_000)
    page.goto(address)
    canvas = page.locator("canvas")
    expect(canvas).to_be_visible(timeout=60_000)
    expect(page.locator(".line-art")).to_have_js_property("complete", True)
    return canvas


def paint(canvas: Locator, *points: tuple[float, float]) -> None:
    """A stroke through places that are told as shares of width and height."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    mouse = canvas.page.mouse
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=5)
    mouse.up()


def saved(page: Page, name: str, role: str = "button") -> tuple[str, bytes]:
    """Name and content of the file that a click saves."""
    with page.expect_download() as waiting:
        page.get_by_role(role, name=name).click()  # type: ignore[arg-type]
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def color(page: Page) -> None:
    """Ask for colours, and wait for them."""
    page.get_by_role("button", name="Colour it").click()
    expect(page.get_by_role("status")).to_have_text("The output is there", timeout=60_000)


def alpha(page: Page) -> np.ndarray:
    """How opaque each of the canvas's pixels is: uint8 (H, W)."""
    text = page.locator("canvas").evaluate("c => c.toDataURL().split(',')[1]")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA"))[..., 3]


def by_command(model: Path, line_arts: Path, strokes: tuple[str, bytes], out: Path) -> np.ndarray:
    """What the command line makes of the strokes that were saved: uint8 (H, W, 3)."""
    (out / "strokes").mkdir(parents=True)
    (out / "strokes" / strokes[0]).write_bytes(strokes[1])
    command = [sys.executable, "-m", "lacbench.cli.main", "colorize", str(model), str(line_arts)]
    options = ["-o", str(out / "colored"), "--hints", str(out / "strokes")]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return read(out / "colored" / strokes[0])


def test_the_page_makes_what_the_command_makes(
    network: str, run: Path, line_arts: Path, chromium: Browser, tmp_path: Path
) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    canvas = opened(page, network)
    color(page)
    _, plain = saved(page, "Save the output", "link")
    page.get_by_role("button", name="Blue").click()
    paint(canvas, (0.2, 0.3), (0.7, 0.35), (0.6, 0.8))
    page.get_by_role("button", name="Red").click()
    paint(canvas, (0.8, 0.8))
    color(page)
    strokes = saved(page, "Save the strokes")
    name, output = saved(page, "Save the output", "link")
    assert (strokes[0], name) == ("first.png", "first-coloured.png")
    (tmp_path / "strokes.png").write_bytes(strokes[1])
    colors = {hint.color for hint in Strokes(tmp_path / "strokes.png").dabs(64, 74)}
    chosen = np.array([(61, 118, 201), (212, 61, 61)])
    off = np.abs(np.array([*colors])[:, None] - chosen).max(axis=2)
    assert off.min(axis=1).max() <= 1, "browsers round the colours of soft edges"
    assert off.min(axis=0).max() == 0
    shown = np.asarray(Image.open(io.BytesIO(output)))
    assert np.array_equal(shown, by_command(run, line_arts, strokes, tmp_path))
    assert not np.array_equal(shown, np.asarray(Image.open(io.BytesIO(plain)))), "the strokes change nothing"
    page.close()


def test_strokes_are_taken_back_erased_and_kept(network: str, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    canvas = opened(page, network)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_have_attribute("aria-disabled", "true")
    paint(canvas, (0.2, 0.2), (0.8, 0.2))
    first = alpha(page)
    assert first[52, 60:240].min() == 255
    paint(canvas, (0.2, 0.8), (0.8, 0.8))
    both = alpha(page)
    undo.click()
    assert np.array_equal(alpha(page), first), "the other stroke's pixels stay as they were"
    page.get_by_role("button", name="Eraser").click()
    paint(canvas, (0.5, 0.1), (0.5, 0.9))
    assert alpha(page)[52, 150] == 0 and alpha(page)[52, 80] == 255
    page.get_by_role("button", name="Clear").click()
    assert not alpha(page).any()
    undo.click()
    undo.click()
    assert np.array_equal(alpha(page), first)
    assert both.any(axis=1).sum() > first.any(axis=1).sum()
    page.get_by_label("Line art", exact=True).first.click()
    page.get_by_role("option", name="second.png").click()
    expect(canvas).to_have_js_property("height", 300)
    assert not alpha(page).any()
    page.get_by_label("Line art", exact=True).first.click()
    page.get_by_role("option", name="first.png").click()
    expect(canvas).to_have_js_property("height", 260)
    assert np.array_equal(alpha(page), first), "each line art keeps its strokes"
    page.close()


@pytest.mark.network
def test_without_a_mouse_and_for_screen_readers(network: str, chromium: Browser, findings: Findings) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    canvas = opened(page, network)
    assert findings(page) == []
    canvas.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(page.get_by_role("status")).to_have_text("Dabbed")
    painted = alpha(page)
    assert painted[130, 155:165].min() == 255
    page.keyboard.press("Control+z")
    assert alpha(page).sum() < painted.sum()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The output is there", timeout=60_000)
    assert findings(page) == []
    page.close()


def test_on_a_phone_with_a_drawing_of_ones_own(chromium: Browser, tmp_path: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    drawing = draw_figure(3)[1]
    with served("try", "flood-fill") as address, chromium.new_context(**phone) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        upload = page.locator("input[type=file]")
        bad = {
            "name": "art.png",
            "mimeType": "image/png",
            "buffer": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        }
        upload.set_input_files(bad)  # type: ignore[arg-type]
        page.get_by_text("Art.png is no picture: expected PNG").wait_for()
        page.reload()
        upload.set_input_files(
            {"name": "my art!.png", "mimeType": "image/png", "buffer": encode_png(drawing)}  # type: ignore[arg-type]
        )
        canvas = page.locator("canvas")
        expect(canvas).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Colour it").tap()
        page.get_by_text("colours by hints alone, and there are none").wait_for()
        page.get_by_role("button", name="Green").tap()
        box = canvas.bounding_box()
        assert box
        page.touchscreen.tap(box["x"] + 4, box["y"] + 4)
        page.get_by_role("button", name="Colour it").tap()
        expect(page.get_by_role("status")).to_have_text("The output is there", timeout=60_000)
        strokes = saved(page, "Save the strokes")
        _, output = saved(page, "Save the output", "link")
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page scrolls sideways"
    assert strokes[0] == "my_art.png"
    write_png(tmp_path / "own/my_art.png", drawing)
    made = by_command(Path("flood-fill"), tmp_path / "own", strokes, tmp_path)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(output))), made)
    assert made[1, 1].tolist() == [79, 157, 85], "the region of the dab is green"
