"""How fast training samples are made: from prepared shards, or by decoding pictures each time; and ahead.

    python benchmarks/loading.py [--count 128] [--side 1024]

Pictures are drawn, of `side` pixels and as tall as a third more. Samples a second are those of one core (its
own seconds, so that others on the machine do not count); the loaders' figures are the clock's.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click
import cv2
import numpy as np

from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.data import Crops, make_crops
from lacbench.baselines.alacgan.examples import Example, choose_pairs, read_example
from lacbench.baselines.alacgan.loader import Loader
from lacbench.baselines.alacgan.prepare import open_examples, prepare
from lacbench.engine import Local
from lacbench.files import sha256_bytes, write_bytes
from lacbench.images import encode_jpeg, encode_png
from lacbench.manifest import load_dataset, load_pairs, save_dataset
from lacbench.pairs import make_pairs
from lacbench.records import Candidate, Dataset, Member, Pair, Record, Statistics

BUILD = Path(__file__).resolve().parents[1] / "build/bench-loading"
STEP = 0.05
"""Seconds of a step that leaves the processor alone, as a GPU's does."""


def figure(seed: int, side: int) -> np.ndarray:
    """A coloured figure of outlined shapes with grain: (side · 4/3, side, 3) RGB."""
    random = np.random.default_rng(seed)
    height = side * 4 // 3
    drawn = np.full((height, side, 3), 255, np.uint8)
    for _ in range(12):
        shape = (random.random((5, 2)) * (side, height)).astype(np.int32)
        cv2.fillPoly(drawn, [shape], random.integers(40, 255, 3).tolist())
        cv2.polylines(drawn, [shape], True, (0, 0, 0), 3, cv2.LINE_AA)
    grain = random.integers(0, 12, (height // 3, side // 3, 3)).astype(np.uint8)
    return cv2.subtract(drawn, cv2.resize(grain, (side, height)))


def made(kind: str, count: int, side: int) -> Dataset:
    """A data set of drawn pictures with pairs at 512 pixels; that of an earlier run is kept."""
    folder = BUILD / f"{kind}-{count}-{side}"
    if not (folder / "pairs.parquet").is_file():
        members = [member(folder, kind, figure(seed, side)) for seed in range(count)]
        dataset = save_dataset(folder, sorted(members, key=lambda m: m.record.sha256), [], [], "")
        make_pairs(dataset, engine=Local())
    return load_dataset(folder)


def member(folder: Path, kind: str, image: np.ndarray) -> Member:
    """Store a picture as `kind`; made-up measures."""
    data = {"png": encode_png, "jpg": partial(encode_jpeg, quality=92)}[kind](image)
    sha256 = sha256_bytes(data)
    path = f"images/{sha256[:2]}/{sha256}.{kind}"
    write_bytes(folder / path, data)
    measures = dict.fromkeys(Statistics.__dataclass_fields__, 0.0) | {
        "width": image.shape[1], "height": image.shape[0], "format": kind, "frames": 1,
        "phash": bytes(32), "ink_hash": bytes(32), "sparse": False,
    }  # fmt: skip
    record = Record(sha256, path, Candidate("drawn", sha256, "illustrations", "drawn", "CC0-1.0"),
                    Statistics(**measures))  # fmt: skip
    return Member(record, "train")


class Decoding(Sequence[Example]):
    """Pictures that are decoded and resized whenever they are asked for, each with one of its drawings."""

    def __init__(self, dataset: Dataset, chosen: dict[str, list[Pair]]) -> None:
        self._folder, self._pairs = dataset.folder, list(chosen.values())
        self._paths = {m.record.sha256: m.record.path for m in dataset.illustrations}

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, number: int) -> Example:
        pair = self._pairs[number][number % 3]
        return read_example(self._folder, self._paths[pair.sha256], [pair])


def decode(examples: Decoding, config: Config, number: int) -> Crops:
    """A batch that decodes each of its pictures once."""
    first = number * config.batch
    held = [examples[(first + i) % len(examples)] for i in range(config.batch)]
    return make_crops(held, config, number)


def per_core(make: Callable[[int], object], batches: int, size: int) -> float:
    """Samples a second of this process's own time."""
    make(0)
    begun = time.process_time()
    for number in range(batches):
        make(number)
    return batches * size / (time.process_time() - begun)


def stepping(take: Callable[[int], object], batches: int) -> tuple[float, float]:
    """Seconds that each step waited for its batch, and batches a second without steps."""
    for number in range(4):
        take(number)
    waited = 0.0
    for number in range(4, 4 + batches):
        time.sleep(STEP)
        begun = time.perf_counter()
        take(number)
        waited += time.perf_counter() - begun
    begun = time.perf_counter()
    for number in range(4 + batches, 4 + 4 * batches):
        take(number)
    return waited / batches, 3 * batches / (time.perf_counter() - begun)


_here: dict[str, list[Example]] = {}


def begin(folder: Path) -> None:
    """Open the shards in a worker process."""
    dataset = load_dataset(folder)
    _here["examples"] = open_examples(dataset, choose_pairs(dataset, load_pairs(folder), 512))


def in_process(config: Config, number: int) -> list[np.ndarray]:
    """A batch's bytes, to be sent back."""
    return [tensor.numpy() for tensor in vars(make_crops(_here["examples"], config, number)).values()]


def processes(dataset: Dataset, config: Config, batches: int) -> tuple[float, float]:
    """As `stepping`, by two processes that send their batches back."""
    with ProcessPoolExecutor(2, get_context("spawn"), begin, (dataset.folder,)) as pool:
        ahead = {n: pool.submit(in_process, config, n) for n in range(4)}

        def take(number: int) -> list[np.ndarray]:
            ahead[number + 4] = pool.submit(in_process, config, number + 4)
            return ahead.pop(number).result()

        return stepping(take, batches)


@click.command()
@click.option("--count", default=128, show_default=True, help="Pictures.")
@click.option("--side", default=1024, show_default=True, help="Their shortest side, in pixels.")
@click.option("--batches", default=40, show_default=True, help="Batches of 4 that are timed.")
def main(count: int, side: int, batches: int) -> None:
    """Print samples a second, and what making batches ahead gains."""
    config, rates = make_config("official"), {}
    for kind in ("png", "jpg"):
        dataset = made(kind, count, side)
        chosen = choose_pairs(dataset, load_pairs(dataset.folder), 512)
        rates[kind] = per_core(partial(decode, Decoding(dataset, chosen), config), batches // 4, config.batch)
    folder = prepare(dataset, load_pairs(dataset.folder), 512)
    size = sum(f.stat().st_size for f in folder.glob("*.shard")) / count / 2**20
    examples = open_examples(dataset, chosen)
    make = partial(make_crops, examples, config)
    rates["shards"] = per_core(make, 4 * batches, config.batch)
    for name, rate in rates.items():
        print(f"{name:>8}: {rate:7.0f} samples a second and core, shards give {rates['shards'] / rate:.1f} ×")
    print(
        f"{size:.2f} MiB a picture with three drawings, {4 / 3 * 512 * 512 * 6 / 2**20:.2f} at a byte a pixel"
    )
    for threads in (0, 1, 2):
        with Loader(make, threads) as loader:
            tell(f"{threads} threads", *stepping(loader.crops, batches))
    tell("2 processes", *processes(dataset, config, batches))


def tell(name: str, waited: float, rate: float) -> None:
    """Print one way of making batches ahead."""
    share = waited / (waited + STEP)
    print(f"{name:>12}: {1000 * waited:5.2f} ms waited a step of {1000 * STEP:.0f} ({share:.1%}); "
          f"{rate:5.0f} batches a second with no step")  # fmt: skip


if __name__ == "__main__":
    main()
