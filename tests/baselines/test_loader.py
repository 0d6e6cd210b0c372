"""Batches made ahead, or taken on the device: the same ones, in order, and nothing left running."""

import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.baselines.alacgan.checkpoint import load_tensors
from lacbench.baselines.alacgan.config import FREE, Config, make_config
from lacbench.baselines.alacgan.data import Batch, Crops, make_batch, make_crops
from lacbench.baselines.alacgan.examples import Example, pack
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.loader import AHEAD, Loader, open_loader
from lacbench.baselines.alacgan.prepare import prepare
from lacbench.baselines.alacgan.resident import Resident, shrink
from lacbench.baselines.alacgan.trainer import CHECKPOINT, train
from lacbench.errors import InputError, MissingError
from lacbench.pairs import make_pairs

from made import build, draw_figure

CONFIG = make_config("tiny", {"batch": 4})


def example(seed: int, height: int, width: int) -> Example:
    color, lines = draw_figure(seed, 150)
    black = np.where(lines[:height, :width, 0] > 128, 255, 0).astype(np.uint8)
    return Example(color[:height, :width], (black, 255 - black))


EXAMPLES = [example(s, 128 + s % 3, 130 - s % 2) for s in range(6)]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("loader")]


def same(one: Batch, two: Batch) -> bool:
    return all(torch.equal(getattr(one, n).cpu(), getattr(two, n)) for n in ("color", "line_art", "hint"))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_are_the_same_for_any_number_of_threads(threads: int) -> None:
    config = CONFIG.model_copy(update={"loaders": threads})
    with open_loader(EXAMPLES, config) as loader:
        for number in (*range(7, 20), 3, 4, 5, 5, 100):  # as after a resume; and whoever begins elsewhere
            assert same(loader(number), make_batch(EXAMPLES, CONFIG, number))


def test_processes_have_their_shares() -> None:
    config = CONFIG.model_copy(update={"loaders": 1})
    for rank in range(2):
        with open_loader(EXAMPLES, config, rank=rank, world=2) as loader:
            assert same(loader(4), make_batch(EXAMPLES, CONFIG, 4, rank, 2))
    with pytest.raises(InputError, match="a batch of 4 cannot be shared equally by 3 processes"):
        open_loader(EXAMPLES, config, rank=0, world=3)


def test_no_more_is_made_ahead_than_is_told() -> None:
    made: list[int] = []

    def make(number: int) -> Crops:
        made.append(number)
        return make_crops(EXAMPLES, CONFIG, number)

    with Loader(make, 2) as loader:
        for number in range(5):
            loader(number)
            time.sleep(0.05)
            assert sorted(made) == list(range(len(made)))
            assert len(made) == number + 2 * AHEAD + 1


def fail_at_three(number: int) -> Crops:
    if number == 3:
        raise InputError("picture three is missing; draw it again")
    return make_crops(EXAMPLES, CONFIG, number)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_out_as_it_is_when_its_batch_is_due(threads: int) -> None:
    with (
        pytest.raises(InputError, match=r"^picture three is missing; draw it again"),
        Loader(fail_at_three, threads) as loader,
    ):
        for number in range(4):
            assert same(loader(number), make_batch(EXAMPLES, CONFIG, number))


def test_the_time_that_is_waited_is_counted() -> None:
    def slow(number: int) -> Crops:
        time.sleep(0.05)
        return make_crops(EXAMPLES, CONFIG, number)

    waited = []
    for threads in (0, 2):
        with Loader(slow, threads) as loader:
            loader(0)
            before = loader.waited
            for number in range(1, 5):
                time.sleep(0.1)  # what a step takes
                loader(number)
            waited.append(loader.waited - before)
    assert waited[0] > 0.2
    assert waited[1] < 0.1


INTERRUPTED = """
import sys, threading
sys.path[:0] = sys.argv[1:]
from test_loader import EXAMPLES, CONFIG
from lacbench.baselines.alacgan.loader import open_loader
try:
    with open_loader(EXAMPLES, CONFIG.model_copy(update={"loaders": 2})) as loader:
        print("begun", flush=True)
        number = 0
        while True:
            loader(number)
            number += 1
except KeyboardInterrupt:
    print(threading.active_count(), "left")
"""


def test_ctrl_c_leaves_nothing_running() -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", INTERRUPTED, str(here), str(here.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        told, wrong = process.communicate(timeout=20)
    assert (told, wrong, process.returncode) == ("1 left\n", "", 0)


@pytest.mark.parametrize("hint_image", ["aligned", "independent"])
@pytest.mark.parametrize("packed", [False, True])
def test_crops_taken_on_the_device_are_the_same(hint_image: str, packed: bool) -> None:
    config = CONFIG.model_copy(update={"hint_image": hint_image, "resident": True})
    held = [Example(e.color, pack(e.lines)) if packed else e for e in EXAMPLES]
    with open_loader(held, config) as loader:
        for number in range(12):
            assert same(loader(number), make_batch(EXAMPLES, config, number))
    with open_loader(held, config, rank=1, world=2) as loader:
        assert same(loader(3), make_batch(EXAMPLES, config, 3, 1, 2))


@given(st.integers(4, 64), st.floats(3.5, 4), st.floats(3.5, 4), st.integers(0, 10**6))
@settings(max_examples=60)
def test_shrinking_on_the_device_is_opencvs(side: int, down: float, across: float, seed: int) -> None:
    shape = round(side * down), round(side * across), 3
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    wanted = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    got = shrink(torch.from_numpy(image), side).numpy()
    assert np.abs(got.astype(int) - wanted).max() <= 1
    if platform.machine() == "x86_64":  # elsewhere OpenCV's compiler may fuse multiplication and addition
        assert np.array_equal(got, wanted)


def small(**changes: object) -> Config:
    return make_config(
        "tiny",
        {
            "size": 64, "generator_width": 4, "groups": [2, 2, 2, 2], "dilations": [[1], [2], [1], [1]],
            "critic_groups": 2, "critic_width": 4, "local_features": "none", "batch": 2, "steps": 3,
            "log_every": 1, "save_every": 3, **changes,
        },
    )  # fmt: skip


def test_a_run_is_the_same_however_its_batches_are_made(drawn_art: Path, tmp_path: Path) -> None:
    """From pictures and from shards, in the training process, ahead, and on the device."""
    assert set(FREE) >= {"loaders", "resident"}
    dataset = build(drawn_art, tmp_path / "data")
    pairs = make_pairs(dataset, size=64)
    torch.manual_seed(1)
    frozen = Frozen(Perceptual().requires_grad_(False).eval(), None)
    runs = []
    for number, way in enumerate(({}, {"loaders": 2}, {"loaders": 2}, {"resident": True})):
        if number == 2:
            prepare(dataset, pairs, 64)
        runs.append(
            train(dataset, pairs, small(**way), tmp_path / f"run{number}", frozen=frozen) / CHECKPOINT
        )
    first, *others = (load_tensors(run, "generator") for run in runs)
    assert len(others) == 3
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    return torch.device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("way", [{"loaders": 0}, {"loaders": 2}, {"resident": True}])
@pytest.mark.parametrize("preset", ["official", "paper"])
def test_batches_on_a_gpu_are_those_of_the_cpu(cuda: torch.device, way: dict, preset: str) -> None:
    changes = {"size": 128, "crop": 128}
    config = make_config(preset, {**changes, **way})
    with open_loader(EXAMPLES, config, cuda) as loader:
        for number in range(50):
            batch = loader(number)
            assert batch.color.device.type == "cuda"
            assert same(batch, make_batch(EXAMPLES, config, number))


@pytest.mark.gpu
def test_pictures_that_do_not_fit_on_the_gpu_are_one_sentence(cuda: torch.device) -> None:
    whole = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (2**20, 2**17, 3))  # takes no memory here
    huge = Example(whole, (whole[..., 0],))
    with pytest.raises(MissingError, match="the training pictures have 4"):
        Resident([huge], cuda)
