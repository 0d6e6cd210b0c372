"""Features by several processes: the very bytes of one, and a sentence where they do not find each other."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lacbench.errors import InputError, MissingError
from lacbench.metrics.features import cached_features
from lacbench.metrics.fid import fid, take_share
from lacbench.metrics.protocols import PROTOCOLS, FeatureProtocol
from lacbench.metrics.shares import Share
from lacbench.metrics.sources import Pictures
from lacbench.metrics.statistics import blocks


def drawn(folder: Path, n: int, seed: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(seed)
    for i in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3)).astype(np.uint8))
        coarse.resize((64, 80), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def kept(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "features").iterdir()}


@pytest.fixture
def away(random_cache: Path) -> Path:
    """The cache folder without features or statistics."""
    for path in (*random_cache.glob("features/*"), *random_cache.glob("statistics/*")):
        path.unlink()
    return random_cache


def small(passes: int) -> FeatureProtocol:
    """A protocol whose features are cheap."""

    def build(_: object) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())

    return replace(PROTOCOLS["pytorch-fid"], name="small", build=build, passes=passes, dimensions=12)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize(("n", "world"), [(5, 2), (3, 3), (2, 3)])
def test_shares_make_the_file_of_one_process(
    passes: int, n: int, world: int, tmp_path: Path, away: Path
) -> None:
    protocol, pictures = small(passes), Pictures.of(drawn(tmp_path / "p", n, 1).iterdir())
    cached_features(pictures, protocol=protocol)
    alone = kept(away)
    for path in away.glob("features/*"):
        path.unlink()
    for rank in reversed(range(world)):
        got = cached_features(pictures, protocol=protocol, share=Share(rank, world))
    assert kept(away) == alone and len(got) == passes * n
    assert len(cached_features(pictures, protocol=protocol, share=Share(1, world))) == len(got)


def test_torchrun_gives_the_figure_of_one_process(tmp_path: Path, away: Path) -> None:
    folders = drawn(tmp_path / "a", 5, 1), drawn(tmp_path / "b", 4, 2)
    words = ["lacbench.cli.main", "fid", *map(str, folders), "--json"]
    loopback = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    two = ["torch.distributed.run", "--nproc-per-node", "2", *loopback, "-m"]
    said, features = [], []
    for start in (two, []):
        for path in away.glob("features/*"):
            path.unlink()
        done = subprocess.run(
            [sys.executable, "-m", *start, *words],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
        features.append(kept(away))
    assert said[0] == said[1] and said[0].count("value") == 1
    assert features[0] == features[1] and len(features[0]) == 2


def test_the_others_take_their_share_of_every_set(tmp_path: Path, away: Path) -> None:
    folders, protocol = (drawn(tmp_path / "a", 3, 1), drawn(tmp_path / "b", 2, 2)), small(1)
    alone = fid(*folders, protocol=protocol)
    for path in away.glob("features/*"):
        path.unlink()
    take_share(*folders, protocol=protocol, share=Share(1, 2))
    assert len(kept(away)) == 2
    assert fid(*folders, protocol=protocol, share=Share(0, 2)) == alone
    assert len(kept(away)) == 2 and not list(away.glob("features/*-of-*"))


def test_a_process_that_does_not_come_is_a_sentence(
    tmp_path: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacbench.metrics.shares.PATIENCE", 0.3)
    pictures = Pictures.of(drawn(tmp_path / "p", 2, 3).iterdir())
    with pytest.raises(MissingError, match=r"1-of-2\.npy did not appear in .* \(LACBENCH_CACHE\)"):
        cached_features(pictures, protocol=small(1), share=Share(0, 2))


def test_what_torchrun_tells_is_read_and_nonsense_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert Share.of_environment() == Share(0, 1)
    for name, value in zip(names, ("3", "4", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert Share.of_environment() == Share(3, 4, 1)
    assert [Share(0, 3).of(7, rank) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 7)]
    for value in ("4", "-1", "x", ""):
        monkeypatch.setenv("RANK", value)
        with pytest.raises(InputError, match="as torchrun sets them"):
            Share.of_environment()


def test_each_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Share().place("cuda") == "cuda" and Share(1, 2, 1).place("cpu") == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [Share(1, 2, 1).place(name) for name in ("cuda", "auto", "cuda:0")] == [
        "cuda:1",
        "cuda:1",
        "cuda:0",
    ]
    with pytest.raises(MissingError, match="process 2 of this machine has no CUDA device of its own"):
        Share(2, 3, 2).place("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert Share(1, 2, 1).place("auto") == "cpu"


def test_blocks_of_a_slice_of_a_mapped_file_are_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.arange(40, dtype=np.float32).reshape(20, 2))
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    for part in (mapped, mapped[5:], mapped[3:9], mapped[::2]):
        np.testing.assert_array_equal(np.concatenate(list(blocks(part, 4))), np.array(part))
