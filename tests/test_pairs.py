"""XDoG pairs on disk: the right drawing of the right picture, one bit, resumable."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacbench.engine import Local
from lacbench.errors import InputError
from lacbench.files import PART
from lacbench.images import read, resize_shortest
from lacbench.manifest import load_dataset, load_pairs, save_dataset
from lacbench.pairs import IDLE, make_pairs
from lacbench.xdog import xdog

from made import build


def test_drawings_are_made_after_the_resize(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    pairs = make_pairs(dataset, (0.5, 0.3), size=128)
    assert load_pairs(dataset.folder) == pairs
    assert len(pairs) == 12 * 2
    files = {m.record.sha256: dataset.file(m) for m in dataset.illustrations}
    for pair in pairs:
        expected = xdog(resize_shortest(read(files[pair.sha256]), 128), pair.sigma)
        with Image.open(dataset.folder / pair.path) as drawing:
            assert drawing.mode == "1"
            assert np.array_equal(np.asarray(drawing.convert("L")), expected)
        assert (pair.height, pair.width) == expected.shape


def test_a_second_run_keeps_the_files_and_workers_change_nothing(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    pairs = make_pairs(dataset, size=64, engine=Local(workers=1))
    files = [dataset.folder / p.path for p in pairs]
    kept = [f for f in files if pairs[0].sha256 not in f.name]
    before = {f: f.stat().st_mtime_ns for f in kept}
    content = {f: f.read_bytes() for f in files}
    files[0].unlink()
    assert make_pairs(dataset, size=64, engine=Local(workers=2, chunk=2)) == pairs
    assert {f: f.read_bytes() for f in files} == content
    assert {f: f.stat().st_mtime_ns for f in kept} == before


def test_no_illustrations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no illustrations to draw lines of"):
        make_pairs(save_dataset(tmp_path, [], [], [], ""))


def test_other_sizes_stay_listed_and_old_pictures_do_not(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    make_pairs(dataset, (0.3,), size=64)
    make_pairs(dataset, (0.5,), size=64)
    make_pairs(dataset, (0.5,), size=128)
    listed = {(p.size, p.sigma) for p in load_pairs(dataset.folder)}
    assert listed == {(64, 0.3), (64, 0.5), (128, 0.5)}
    gone = drawn_art / "illustrations/00.png"
    gone.unlink()
    smaller = build(drawn_art, tmp_path / "data")
    make_pairs(smaller, (0.5,), size=128)
    assert {p.sha256 for p in load_pairs(dataset.folder)} == {m.record.sha256 for m in smaller.illustrations}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of the pairs, and their list."""
    files = [p for p in (folder / "pairs").rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in [*files, folder / "pairs.parquet"]}


def alive(worker: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    stat = Path(f"/proc/{worker}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc to find worker processes in")
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(drawn_art: Path, tmp_path: Path) -> None:
    undisturbed = build(drawn_art, tmp_path / "undisturbed").folder
    make_pairs(load_dataset(undisturbed), size=512, engine=Local(workers=1))
    expected = tree(undisturbed)
    data = build(drawn_art, tmp_path / "data").folder
    command = [sys.executable, "-m", "lacbench.cli.main", "pairs", str(data), "--workers", "2"]
    draw, cut_off = random.Random(1), []
    for more in (1, 6, 12):
        before = len(list(data.glob("pairs/512/*/*.png")))
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while len(list(data.glob("pairs/512/*/*.png"))) < before + more and process.poll() is None:
                time.sleep(0.002)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            time.sleep(draw.uniform(0, 0.02))
            process.kill()
        deadline = time.monotonic() + 20
        while any(alive(int(child)) for child in children) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert children
        assert not any(alive(int(child)) for child in children), "workers outlive the command"
        for file in data.glob("pairs/512/*/*.png"):
            assert file.read_bytes() == expected[str(file.relative_to(data))]
        cut_off.append(len(list(data.glob("pairs/512/*/*.png"))) < len(expected) - 1)
    assert any(cut_off), "no kill came in time"
    left = data / f"pairs/512/0.3/.left.png.by-a-kill{PART}"
    left.write_bytes(b"half")
    for half in data.glob(f"pairs/**/.*{PART}"):
        os.utime(half, (time.time() - 2 * IDLE,) * 2)
    assert subprocess.run([*command, "--json"], capture_output=True, text=True).returncode == 0
    assert tree(data) == expected
