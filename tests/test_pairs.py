"""XDoG pairs on disk: the right drawing of the right picture, one bit, resumable."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacbench.engine import Local
from lacbench.errors import InputError
from lacbench.images import read, resize_shortest
from lacbench.manifest import load_pairs, save_dataset
from lacbench.pairs import make_pairs
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
