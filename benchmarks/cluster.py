"""How much faster more workers are: a data set measured by one and by two, on Dask and without it.

    python benchmarks/cluster.py [--count 5000]

Scheduler, workers and the driving command share this machine's cores; on a cluster they do not.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
from distributed import Client

from lacbench.engine import Engine, Local, open_engine
from lacbench.store import measure

BUILD = Path(__file__).resolve().parents[1] / "build/bench-cluster"
DASK = [sys.executable, "-m", "dask"]


def draw(count: int) -> list[tuple[str, str]]:
    """Id and path of `count` drawn pictures of 512 pixels, below BUILD; those of an earlier run are kept."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        path = BUILD / f"{seed:05}.png"
        if not path.is_file():
            cv2.imwrite(str(path), figure(seed))
    return [(f"{seed:05}", f"{seed:05}.png") for seed in range(count)]


def figure(seed: int) -> np.ndarray:
    """A coloured figure of outlined shapes with grain, 512 pixels a side."""
    random = np.random.default_rng(seed)
    drawn = np.full((512, 512, 3), 255, np.uint8)
    for _ in range(8):
        shape = random.integers(20, 490, (5, 2)).astype(np.int32)
        cv2.fillPoly(drawn, [shape], random.integers(40, 255, 3).tolist())
        cv2.polylines(drawn, [shape], True, (0, 0, 0), 2, cv2.LINE_AA)
    grain = random.integers(0, 8, (64, 64, 3)).astype(np.uint8)
    return cv2.subtract(drawn, cv2.resize(grain, (512, 512)))


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A scheduler and workers of one thread each on this machine; yields HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = address.split(":")
    with ExitStack() as stack:
        for words in (
            ["scheduler", "--host", host, "--port", port],
            *[["worker", address, "--nthreads", "1", "--no-nanny"]] * workers,
        ):
            command = [*DASK, *words, "--no-dashboard"]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
        yield address


def run(engine: Engine, stored: list[tuple[str, str]]) -> float:
    """Seconds to measure all of it. Dask's workers have begun before; a pool begins with each map."""
    list(engine.map(partial(measure, BUILD), stored[:64]))
    begun = time.monotonic()
    assert sum(1 for _ in engine.map(partial(measure, BUILD), stored)) == len(stored)
    return time.monotonic() - begun


def dask(workers: int, stored: list[tuple[str, str]]) -> float:
    """Seconds on a cluster of so many workers."""
    with cluster(workers) as address:
        with Client(f"tcp://{address}", timeout=30) as client:
            client.wait_for_workers(workers, timeout=30)
        with open_engine(f"dask://{address}") as engine:
            return run(engine, stored)


def local(workers: int, stored: list[tuple[str, str]]) -> float:
    """Seconds without Dask."""
    return run(Local(workers), stored)


@click.command()
@click.option("--count", default=5000, show_default=True, help="Pictures.")
@click.option("--rounds", default=2, show_default=True, help="Times that each is measured; the best counts.")
def main(count: int, rounds: int) -> None:
    """Measure drawn pictures with one worker and with two, in turn."""
    stored = draw(count)
    contestants: dict[str, Callable[[], float]] = {
        f"{name} {workers}": partial(function, workers, stored)
        for name, function in (("Dask", dask), ("Local", local))
        for workers in (1, 2)
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, contestant in contestants.items():
            best[name] = min(best[name], contestant())
            print(f"{name}: {best[name]:.1f} s, {count / best[name]:.0f} pictures/s", flush=True)
    print(f"{count} pictures of 512 px, {os.cpu_count()} cores")
    print(f"two Dask workers against one: {best['Dask 1'] / best['Dask 2']:.2f}×")
    print(f"Local(2) against Local(1): {best['Local 1'] / best['Local 2']:.2f}×")
    print(f"Dask(2) takes {best['Dask 2'] / best['Local 2']:.2f}× as long as Local(2)")


if __name__ == "__main__":
    main()
