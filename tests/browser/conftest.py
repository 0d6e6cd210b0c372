"""A headless Chromium, a server of a study, and axe-core."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from chromium import ARGUMENTS, AXE, Findings, executable
from rating import Server, make_rated, served


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium; tests that ask for it are skipped where there is none."""
    path = executable()
    if not path:
        pytest.skip("no chromium or google-chrome on PATH; `make browser` installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The raters' page of a study with room for many raters."""
    with served(make_rated(tmp_path_factory.mktemp("rated"))) as running:
        yield running


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What axe-core finds serious or critical on a page as it stands now; it comes by `npm pack`."""
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), AXE]
    if not shutil.which("npm") or subprocess.run(command, capture_output=True, cwd=folder).returncode:
        pytest.skip(f"no npm, or no registry that it reaches: {AXE} is needed")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        script = member.read().decode()

    def found(page: Page) -> list[str]:
        page.evaluate(script)
        violations = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
        return [
            f"{v['id']}: {v['help']}: {[node['html'] for node in v['nodes']]}"
            for v in violations
            if v["impact"] in ("serious", "critical")
        ]

    return found
