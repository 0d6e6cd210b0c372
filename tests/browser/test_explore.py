"""`lacbench explore`, as a person uses it: a real server, a real browser."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lacbench.images import write_png

from made import build, draw_figure
from rating import free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def address(drawn_art: Path, tmp_path: Path) -> Iterator[str]:
    """Where the explorer shows a small data set; ended by its process id."""
    shutil.copy(drawn_art / "illustrations/00.png", drawn_art / "illustrations/again.png")
    write_png(drawn_art / "illustrations/small.png", draw_figure(50)[0][:50])
    (drawn_art / "illustrations/cut.png").write_bytes((drawn_art / "illustrations/00.png").read_bytes()[:900])
    build(drawn_art, tmp_path / "data")
    port = free_port()
    command = [sys.executable, "-m", "lacbench.cli.main", "explore", str(tmp_path / "data"),
               "--no-open", "--port", str(port)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_kept_and_left_out(address: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.set_default_timeout(60_000)
    expect(page.get_by_text("drawn", exact=True)).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stImage] img:visible")).to_have_count(12, timeout=60_000)
    page.get_by_role("tab", name="Left out").click()
    page.get_by_label("Reason").first.click()
    page.get_by_text("small (1)").last.click()
    expect(page.get_by_text("240 × 50, shortest side below 200")).to_be_visible(timeout=60_000)
    page.get_by_label("Reason").first.click()
    page.get_by_text("unreadable (1)").last.click()
    expect(page.get_by_text("cannot be shown · cut.png")).to_be_visible(timeout=60_000)
    page.close()


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lacbench.cli.main", "explore", str(tmp_path), "--no-open"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lacbench: {tmp_path} is no data set")
    assert done.stderr.count("\n") == 1
