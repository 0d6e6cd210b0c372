"""How long a picture takes: decoding and hashing against imagehash, and all measures of a build.

    python benchmarks/hashing.py ../shared/data/art
    python benchmarks/hashing.py ../shared/data/art --before ../before    and another checkout's measures

Pictures of 1024 × 1024 are four of the folder's side by side, as JPEG (quality 90, 4:2:0) and as PNG; `as it
is` is the folder's own. On one core; all ways take turns on each picture, and their order changes from turn
to turn. Time is that of the processor, so that what else runs on the machine counts little: milliseconds are
medians over the pictures of the medians over the turns, ratios medians over the pictures.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import click
import cv2
import imagehash
import numpy as np
from PIL import Image

from lacbench.hashing import phash
from lacbench.images import Array, read, resize_shortest

ROOT = Path(__file__).parents[1]
Way = Callable[[Path], float]
"""What takes a file and says for how many seconds of the processor's time."""

WORKER = """
import sys, time
from pathlib import Path
from lacbench.store import measure
for line in sys.stdin:
    start = time.process_time()
    told = measure(Path("/"), ("", line.strip()))[1]
    print(time.process_time() - start if not isinstance(told, str) else told, flush=True)
"""


class Measures:
    """All measures of a build, taken by a checkout of lacbench in a process of its own."""

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=checkout,  # which is where Python looks first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.communicate()

    def __call__(self, file: Path) -> float:
        """Seconds of the processor's time that reading, decoding and measuring took."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file.absolute(), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def timed(work: Callable[[Path], object]) -> Way:
    """A way that is run here."""

    def way(file: Path) -> float:
        start = time.process_time()
        work(file)
        return time.process_time() - start

    return way


def their_hash_alone(file: Path) -> float:
    """imagehash on a picture that is decoded already."""
    with Image.open(file) as image:
        image.load()
        start = time.process_time()
        imagehash.phash(image, hash_size=16)
        return time.process_time() - start


def luma_hash(file: Path) -> bytes:
    """Our hash of the JPEG's own luma: less to decode, but other bits than those of the picture in colour."""
    return phash(np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8))


HASHES: dict[str, Way] = {
    "Pillow + imagehash, 64 bits": timed(lambda file: imagehash.phash(Image.open(file))),
    "Pillow + imagehash, 256 bits": timed(lambda file: imagehash.phash(Image.open(file), hash_size=16)),
    "lacbench, 256 bits": timed(lambda file: phash(read(file))),
    "… of it decoding": timed(read),
    "OpenCV's luma + lacbench's hash ◇": timed(luma_hash),
}
PEER = "Pillow + imagehash, 256 bits"


def mosaics(art: list[Path], count: int, folder: Path) -> dict[str, list[Path]]:
    """Pictures of 1024 × 1024 pixels made of four each, in both formats."""
    files: dict[str, list[Path]] = {"JPEG": [], "PNG": []}
    for number, start in enumerate(np.linspace(0, len(art) - 4, count, dtype=int)):
        first, second, third, fourth = (square(read(file)) for file in art[start : start + 4])
        image = Image.fromarray(np.vstack([np.hstack([first, second]), np.hstack([third, fourth])]))
        for kind, options in (("JPEG", {"quality": 90}), ("PNG", {})):
            files[kind].append(folder / f"{number}.{kind.lower()}")
            image.save(files[kind][-1], kind, **options)
    return files


def square(image: Array, side: int = 512) -> Array:
    """The upper left of a picture, shrunk or enlarged so that it fills the square."""
    return resize_shortest(image, side)[:side, :side]


def take_turns(ways: dict[str, Way], files: list[Path], turns: int) -> dict[str, Array]:
    """Median milliseconds of each way on each file."""
    names = list(ways)
    seconds = np.empty((len(names), len(files), turns))
    for column, file in enumerate(files):
        for turn in range(-1, turns):  # the first one is for the caches, and is written over
            for row in np.roll(range(len(names)), turn):
                seconds[row, column, turn] = ways[names[row]](file)
    return dict(zip(names, np.median(seconds, axis=2) * 1000, strict=True))


def table(found: dict[str, dict[str, Array]], peer: str, columns: str) -> None:
    """Milliseconds of each way, and by how many times the peer's they are."""
    click.echo(f"| {columns} | " + " | ".join(f"{kind}, ms | times" for kind in found) + " |")
    click.echo("|---" + "|---:|---:" * len(found) + "|")
    for name in next(iter(found.values())):
        cells = [f"{np.median(ms[name]):.2f} | {np.median(ms[peer] / ms[name]):.2f}" for ms in found.values()]
        click.echo(f"| {name} | {' | '.join(cells)} |")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout of lacbench.")
@click.option("--pictures", default=40, show_default=True, help="Of each kind.")
@click.option("--turns", default=9, show_default=True, help="How often each way takes each picture.")
def main(folder: Path, before: Path | None, pictures: int, turns: int) -> None:
    """Print both tables for the pictures of a folder."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    art = sorted(f for f in folder.glob("*/*") if f.suffix in (".jpg", ".png"))
    with tempfile.TemporaryDirectory() as made:
        files = mosaics(art, pictures, Path(made))
        found = {kind: take_turns(HASHES, these, turns) for kind, these in files.items()}
        table(found, PEER, "decode and hash 1024 × 1024: times as fast as imagehash, 256 bits")
        ways: dict[str, Way] = {"imagehash's hash alone, 256 bits, decoded already": their_hash_alone}
        with Measures(ROOT) as now, Measures(before or ROOT) as then:
            ways |= {"all measures, decoding included": now}
            ways |= {"the same, before": then} if before else {}
            files["as it is"] = art[:: max(1, len(art) // pictures)]
            click.echo()
            found = {kind: take_turns(ways, these, turns) for kind, these in files.items()}
            table(found, next(iter(ways)), "all of a picture's measures: times as fast as imagehash's hash")
            if before:
                gains = [
                    f"{kind} {np.median(ms['the same, before'] / ms['all measures, decoding included']):.2f}"
                    for kind, ms in found.items()
                ]
                click.echo(f"\ntimes as fast as before: {', '.join(gains)}")


if __name__ == "__main__":
    main()
