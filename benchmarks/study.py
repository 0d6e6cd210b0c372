"""The raters' page: how soon the next picture comes, whether answers get lost, whether pixels are true.

    python benchmarks/study.py

Keypress to next picture, and to the answer being on disk, is taken in a headless Chromium, beside a page of
Streamlit that has one button, on one machine in one run: alone, then with fifteen other raters on the server.
Then sixteen raters give 564 ratings each over websockets, every tenth of them sent three times.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import numpy as np
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from lacbench.files import sha256_bytes  # noqa: E402
from lacbench.images import read  # noqa: E402
from lacbench.study.create import create_study  # noqa: E402
from lacbench.study.stimuli import media_path  # noqa: E402

from chromium import ARGUMENTS, executable  # noqa: E402
from raters import connected  # noqa: E402
from rating import Server, free_port, served, wait_for  # noqa: E402
from studies import coloured, study_file  # noqa: E402

SESSIONS, ITEMS, SIZE = 16, 94, 256
METHODS = tuple(f"method-{number}" for number in range(6))
PRESSES = 60
"""Answers that are timed."""
THINKING = (400, 1200)
"""Milliseconds between two answers, at least and at most."""

BARE = """
import streamlit as st
count = st.session_state.setdefault("count", 0)
if st.button("Next"):
    st.session_state.count += 1
st.markdown(f"shown {st.session_state.count}")
"""

# Both give [milliseconds until it was painted, milliseconds until the server's answer] of each press.
PANEL = """async ([presses, least, most]) => {
    const roots = [...document.querySelectorAll("*")].map((element) => element.shadowRoot);
    const root = roots.find((found) => found?.querySelector(".panel"));
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const picture = () => root.querySelector(".pictures img")?.src;
    const free = () => root.querySelector(".answers button")?.getAttribute("aria-disabled") === "false";
    const until = (told) => new Promise((resolve) => {
        const painted = () => requestAnimationFrame(() => resolve(performance.now()));
        const look = () => told() && (watch.disconnect(), painted());
        const watch = new MutationObserver(look);
        watch.observe(root, { subtree: true, childList: true, attributes: true });
        look();
    });
    const times = [];
    root.querySelector(".go").click();
    for (let press = 0; press < presses; press++) {
        await until(() => picture() && free());
        await pause(least + Math.random() * (most - least));
        const [before, start] = [picture(), performance.now()];
        window.dispatchEvent(new KeyboardEvent("keydown", { key: String(1 + press % 5) }));
        const shown = await until(() => picture() && picture() !== before);
        times.push([shown - start, (await until(free)) - start]);
    }
    return times;
}"""
BUTTON = """async ([presses, least, most]) => {
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const times = [];
    for (let press = 1; press <= presses; press++) {
        await pause(least + Math.random() * (most - least));
        const start = performance.now();
        document.querySelector("button[data-testid=stBaseButton-secondary]").click();
        const shown = await new Promise((resolve) => {
            const watch = new MutationObserver(() => {
                if (!document.body.innerText.includes(`shown ${press}`)) return;
                watch.disconnect();
                requestAnimationFrame(() => resolve(performance.now()));
            });
            watch.observe(document.body, { subtree: true, childList: true, characterData: true });
        });
        times.push([shown - start, shown - start]);
    }
    return times;
}"""
CANVAS = """image => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    canvas.getContext("2d").drawImage(image, 0, 0);
    return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def made(folder: Path) -> Path:
    """A study of the paper's size, on drawings and noise, for more raters than are needed."""
    coloured(folder, ITEMS, METHODS, SIZE)
    file = study_file(folder, f"raters = {4 * SESSIONS}\nbreak_every = 1000", "", METHODS, SIZE)
    create_study(file, folder / "study").store.close()
    return folder / "study"


@contextmanager
def bare(folder: Path) -> Iterator[str]:
    """Where a page of one button is shown, by a server with the settings of ours."""
    (folder / "bare.py").write_text(BARE)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "bare.py"), "--server.headless=true",
               "--browser.gatherUsageStats=false", "--server.fileWatcherType=none", f"--server.port={port}",
               "--server.address=127.0.0.1", "--runner.postScriptGC=false"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}/"
        process.terminate()


def timed(browser: Browser, link: str, ready: str, script: str) -> np.ndarray:
    """Milliseconds of each press, (presses, 2), in a tab of its own."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link)
        page.locator(ready).first.wait_for(timeout=60_000)
        return np.array(page.evaluate(script, [PRESSES, *THINKING]))


@contextmanager
def crowd(server: Server, count: int) -> Iterator[None]:
    """Other raters, each at a person's pace, until the block ends."""
    end = threading.Event()

    def rate(token: str) -> None:
        random = np.random.default_rng(len(token))
        with connected(server.port, token) as rater:
            while not end.wait(random.uniform(*THINKING) / 1000) and rater.data["page"] == "trial":
                rater.run(rater.answer(3))

    with ThreadPoolExecutor(count) as pool:
        sessions = [pool.submit(rate, token) for token in server.tokens(count)]
        try:
            yield
        finally:
            end.set()
        for session in sessions:
            session.result()


def told(name: str, milliseconds: np.ndarray) -> tuple[float, float]:
    """Print and return median and 95th percentile."""
    median, high = np.percentile(milliseconds, [50, 95])
    print(f"{name:52s} median {median:6.1f} ms   p95 {high:6.1f} ms")
    return float(median), float(high)


def time_presses(server: Server, browser: Browser, folder: Path) -> None:
    """A button alone, the panel alone, and the panel among sixteen sessions."""
    with bare(folder) as address:
        base, _ = told("a button of Streamlit, next text", timed(browser, address, "button", BUTTON)[:, 0])
    for others in (0, SESSIONS - 1):
        with crowd(server, others) if others else nullcontext():
            times = timed(browser, server.link(*server.tokens(1)), ".go:visible", PANEL)
        name = f"keypress, {others + 1} session{'s' if others else ''}:"
        median, high = told(f"{name} next picture", times[:, 0])
        told(f"{name} answer on the disk, and said so", times[:, 1])
        print(f"    next picture, of the button's median: median {median / base:.2f}, p95 {high / base:.2f}")


def compare_pixels(server: Server, browser: Browser) -> None:
    """What a canvas reads of a picture, against the file."""
    page = browser.new_context().new_page()
    page.goto(server.link(*server.tokens(1)))
    page.locator(".go").click()
    image = page.locator(".pictures img")
    address = page.evaluate("a => new URL(a, document.baseURI).href", image.get_attribute("src"))
    stored = media_path(sha256_bytes(page.request.get(address).body()))
    file = read(server.study.folder / stored)
    drawn = np.array(image.evaluate(CANVAS), np.uint8).reshape(*file.shape[:2], 4)
    differ = int((drawn[..., :3] != file).any(-1).sum())
    print(f"pixels in the browser that differ from the stored ones: {differ} of {drawn[..., 0].size}")
    page.context.close()


def rate_all(server: Server, token: str) -> list[str]:
    """A whole session over a websocket, every tenth answer sent three times; returns those acknowledged."""
    events = []
    with connected(server.port, token) as rater:
        while rater.data["page"] == "trial":
            event = rater.answer(len(events) % 5 + 1)
            for _ in range(3 if len(events) % 10 == 0 else 1):
                rater.run(event)
            events.append(str(event["event"]))
    return events


def count_ratings(server: Server) -> None:
    """Sixteen raters, all ratings: how many are lost, how many doubled."""
    before, invited, start = set(server.events()), server.invited(SESSIONS), time.perf_counter()
    with ThreadPoolExecutor(SESSIONS) as pool:
        sessions = list(pool.map(lambda each: rate_all(server, each.token), invited))
    seconds = time.perf_counter() - start
    acknowledged = [event for session in sessions for event in session]
    stored = [event for event in server.events() if event not in before]
    answers = server.answers(*(each.rater for each in invited))
    trials = {(answer.rater, answer.position) for answer in answers}
    lost, doubled = len(set(acknowledged) - set(stored)), len(stored) - len(trials)
    print(f"{SESSIONS} raters × {ITEMS * len(METHODS)}: {len(acknowledged)} acknowledged in {seconds:.0f} s, "
          f"{len(stored)} stored, {lost} lost, {doubled} doubled")  # fmt: skip


@click.command()
@click.option("--presses/--no-presses", default=True, help="Whether to time keypresses in Chromium.")
@click.option("--ratings/--no-ratings", default=True, help="Whether to count ratings over websockets.")
def main(presses: bool, ratings: bool) -> None:
    """The raters' page against a bare button of Streamlit, and against its own store."""
    with tempfile.TemporaryDirectory() as scratch, served(made(Path(scratch))) as server:
        if presses:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
                time_presses(server, browser, Path(scratch))
                compare_pixels(server, browser)
                browser.close()
        if ratings:
            count_ratings(server)


if __name__ == "__main__":
    main()
