"""The near-duplicate search against imagededup and faiss, and how its time and memory grow.

    python benchmarks/search.py ../shared/data/art             against peers, then 10⁴ to 10⁶ hashes
    python benchmarks/search.py ../shared/data/art --sizes 5000000 --no-peers

Two kinds of hashes. `uniform`: every bit a fair coin. `lifelike`: bits as frequent and as correlated, two by
two, as those of the art's illustrations (a Gaussian for each bit, cut where its frequency says); pictures
share frequencies, so that more hashes lie in one bucket. One hash in a hundred is a near copy of another.

Every search runs alone in a process that has loaded its hashes. Seconds are those of the search, memory that
of the whole process tree. Peers live in an environment of their own, made on first use below build/.
"""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from scipy.special import ndtri

from lacbench.hashing import is_sparse, phash
from lacbench.images import read
from lacbench.search import Hashes, near_edges

from collect import BIN, ROOT, resident, show

BUILD = ROOT / "build/bench-search"
PEERS = ("imagededup==0.3.3.post2", "faiss-cpu==1.15.1")
COPIES = 0.01
"""Share of the hashes that are near copies of another, as boards have them."""

START = """
import json, os, sys, time
import numpy as np
hashes, bits = np.load(sys.argv[1]), int(sys.argv[2])
def told(start, pairs):
    print(json.dumps({"seconds": time.perf_counter() - start, "pairs": int(pairs)}))
"""
LACBENCH = """
from lacbench.search import near_pairs
start = time.perf_counter()
told(start, len(near_pairs(hashes, bits)[0]))
"""
LACBENCH_CORES = """
from lacbench.engine import Local
from lacbench.search import near_pairs
start = time.perf_counter()
told(start, len(near_pairs(hashes, bits, Local(chunk=1))[0]))
"""
FAISS = """
import faiss
start = time.perf_counter()
index = faiss.IndexBinaryFlat(8 * hashes.shape[1])
index.add(hashes)
limits, _, _ = index.range_search(hashes, bits + 1)  # what lies below it
told(start, (limits[-1] - len(hashes)) // 2)
"""
IMAGEDEDUP = """
import warnings
warnings.simplefilter("ignore")
from imagededup.methods import PHash
names = {str(n): row.tobytes().hex() for n, row in enumerate(hashes)}
start = time.perf_counter()
found = PHash(verbose=False).find_duplicates(
    encoding_map=names, max_distance_threshold=bits, search_method="METHOD"
)
told(start, sum(map(len, found.values())) // 2)
"""


@dataclass(frozen=True)
class Contestant:
    """Somebody who searches."""

    code: str
    """What it runs after START."""
    peer: bool = True
    """Whether it lives in the peers' environment."""
    sizes: tuple[int, ...] = ()
    """How many hashes it is measured on, to reckon what it would take for more; all, where empty."""


CONTESTANTS = {
    "lacbench": Contestant(LACBENCH, peer=False),
    "faiss IndexBinaryFlat": Contestant(FAISS),
    "imagededup, its default": Contestant(
        IMAGEDEDUP.replace("METHOD", "brute_force_cython"), sizes=(2500, 5000, 10_000)
    ),
    "imagededup, BK-tree": Contestant(IMAGEDEDUP.replace("METHOD", "bktree"), sizes=(500, 1000, 2000)),
}


@dataclass(frozen=True)
class Run:
    """What one search took."""

    seconds: float
    """Of the search alone."""
    pairs: int
    """Pairs found."""
    peak: int
    """Most bytes resident at once, the whole process tree together; shared pages count in each process."""


def install_peers() -> Path:
    """The Python of an environment that has imagededup and faiss; the first needs Python below 3.13."""
    home = ROOT / "build/bench-search-peers"
    python = home / "bin/python"
    if not (home / "ready").is_file():
        uv = str(BIN / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", ">=3.11,<3.13", str(home)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(home), *PEERS], check=True)
        (home / "ready").touch()
    return python


def art_bits(art: Path) -> np.ndarray:
    """Bits (N, 256) of the illustrations' hashes, one of each group of like pictures."""
    labels = json.loads((art / "manifest.json").read_text())
    images = [read(art / entry["file"]) for entry in labels if entry["set"] == "illustrations"]
    hashes = np.array([list(phash(image)) for image in images if not is_sparse(image)], np.uint8)
    alone = np.ones(len(hashes), np.bool_)
    alone[near_edges(hashes, 64)[0][:, 1]] = False
    return np.unpackbits(hashes[alone], axis=1)


def lifelike(bits: np.ndarray, count: int, seed: int) -> Hashes:
    """Hashes (count, B) whose bits are as frequent, and as correlated two by two, as those of (N, 8 · B)."""
    share = (bits.sum(axis=0) + 0.5) / (len(bits) + 1)
    scaled = (bits - share) / np.sqrt(share * (1 - share))
    # The correlation of two Gaussians whose signs are so correlated: Sheppard's formula.
    correlation = np.sin(np.pi / 2 * np.clip(scaled.T @ scaled / len(bits), -1, 1))
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    root = (root / np.linalg.norm(root, axis=1, keepdims=True)).T.astype(np.float32)
    cut, random = ndtri(share).astype(np.float32), np.random.default_rng(seed)
    parts = [min(100_000, count - top) for top in range(0, count, 100_000)]
    drawn = (random.standard_normal((part, len(share)), np.float32) @ root < cut for part in parts)
    return np.concatenate([np.packbits(part, axis=1) for part in drawn])


def uniform(width: int, count: int, seed: int) -> Hashes:
    """Hashes (count, width) of fair coins."""
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def with_copies(hashes: Hashes, threshold: int, seed: int) -> Hashes:
    """The hashes, some of them overwritten by others with at most so many bits flipped."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(hashes))[: 2 * round(COPIES * len(hashes))].reshape(2, -1)
    apart = random.integers(0, threshold + 1, chosen.shape[1])
    order = random.random((chosen.shape[1], 8 * hashes.shape[1])).argsort(axis=1)
    hashes[chosen[0]] = hashes[chosen[1]] ^ np.packbits(order < apart[:, None], axis=1)
    return hashes


def hashes_file(kind: str, bits: np.ndarray, count: int, threshold: int) -> Path:
    """A file of such hashes, written unless it is there."""
    width = bits.shape[1] // 8
    file = BUILD / f"{kind}-{width}-{count}-{threshold}.npy"
    if not file.is_file():
        BUILD.mkdir(parents=True, exist_ok=True)
        made = lifelike(bits, count, 1) if kind == "lifelike" else uniform(width, count, 1)
        np.save(file, with_copies(made, threshold, 2))
    return file


def run(contestant: Contestant, file: Path, threshold: int) -> Run:
    """Search in a process of its own, and watch its memory."""
    python = str(install_peers()) if contestant.peer else sys.executable
    command = [python, "-c", START + contestant.code, str(file), str(threshold)]
    printed = BUILD / "printed.txt"
    peak = 0
    with printed.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.02)
    if process.returncode:
        raise click.ClickException(f"it failed:\n{printed.read_text()[-2000:]}")
    told = next(line for line in printed.read_text().splitlines() if line.startswith("{"))
    return Run(peak=peak, **json.loads(told))


def race(bits: np.ndarray, count: int, threshold: int, repeats: int) -> None:
    """Print how long each takes for `count` hashes of 64 bits; the slow ones' times are reckoned."""
    table = [["", "hashes", "found", "seconds", f"for {count:,}", "lacbench is so many times as fast"]]
    for kind in ("uniform", "lifelike"):
        first = 0.0
        for name, who in CONTESTANTS.items():
            times = []
            for size in who.sizes or (count,):
                file = hashes_file(kind, bits, size, threshold)
                runs = [run(who, file, threshold) for _ in range(1 if who.sizes else repeats)]
                times.append(min(one.seconds for one in runs))
                row = [f"{kind}: {name}", f"{size:,}", f"{runs[0].pairs:,}", f"{times[-1]:.2f}", "", ""]
                table.append(row)
            whole = times[-1]
            if who.sizes:
                power = math.log(times[-1] / times[0]) / math.log(who.sizes[-1] / who.sizes[0])
                power = min(power, 2)  # steeper is noise: nobody compares more than all with all
                whole *= (count / who.sizes[-1]) ** power
            first = first or whole
            reckoned = f", reckoned: it grows as N^{power:.2f}" if who.sizes else ""
            table[-1][4:] = [f"{whole:,.2f} s{reckoned}", f"{whole / first:,.1f}"]
    show(table)


def growth(bits: np.ndarray, sizes: list[int], threshold: int) -> None:
    """Print time and memory by the number of hashes: on one core up to 10⁶, on all from there on."""
    table = [["256 bits", "found", "1 core, s", "peak RSS, MB", "all cores, s", "peak RSS, MB"]]
    for size in sizes:
        for kind in ("uniform", "lifelike"):
            file = hashes_file(kind, bits, size, threshold)
            cells, found = [], set()
            for code, wanted in ((LACBENCH, size <= 1_000_000), (LACBENCH_CORES, size >= 1_000_000)):
                cells += ["", ""]
                if wanted:
                    done = run(Contestant(code, peer=False), file, threshold)
                    found.add(done.pairs)
                    cells[-2:] = [f"{done.seconds:.1f}", f"{done.peak / 1e6:.0f}"]
            if len(found) > 1:
                raise click.ClickException(f"one core and all cores differ: {found} pairs")
            table.append([f"{size:,} {kind}", f"{found.pop():,}", *cells])
            click.echo("; ".join(table[-1]), err=True)  # the whole table takes long
    show(table)


@click.command()
@click.argument("art", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--sizes", default="10000,100000,1000000", help="Numbers of hashes of the growth table.")
@click.option("--peers/--no-peers", default=True, help="Whether to race against the others.")
@click.option("--repeats", default=3, help="How many times each runs; the least time counts.")
def main(art: Path, sizes: str, peers: bool, repeats: int) -> None:
    """Compare lacbench's search with others', and print how it grows."""
    click.echo(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}\n")
    bits = art_bits(art)
    if peers:
        low = bits.reshape(-1, 16, 16)[:, :8, :8].reshape(-1, 64)  # the lowest 8 × 8 frequencies
        race(low, 100_000, 10, repeats)
    growth(bits, [int(size) for size in sizes.split(",") if size], 32)


if __name__ == "__main__":
    main()
