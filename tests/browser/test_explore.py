"""`lacbench explore`, as a person uses it: a real server, a real browser."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.hints import choose_hints, save_hints
from lacbench.images import write_png
from lacbench.manifest import load_dataset, save_review
from lacbench.records import Dataset

from chromium import Findings, served
from made import build, draw_figure

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """12 illustrations, 3 line arts; left out: a duplicate, one too small, one that is cut off."""
    folder = tmp_path_factory.mktemp("explored")
    art = folder / "art"
    for seed in range(12):
        write_png(art / f"illustrations/{seed:02}.png", draw_figure(seed)[0])
    for seed in range(100, 103):
        write_png(art / f"linearts/{seed}.png", draw_figure(seed)[1])
    shutil.copy(art / "illustrations/00.png", art / "illustrations/again.png")
    write_png(art / "illustrations/small_![x](http:a).png", draw_figure(50)[0][:50])
    (art / "illustrations/cut.png").write_bytes((art / "illustrations/00.png").read_bytes()[:900])
    made = build(art, folder / "data")
    first, second = (m.record.sha256 for m in made.illustrations[:2])
    save_review(made.folder, [(first, second, 40)])
    return load_dataset(folder / "data")


@pytest.fixture(scope="module")
def address(dataset: Dataset) -> Iterator[str]:
    """Where the explorer shows it beside two submissions: a folder, and a zip that lacks one output."""
    hints = choose_hints(dataset, 5, seed=1)
    place = dataset.folder.parent
    save_hints(place / "hints.json", hints)
    linearts = find_linearts(dataset.folder)
    colorize(Path("grey"), linearts, place / "grey", size=64)
    colorize(Path("flood-fill"), linearts, place / "filled", hints=hints, size=64)
    with zipfile.ZipFile(place / "filled.zip", "w") as archive:
        for file in sorted((place / "filled").glob("*.*"))[1:]:
            archive.write(file, file.name)
    options = ["--submission", str(place / "grey"), "--submission", f"ours={place / 'filled.zip'}"]
    with served("explore", str(dataset.folder), *options, "--hints", str(place / "hints.json")) as running:
        yield running


def opened(page: Page, address: str) -> Page:
    page.set_default_timeout(60_000)
    page.goto(address)
    expect(page.get_by_text("drawn", exact=True)).to_be_visible(timeout=60_000)
    return page


def pictures(page: Page) -> Locator:
    return page.locator("[data-testid=stImage] img:visible")


def choose(page: Page, label: str, option: str) -> None:
    """Of a list that can be typed into: only options in view are on the page."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    page.keyboard.press("Escape")


@pytest.mark.network
def test_filtered_by_any_column(
    address: str, dataset: Dataset, chromium: Browser, findings: Findings
) -> None:
    page = opened(chromium.new_page(viewport={"width": 1280, "height": 1000}), address)
    expect(pictures(page)).to_have_count(12, timeout=60_000)
    assert findings(page) == []
    choose(page, "Filter by", "colorfulness")
    values = sorted(m.record.statistics.colorfulness for m in dataset.illustrations)
    page.get_by_label("colorfulness from").fill(f"{(values[8] + values[9]) / 2:.4f}")
    page.keyboard.press("Enter")
    expect(pictures(page)).to_have_count(3)
    expect(page.get_by_text("3 pictures", exact=True)).to_be_visible()
    best = max(dataset.illustrations, key=lambda m: m.record.statistics.colorfulness)
    choose(page, "Filter by", "key")
    choose(page, "key", best.record.candidate.key)
    expect(page.get_by_text("1 picture", exact=True)).to_be_visible()
    expect(pictures(page)).to_have_count(1)
    assert findings(page) == []
    choose(page, "Set", "Line arts")
    expect(pictures(page)).to_have_count(3)
    page.close()


def test_left_out_and_to_review(address: str, chromium: Browser) -> None:
    page = opened(chromium.new_page(), address)
    page.get_by_role("tab", name="Left out").click()
    expect(page.get_by_text("cannot be shown · cut.png")).to_be_visible(timeout=60_000)
    choose(page, "Reason", "small (1)")
    expect(page.get_by_text("small_![x](http:a).png: 240 × 50, shortest side below 200")).to_be_visible()
    choose(page, "Reason", "duplicate (1)")
    expect(page.get_by_text("Left out · ")).to_be_visible()
    expect(page.get_by_text("Kept · ")).to_be_visible()
    expect(pictures(page)).to_have_count(2)
    boxes = [picture.bounding_box() for picture in pictures(page).all()]
    assert boxes[0] and boxes[1] and boxes[0]["y"] == boxes[1]["y"], "side by side"
    page.get_by_role("tab", name="To review").click()
    expect(page.get_by_text("40 of 256 bits differ")).to_be_visible()
    expect(pictures(page)).to_have_count(2)
    page.close()


@pytest.mark.network
def test_a_line_art_through_all_submissions(
    address: str, dataset: Dataset, chromium: Browser, findings: Findings
) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with chromium.new_context(**phone) as context:  # type: ignore[arg-type]
        page = opened(context.new_page(), address)
        page.get_by_role("tab", name="Compare").tap()
        expect(page.get_by_text("Line art · 5 hints")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("grey · without hints")).to_be_visible()
        expect(page.get_by_text("cannot be shown · ours · with hints · has no output")).to_be_visible()
        expect(pictures(page)).to_have_count(2)
        page.get_by_label("Find line arts").fill(dataset.linearts[1].record.sha256[:20])
        page.keyboard.press("Enter")
        expect(pictures(page)).to_have_count(3)
        assert findings(page) == []
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page scrolls sideways"
        page.get_by_label("Find line arts").fill("no such")
        page.keyboard.press("Enter")
        expect(page.get_by_text("There is no such line art.")).to_be_visible()


def test_what_is_wrong_is_said_before_the_browser(dataset: Dataset, tmp_path: Path) -> None:
    data, nothing = str(dataset.folder), str(tmp_path / "nothing")
    wrong = [
        ([str(tmp_path)], 1, f"lacbench: {tmp_path} is no data set"),
        ([data, "--submission", f"ours={nothing}"], 1, f"lacbench: {nothing} is not there"),
        ([data, "--hints", nothing], 1, f"lacbench: {nothing} is not there"),
    ]
    for words, status, told in wrong:
        command = [sys.executable, "-m", "lacbench.cli.main", "explore", *words, "--no-open"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (status, 1)
        assert done.stderr.startswith(told)
