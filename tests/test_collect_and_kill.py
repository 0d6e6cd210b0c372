"""The whole collection against a server that misbehaves in every way, undisturbed and killed at random."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from lacbench.manifest import load_dataset
from lacbench.records import Dataset
from lacbench.verify import verify

from servers.behaviours import BAD, BEHAVIOURS, GOOD
from servers.faults import running
from servers.process import Running

MANIFESTS = ("illustrations.parquet", "linearts.parquet", "ledger.parquet", "recipe.toml")
REASONS = {
    "html": "corrupt",
    "short": "corrupt",
    "long": "failed",
    "loop": "refused",
    "private": "refused",
    "file": "refused",
    "gone": "missing",
    "taken": "taken-down",
    "forbidden": "forbidden",
    "noai": "noai",
    "bomb": "corrupt",
    "gzip": "corrupt",
    "big": "oversized",
    "empty": "corrupt",
    "svg": "corrupt",
}
"""What each behaviour that never gives the picture ends as."""
RECIPE = """
name = "faults"
[collect]
contact = "me@example.org"
allow_hosts = ["127.0.0.1"]
requests_per_second = 100
downloads_at_once = 16
timeout = 2
attempts = 4
max_bytes = 300000
[[sources]]
name = "list"
kind = "urls"
file = "list.csv"
license = "CC0-1.0"
"""


@dataclass(frozen=True)
class Site:
    """A server, and a recipe that collects all of it."""

    server: Running
    folder: Path
    index: list[dict[str, str]]

    def command(self, out: str) -> list[str]:
        recipe, target = self.folder / "recipe.toml", self.folder / out
        return [sys.executable, "-m", "lacbench.cli.main", "build-dataset", str(recipe), "-o", str(target),
                "--workers", "1"]  # fmt: skip

    def build(self, out: str) -> Dataset:
        done = subprocess.run(self.command(out), capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return load_dataset(self.folder / out)

    def asked(self, since: int = 0) -> Counter[str]:
        """How often each picture was asked for, by its address."""
        paths = (r["path"] for r in self.server.requests()[since:])
        return Counter(f"{self.server.url}{p}" for p in paths if p.startswith("/pictures/"))


def site(server: Running, folder: Path, md5: bool = True) -> Site:
    """Write the list and the recipe of all that the server has."""
    with urllib.request.urlopen(f"{server.url}/list.json") as answer:
        index = json.load(answer)
    folder.mkdir(exist_ok=True)
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["url", "set", *["md5"] * md5], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(index)
    (folder / "recipe.toml").write_text(RECIPE)
    return Site(server, folder, index)


def check(site: Site, dataset: Dataset) -> None:
    """Nothing is lost, nothing doubled, and every file that could not be had has the right reason."""
    entries = {e.candidate.url: e for e in dataset.ledger}
    assert len(dataset.ledger) == len(entries) == len(site.index)
    for told in site.index:
        entry = entries[told["url"]]
        if told["expected"] == "good":
            assert (entry.sha256, entry.verdict.reason) == (told["sha256"], ""), told
        else:
            # Without an MD5 it is the decoder that finds other bytes.
            reason = {entry.verdict.reason, *["corrupt"] * (entry.verdict.reason == "unreadable")}
            assert REASONS[told["behaviour"]] in reason, (told, entry.verdict)
    assert verify(dataset.folder).differences == ()
    assert not list((dataset.folder / "work/parts").glob("*.part"))
    stored = {p.stem for p in dataset.folder.glob("images/*/*")}
    assert stored >= {t["sha256"] for t in site.index if t["expected"] == "good"}


def test_the_table_of_reasons_is_whole() -> None:
    assert set(REASONS) == set(BAD) and set(GOOD) | set(BAD) == set(BEHAVIOURS)


def test_every_fault_ends_as_it_should(tmp_path: Path) -> None:
    with running(2 * len(BEHAVIOURS), tmp_path / "log", retry_after=0, drip=0.5, stall=3) as server:
        here = site(server, tmp_path / "site")
        check(here, here.build("data"))
        before = len(server.requests())
        here.build("data")
        assert len(server.requests()) == before  # a finished build asks nobody


def stored(folder: Path) -> set[str]:
    """Ids of the files that lie whole in the store."""
    return {p.stem for p in folder.glob("images/*/*.*") if len(p.stem) == 64}


def killed_build(here: Site, out: str, most: int, draw: random.Random, axe: signal.Signals) -> int:
    """Build, killed at random moments, at most so often; then left alone. Returns how often it was killed.

    Asserts after all that no file was asked for again once it lay in the store.
    """
    addresses = {told["sha256"]: told["url"] for told in here.index}
    seen: list[tuple[int, set[str]]] = []
    for _ in range(most):
        with subprocess.Popen(
            here.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                process.wait(draw.uniform(0.2, 3.5))
                break  # it was faster than the axe
            except subprocess.TimeoutExpired:
                process.send_signal(axe)
        assert process.returncode in (-axe, 130)
        time.sleep(0.2)  # the server has logged what it was about to answer
        whole = stored(here.folder / out) & set(addresses)  # files that lie about their length are there too
        seen.append((len(here.server.requests()), {addresses[sha256] for sha256 in whole}))
    check(here, here.build(out))
    for since, urls in seen:
        assert not urls & set(here.asked(since))
    return len(seen)


def kill_until(
    kills: int, copies: int, tmp_path: Path, seed: int, axe: signal.Signals = signal.SIGKILL, md5: bool = True
) -> None:
    """Compare killed builds with an undisturbed one until there were so many kills."""
    options = {"retry_after": 0, "drip": 0.5, "stall": 3, "latency": 40}
    number = 2 * copies * len(BEHAVIOURS)
    with running(number, tmp_path / "log", **options) as server:
        here = site(server, tmp_path / "site", md5)
        check(here, here.build("undisturbed"))
    draw, done, rounds = random.Random(seed), 0, 0
    while done < kills:
        # The same addresses, and a server that remembers nothing of the last round.
        with running(
            number, tmp_path / f"log{rounds}", port=int(server.url.rpartition(":")[2]), **options
        ) as again:
            out = f"killed{rounds}"
            done += killed_build(Site(again, here.folder, here.index), out, kills - done, draw, axe)
        for name in MANIFESTS:
            assert (here.folder / out / name).read_bytes() == (
                here.folder / "undisturbed" / name
            ).read_bytes()
        rounds += 1
    print(f"{done} kills in {rounds} builds: lost 0, doubled 0, stored files asked for again 0")


def test_killed_at_random_moments_nothing_is_lost_doubled_or_asked_for_again(tmp_path: Path) -> None:
    kill_until(8, 1, tmp_path, seed=1)


def test_interrupted_at_random_moments_it_is_the_same(tmp_path: Path) -> None:
    """Ctrl-C ends a run otherwise than a kill does: it takes its leave of what it was doing."""
    kill_until(5, 1, tmp_path, seed=4, axe=signal.SIGINT, md5=False)


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [2, 3])
def test_fifty_kills(tmp_path: Path, seed: int) -> None:
    kill_until(50, 2, tmp_path, seed, md5=seed == 2)
