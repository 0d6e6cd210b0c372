"""lacbench against img2dataset: pictures per second, memory, and what a second run asks for again.

    python benchmarks/collect.py             both in turn on one server of this machine
    python benchmarks/collect.py --memory    lacbench alone, on lists of 10³ to 10⁶ candidates

Equal work: `lacbench --fetch-only` and img2dataset check every file's MD5, look into it, and store its own
bytes. `lacbench` alone is the whole build: it also measures every picture, filters, dedupes, splits and
writes the card. img2dataset lives in an environment of its own, made on first use below build/.
"""

import csv
import hashlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from servers.process import Running, started  # noqa: E402

BUILD = ROOT / "build/bench"
BIN = Path(sys.executable).parent
IMG2DATASET = "1.47.0"
ENVIRONMENT = {**os.environ, "no_proxy": "127.0.0.1", "NO_ALBUMENTATIONS_UPDATE": "1"}
COLUMNS = ("url", "set", "license", "md5", "artist", "page", "tags", "rating")
DOWNLOADED = 500
"""Pictures that every list of `--memory` has beside those that are to be left out."""

RECIPE = """
name = "bench"
[collect]
contact = "bench@example.org"
allow_hosts = ["127.0.0.1"]
downloads_at_once = {connections}
[[sources]]
name = "list"
kind = "urls"
file = "list.csv"
"""

Contestant = Callable[[Path, int], list[str]]
"""From a working folder that has `list.csv`, and a number of connections, to the command that fills `out`."""


@dataclass(frozen=True)
class Run:
    """What one command did."""

    wall: float
    """Seconds from start to end."""
    span: float
    """Seconds from the first to the last request for a picture, as the server saw them."""
    asked: list[str]
    """Paths of the pictures that were asked for, in order."""
    stored: int
    """JPEG files in the output folder at the end."""
    peak: int
    """Most bytes resident at once, the whole process tree together; shared pages count in each process."""


def install_img2dataset() -> Path:
    """The pinned img2dataset's command, in an environment of its own; it needs Python below 3.13."""
    home = ROOT / "build/bench-img2dataset"
    command = home / "bin/img2dataset"
    if not command.is_file():
        uv = [str(BIN / "uv")]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", ">=3.11,<3.13", str(home)], check=True)
        wanted = f"img2dataset=={IMG2DATASET}"
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(home), wanted], check=True)
    return command


def lacbench(folder: Path, connections: int) -> list[str]:
    """lacbench's whole build: download, check, measure, filter, dedupe, split."""
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(connections=connections))
    return [str(BIN / "lacbench"), "build-dataset", str(recipe), "-o", str(folder / "out")]


def lacbench_fetch(folder: Path, connections: int) -> list[str]:
    """lacbench's collection alone: download, check, store."""
    return [*lacbench(folder, connections), "--fetch-only"]


def img2dataset(folder: Path, connections: int, **more: object) -> list[str]:
    """img2dataset, storing the bytes as they came: all are JPEG, which it then does not encode again."""
    options = {
        "url_list": folder / "list.csv",
        "input_format": "csv",
        "output_folder": folder / "out",
        "output_format": "files",
        "resize_mode": "no",
        "skip_reencode": True,
        "extract_exif": False,
        "compute_hash": "md5",
        "verify_hash": '["md5","md5"]',
        "processes_count": 1,
        "thread_count": connections,
        "retries": 0,
        "timeout": 30,
        **more,
    }
    return [str(install_img2dataset()), *(f"--{name}={value}" for name, value in options.items())]


def img2dataset_unseen(folder: Path, connections: int) -> list[str]:
    """img2dataset at its fastest: nothing is decoded."""
    return img2dataset(folder, connections, disable_all_reencoding=True)


def img2dataset_shards(folder: Path, connections: int) -> list[str]:
    """img2dataset in shards of 250 instead of 10,000: it goes on by whole shards."""
    return img2dataset(folder, connections, number_sample_per_shard=250)


CONTESTANTS: dict[str, Contestant] = {
    "lacbench --fetch-only": lacbench_fetch,
    "lacbench": lacbench,
    "img2dataset": img2dataset,
    "img2dataset-unseen": img2dataset_unseen,
    "img2dataset-shards": img2dataset_shards,
}


def draw(number: int) -> bytes:
    """A JPEG of 60 to 150 KB: coloured figures with grain, or for odd numbers black lines on white."""
    random = np.random.default_rng(number)
    width, height = random.integers(520, 720, 2).tolist()
    lines = bool(number % 2)
    drawn = np.full((height, width, 3), 255, np.uint8)
    shapes = [
        random.integers((20, 20), (width - 20, height - 20), (5, 2)).astype(np.int32)
        for _ in range(12 if lines else 8)
    ]
    if not lines:
        for shape in shapes:
            cv2.fillPoly(drawn, [shape], random.integers(40, 255, 3).tolist())
    cv2.polylines(drawn, shapes, True, (0, 0, 0), 3, cv2.LINE_AA)
    if lines:
        drawn = cv2.cvtColor(drawn, cv2.COLOR_BGR2GRAY)
    else:
        grain = random.integers(-9, 10, (height, width, 1), dtype=np.int16)
        drawn = np.clip(drawn + grain, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def draw_all(count: int) -> tuple[Path, list[list[str]]]:
    """The folder of the pictures 0 to count - 1, drawn unless they are there, and a list's row for each."""
    folder = BUILD / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        file = folder / f"{number}.jpg"
        if not file.is_file():
            file.write_bytes(draw(number))
        md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        name = "linearts" if number % 2 else "illustrations"
        rows.append([f"/{file.name}", name, "CC0-1.0", md5, "somebody", "", "", "safe"])
    return folder, rows


def write_list(folder: Path, url: str, rows: Iterable[list[str]]) -> None:
    """Write `list.csv` into a new, empty folder; the rows' paths become URLs of the server."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([url + path, *rest] for path, *rest in rows)


def run(command: list[str], folder: Path, server: Running, kill_after: int | None = None) -> Run:
    """Run a command to its end, or kill it and its children after so many requests."""
    before = len(server.requests())
    start, peak = time.monotonic(), 0
    with (
        (folder / "printed.txt").open("a") as printed,
        subprocess.Popen(
            command, stdout=printed, stderr=printed, env=ENVIRONMENT, start_new_session=True
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            if kill_after and len(server.requests()) - before >= kill_after:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.05)
    wall = time.monotonic() - start
    if process.returncode != (-signal.SIGKILL if kill_after else 0):
        raise click.ClickException(f"{command[0]} failed:\n{(folder / 'printed.txt').read_text()[-2000:]}")
    asked = [r for r in server.requests()[before:] if r["path"].endswith(".jpg")]
    times = [r["time"] for r in asked] or [0.0]
    stored = sum("card" not in file.parts for file in (folder / "out").rglob("*.jpg"))
    return Run(wall, max(times) - min(times), [r["path"] for r in asked], stored, peak)


def resident(process: int) -> int:
    """Bytes resident in a process and all its descendants."""
    try:
        told = Path(f"/proc/{process}")
        pages = int((told / "statm").read_text().split()[1])
        children = " ".join(file.read_text() for file in told.glob("task/*/children")).split()
    except OSError:  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


def show(rows: list[list[str]]) -> None:
    """Print a table in Markdown: the first row is its head, all columns but the first lean right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (rows[0], rule, *rows[1:]):
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo(f"| {' | '.join([row[0].ljust(widths[0]), *padded[1:]])} |")
    click.echo()


def middle(values: Iterable[float], digits: int = 0) -> str:
    """Median and range, as text."""
    told = sorted(values)
    return f"{statistics.median(told):.{digits}f} ({told[0]:.{digits}f}–{told[-1]:.{digits}f})"


def race(names: list[str], server: Running, rows: list[list[str]], repeats: int, connections: int) -> None:
    """Run all in turn, several times, and print their speed; the ratio is the first one's to each other's."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            folder = BUILD / name
            write_list(folder, server.url, rows)
            done = run(CONTESTANTS[name](folder, connections), folder, server)
            if done.stored != len(rows):
                raise click.ClickException(f"{name} stored {done.stored} of {len(rows)}: see {folder}")
            runs[name].append(done)
    table = [["", "pictures/s, whole command", "ratio", "pictures/s, on the wire", "ratio", "peak RSS, MB"]]
    for name, done in runs.items():
        cells = [name]
        for clock in ("wall", "span"):
            speeds = [len(rows) / getattr(r, clock) for r in done]
            first = [len(rows) / getattr(r, clock) for r in runs[names[0]]]
            cells += [middle(speeds), middle((a / b for a, b in zip(first, speeds, strict=True)), 2)]
        table.append([*cells, middle(r.peak / 1e6 for r in done)])
    show(table)


def resume(names: list[str], server: Running, rows: list[list[str]], connections: int) -> None:
    """Kill each half way, run it again, and print how many requests went to pictures asked for before."""
    table = [["killed half way", "asked for", "stored", "then asked for", "of those again", "stored"]]
    for name in names:
        folder = BUILD / name
        write_list(folder, server.url, rows)
        command = CONTESTANTS[name](folder, connections)
        first = run(command, folder, server, kill_after=len(rows) // 2)
        second = run(command, folder, server)
        again = set(first.asked) & set(second.asked)
        counts = [len(first.asked), first.stored, len(second.asked), len(again), second.stored]
        table.append([name, *(str(count) for count in counts)])
    show(table)


def memory(server: Running, rows: list[list[str]], sizes: Iterable[int], connections: int) -> None:
    """Print lacbench's peak memory on lists that hold ever more candidates which are left out unasked."""

    def candidates(size: int) -> Iterable[list[str]]:
        step = size // len(rows)
        for n in range(size):
            if n % step == 0 and n // step < len(rows):
                yield rows[n // step]
            else:
                yield [f"/none/{n}.jpg", "illustrations", "CC0-1.0", f"{n:032x}", "", "", "", "explicit"]

    table = [["candidates", "asked for", "seconds", "peak RSS, MB"]]
    for size in sizes:
        folder = BUILD / "memory"
        write_list(folder, server.url, candidates(size))
        done = run(lacbench(folder, connections), folder, server)
        table.append([f"{size:,}", str(len(done.asked)), f"{done.wall:.1f}", f"{done.peak / 1e6:.0f}"])
    show(table)


@click.command()
@click.option("--pictures", default=2000, help="How many both download.")
@click.option("--repeats", default=3, help="How many times, in turn.")
@click.option("--connections", default=16, help="Requests at once, for both.")
@click.option("--latency", default=20.0, help="Milliseconds that the server waits before every answer.")
@click.option("--only", multiple=True, type=click.Choice(list(CONTESTANTS)), help="Who runs; all by default.")
@click.option("--memory", "for_memory", is_flag=True, help="Peak memory by length of the list, instead.")
@click.option("--sizes", default="1000,10000,100000,1000000", help="Lengths of its lists, 500 or more.")
def main(for_memory: bool, pictures: int, latency: float, **options: Any) -> None:
    """Compare lacbench's collector with img2dataset on a server of this machine."""
    folder, rows = draw_all(DOWNLOADED if for_memory else pictures)
    log = BUILD / "requests.jsonl"
    log.unlink(missing_ok=True)
    names = list(options["only"] or CONTESTANTS)
    # What others compute at the same time blurs the figures.
    click.echo(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}\n")
    with started("servers.swift", log, folder=folder, latency=latency) as server:
        if for_memory:
            memory(server, rows, [int(size) for size in options["sizes"].split(",")], options["connections"])
        else:
            race(names, server, rows, options["repeats"], options["connections"])
            resume(names, server, rows, options["connections"])


if __name__ == "__main__":
    main()
