"""Prepared pictures: the same batches, resumable, never stale, never holding what was taken out."""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lacbench.baselines.alacgan import prepare as shards
from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.alacgan.data import make_batch
from lacbench.baselines.alacgan.examples import Packed, choose_pairs, load_examples
from lacbench.baselines.alacgan.prepare import open_examples, plan_shards, prepare, prepared_folder
from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.errors import InputError, IntegrityError, OutputError
from lacbench.files import PART
from lacbench.images import write_png
from lacbench.manifest import load_dataset, load_pairs, save_dataset
from lacbench.pairs import make_pairs
from lacbench.prepared import INDEX
from lacbench.prune import prune
from lacbench.records import Dataset, Pair
from lacbench.verify import verify

from made import Listener, build, draw_figure, recipe_for

SIZE = 72
"""No multiple of 8 wide: the last byte of a row of bits is not full."""
HERE = Local(1)


@pytest.fixture
def data(drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Twelve illustrations of which some are wide or tall, with pairs; two pictures a shard."""
    monkeypatch.setattr(shards, "PICTURES", 2)
    write_png(drawn_art / "illustrations/00.png", draw_figure(0, 300)[0][:220])
    write_png(drawn_art / "illustrations/01.png", draw_figure(1, 300)[0][:, :215])
    dataset = build(drawn_art, tmp_path / "data")
    make_pairs(dataset, size=SIZE, engine=HERE)
    return dataset


def chosen(dataset: Dataset) -> dict[str, list[Pair]]:
    return choose_pairs(dataset, load_pairs(dataset.folder), SIZE)


def prepared(dataset: Dataset, listener: Listener | None = None, engine: Local = HERE) -> Path:
    return prepare(dataset, load_pairs(dataset.folder), SIZE, engine, listener)


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_prepared(dataset: Dataset) -> bool:
    return isinstance(open_examples(dataset, chosen(dataset))[0].lines, Packed)


@pytest.mark.parametrize("preset", ["official", "paper"])
def test_the_batches_are_those_of_the_pictures(data: Dataset, preset: str) -> None:
    config = make_config(preset, {"size": SIZE, "crop": 64})
    plain = open_examples(data, chosen(data))
    prepared(data)
    mapped = open_examples(data, chosen(data))
    assert all(isinstance(e.lines, Packed) and not e.color.flags.owndata for e in mapped)
    assert {e.color.shape[:2] for e in mapped} > {(72, 72)}
    for a, b in zip(plain, mapped, strict=True):
        assert a.shape == b.shape
        assert np.array_equal(a.color, b.color)
        assert all(np.array_equal(a.lines[i], b.lines[i]) for i in range(3))
    for number in range(6):
        one, two = (make_batch(examples, config, number) for examples in (plain, mapped))
        assert all(torch.equal(getattr(one, n), getattr(two, n)) for n in ("color", "line_art", "hint"))


def test_a_second_run_finds_it_done_and_workers_change_nothing(data: Dataset) -> None:
    folder, listener = prepared(data), Listener()
    before, bytes_before = times(folder), content(folder)
    assert prepared(data, listener) == folder == prepared_folder(data, SIZE)
    assert times(folder) == before
    assert "are there already" in listener.said[-1]
    for path in folder.iterdir():
        path.unlink()
    prepared(data, engine=Local(2, chunk=1))
    assert content(folder) == bytes_before
    assert sum(map(len, bytes_before.values())) < 12 * 72 * 100 * 3.4 + 20_000  # 1 bit a pixel for the lines


KILLED = """
import os, signal, sys
from pathlib import Path
from lacbench.baselines.alacgan import prepare
from lacbench.engine import Local
from lacbench.manifest import load_dataset, load_pairs

calls, read = [], prepare.read_example
def read_or_die(*told):
    calls.append(told)
    if len(calls) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(*told)

prepare.PICTURES, prepare.read_example = 2, read_or_die
folder = Path(sys.argv[1])
prepare.prepare(load_dataset(folder), load_pairs(folder), int(sys.argv[2]), Local(1))
"""


def test_killed_in_the_middle_of_a_shard_it_goes_on_from_there(data: Dataset) -> None:
    whole = prepared(data)
    wanted = content(whole)
    for path in whole.iterdir():
        path.unlink()
    done = subprocess.run([sys.executable, "-c", KILLED, str(data.folder), str(SIZE)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    left = times(whole)
    assert sorted(n for n in left if not n.endswith(PART)) == ["00000.shard", "00001.shard"]
    assert any(name.endswith(PART) for name in left)
    assert not is_prepared(data)
    prepared(data)
    assert content(whole) == wanted
    assert all(times(whole)[name] == left[name] for name in ("00000.shard", "00001.shard"))


def test_changed_pairs_are_not_used_and_are_made_anew(data: Dataset) -> None:
    folder, listener = prepared(data), Listener()
    before = content(folder)
    make_pairs(data, (0.7,), SIZE, HERE)
    open_examples(data, chosen(data), listener)
    assert "is of other data or another version, and is not used; make it anew" in listener.said[-1]
    assert not is_prepared(data)
    prepared(data)
    assert is_prepared(data)
    assert len(open_examples(data, chosen(data))[0].lines) == 4
    assert not set(before.values()) & set(content(folder).values())


def test_shards_that_no_longer_belong_are_taken_away(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(data)
    monkeypatch.setattr(shards, "PICTURES", 12)
    prepared(data)
    assert set(times(folder)) == {"00000.shard", INDEX}
    assert is_prepared(data)


def test_a_shard_cut_short_of_another_version_or_gone_is_one_sentence(data: Dataset) -> None:
    folder = prepared(data)
    shard, whole = folder / "00001.shard", (folder / "00001.shard").read_bytes()
    for harm, told in (
        (whole[:-1], r"has [\d,]+ bytes, expected [\d,]+: it was cut short; make it anew: lacbench prepare"),
        (whole + b"x", "it was cut short"),
        (whole[:100], "is no shard"),
        (b"", "is no shard"),
        (whole.replace(b'shard": 1', b'shard": 0', 1), "another version"),
        ((folder / "00000.shard").read_bytes(), "is no shard, or one of other pairs"),
        (None, "cannot be read: No such file"),
    ):
        shard.unlink(missing_ok=True)
        if harm is not None:
            shard.write_bytes(harm)
        with pytest.raises(IntegrityError, match=told):
            open_examples(data, chosen(data))
        prepared(data)
        assert shard.read_bytes() == whole


def test_an_index_that_is_broken_or_of_another_version_is_not_believed(data: Dataset) -> None:
    folder = prepared(data)
    told = json.loads((folder / INDEX).read_text())
    for text in ("", "[]", "{}", json.dumps({**told, "version": 0}), json.dumps({**told, "data": "0"})):
        (folder / INDEX).write_text(text)
        assert not is_prepared(data)
        prepared(data)
        assert is_prepared(data)


@pytest.mark.parametrize("harm", ["missing", "shape", "bytes"])
def test_pairs_that_do_not_fit_are_refused_and_leave_nothing_whole(data: Dataset, harm: str) -> None:
    sha256, pairs = list(chosen(data).items())[-1]
    if harm == "missing":
        (data.folder / pairs[1].path).unlink()
    elif harm == "shape":
        write_png(data.folder / pairs[1].path, np.zeros((9, 9), np.uint8))
    else:
        write_png(data.stored(sha256), draw_figure(77)[0])
    with pytest.raises((InputError, IntegrityError), match=f"{sha256}.png (is missing|has shape|has other)"):
        prepared(data, engine=Local(2, chunk=1))
    folder = prepared_folder(data, SIZE)
    assert not (folder / INDEX).exists()
    assert not [name for name in times(folder) if name.endswith(PART)]


def test_nothing_to_train_on(data: Dataset, tmp_path: Path) -> None:
    none = save_dataset(tmp_path / "none", [], data.linearts, [], "")
    with pytest.raises(InputError, match="has no illustrations to train on"):
        prepare(none, [], SIZE)
    with pytest.raises(InputError, match="no training pairs drawn at 99 pixels, but at 72"):
        prepare(data, load_pairs(data.folder), 99)


def test_pruned_works_are_in_no_prepared_copy(data: Dataset, tmp_path: Path) -> None:
    folder = prepared(data)
    gone, needless = min(chosen(data)), tmp_path / "needless.txt"
    needless.write_text(f"sha256: {'0' * 64}\n")
    prune(data.folder, needless)
    assert is_prepared(data)
    (tmp_path / "rules.txt").write_text(f"sha256: {gone}\n")
    pruned = prune(data.folder, tmp_path / "rules.txt").dataset
    assert not folder.exists()
    prepared(pruned)
    assert gone not in json.loads((folder / INDEX).read_text())["pictures"]
    assert is_prepared(pruned)


def test_a_killed_run_leaves_no_copy_that_prune_does_not_find(data: Dataset, tmp_path: Path) -> None:
    folder = prepared(data)
    (folder / INDEX).unlink()
    (tmp_path / "rules.txt").write_text(f"sha256: {min(chosen(data))}\n")
    prune(data.folder, tmp_path / "rules.txt")
    assert not folder.exists()


def test_works_excluded_by_a_build_go_too(data: Dataset, drawn_art: Path) -> None:
    folder = prepared(data)
    (data.folder / "excluded.txt").write_text(f"sha256: {min(chosen(data))}\n")
    build_dataset(recipe_for(drawn_art), data.folder, HERE)
    assert not folder.exists()


def test_a_data_set_that_changes_meanwhile_is_said(data: Dataset) -> None:
    folder, before = prepared(data), load_dataset(data.folder)
    (folder / INDEX).unlink()
    members = [m for m in data.illustrations if m.record.sha256 != min(chosen(data))]
    save_dataset(data.folder, members, data.linearts, data.ledger, data.recipe)
    with pytest.raises(InputError, match="changed while it was being prepared; prepare it again"):
        prepared(before)
    assert not folder.exists()


def test_builds_and_verify_leave_it_alone(data: Dataset, drawn_art: Path) -> None:
    folder = prepared(data)
    before = content(folder)
    assert verify(data.folder, HERE).differences == ()
    build_dataset(recipe_for(drawn_art), data.folder, HERE)
    assert content(folder) == before
    assert is_prepared(load_dataset(data.folder))


def test_shards_grow_with_the_data_set(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is an open file; a process may open about a thousand."""
    monkeypatch.setattr(shards, "MOST_SHARDS", 3)
    (first, *_) = chosen(data).values()
    many = {str(i): [replace(p, sha256=str(i)) for p in first] for i in range(100)}
    members = tuple(
        replace(data.illustrations[0], record=replace(data.illustrations[0].record, sha256=s)) for s in many
    )
    plan = plan_shards(replace(data, illustrations=members), many)
    assert [len(shard.groups) for shard in plan] == [34, 34, 32]


def test_a_full_disk_is_said_and_a_larger_one_goes_on(data: Dataset) -> None:
    """The place for the copies is a file system too small for them; only root can make one."""
    place = data.folder / "prepared"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(OutputError, match="the disk is full: free some room"):
            prepared(data)
        left = set(times(place / str(SIZE)))
        assert left
        assert left <= {shard.name for shard in plan_shards(data, chosen(data))}
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        prepared(data)
        assert is_prepared(data)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_file_that_may_not_grow_is_said(data: Dataset) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*00000.shard: File too large"):
            prepared(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(prepared_folder(data, SIZE).iterdir())


def test_it_needs_no_pytorch_in_workers() -> None:
    told = "import lacbench.baselines.alacgan.prepare, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_load_examples_is_what_open_examples_does_without_them(data: Dataset) -> None:
    loaded, opened = load_examples(data, chosen(data)), open_examples(data, chosen(data))
    assert all(np.array_equal(a.color, b.color) for a, b in zip(loaded, opened, strict=True))
