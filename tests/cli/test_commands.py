"""Commands as a shell runs them: what they print, what they exit with, what bad input is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lacbench.files import PART, sha256_file
from lacbench.images import read, write_png
from lacbench.manifest import load_dataset

from made import draw_figure, recipe_for


def lacbench(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "lacbench.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def refused(done: subprocess.CompletedProcess[str], told: str) -> None:
    """The work failed with exit status 1 and one sentence, without a traceback."""
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lacbench: ")
    assert told in last
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.fixture
def recipe(drawn_art: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_for(drawn_art).text)
    return path


def test_build_dataset_and_pairs(recipe: Path, tmp_path: Path) -> None:
    done = lacbench("build-dataset", recipe, "-o", tmp_path / "data", "--json")
    told = json.loads(done.stdout)
    assert set(told) == {"digest", "illustrations", "linearts", "dropped"}
    assert (told["illustrations"], told["linearts"], told["dropped"]) == (12, 5, {})
    assert told["digest"] == load_dataset(tmp_path / "data").digest
    assert "12 illustrations, 5 line arts" in done.stderr
    done = lacbench("pairs", tmp_path / "data", "--size", 64, "--sigma", 0.4, "--json")
    assert json.loads(done.stdout) == {"pairs": 12, "sigmas": [0.4], "size": 64}
    assert len(list((tmp_path / "data/pairs/64/0.4").iterdir())) == 12


def test_pairs_preview(recipe: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    lacbench("build-dataset", recipe, "-o", data)
    sheet = data / "pairs-preview.jpg"
    words = ("pairs", data, "--size", 128, "--sigma", 0.5, "--sigma", 0.3, "--preview", 3)
    done = lacbench(*words)
    assert done.stdout.splitlines() == [str(data / "pairs.parquet"), str(sheet)]
    image, side = read(sheet), 128 + 8
    assert image.shape == (40 + 3 * side, 3 * side, 3)
    ids = sorted(m.record.sha256 for m in load_dataset(data).illustrations)
    for row, sha256 in enumerate(ids[:3]):
        for column, sigma in ((1, 0.3), (2, 0.5)):
            drawing = read(data / f"pairs/128/{sigma}/{sha256}.png")
            top, left = 40 + row * side + 4, column * side + 4
            shown = image[top : top + 128, left : left + 128]
            assert ((shown > 127) == (drawing > 127)).mean() > 0.999  # JPEG
    told = json.loads(lacbench(*words, "--json").stdout)
    assert told == {"pairs": 24, "sigmas": [0.3, 0.5], "size": 128, "preview": str(sheet)}


def test_verify(recipe: Path, tmp_path: Path) -> None:
    lacbench("build-dataset", recipe, "-o", tmp_path / "data")
    done = lacbench("verify", tmp_path / "data", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["checked"], told["differences"]) == (0, 17, [])
    next((tmp_path / "data/images").rglob("*.png")).unlink()
    done = lacbench("verify", tmp_path / "data")
    assert done.returncode == 1
    assert done.stdout.strip().endswith("is missing")
    refused(lacbench("verify", tmp_path), "is no data set")


def test_version_help_and_wrong_usage() -> None:
    assert lacbench("--version").stdout.startswith("lacbench, version 0.")
    assert lacbench("--help").returncode == 0
    assert lacbench("no-such-command").returncode == 2
    assert lacbench("pairs", "x", "--sigma", 0).returncode == 2


def test_no_such_recipe(tmp_path: Path) -> None:
    refused(
        lacbench("build-dataset", tmp_path / "none", "-o", tmp_path / "data"), "cannot be read as a recipe"
    )


def test_no_such_data_set(tmp_path: Path) -> None:
    refused(lacbench("pairs", tmp_path), "is no data set")
    refused(lacbench("explore", tmp_path), "is no data set")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = tmp_path / "r.toml"
    path.write_text(recipe_for(tmp_path / "empty").text)
    refused(
        lacbench("build-dataset", path, "-o", tmp_path / "data"), "holds none of illustrations/*, linearts/*"
    )


def test_a_folder_without_line_art(recipe: Path, drawn_art: Path, tmp_path: Path) -> None:
    shutil.rmtree(drawn_art / "linearts")
    refused(
        lacbench("build-dataset", recipe, "-o", tmp_path / "data"), "has no linearts: expected at least one"
    )


def test_unreadable_and_huge_pictures_are_left_out(recipe: Path, drawn_art: Path, tmp_path: Path) -> None:
    (drawn_art / "illustrations/text.png").write_text("hello")
    (drawn_art / "illustrations/cut.png").write_bytes((drawn_art / "illustrations/00.png").read_bytes()[:900])
    write_png(drawn_art / "illustrations/wide.png", draw_figure(0)[0][:1].repeat(20, axis=0))
    done = lacbench("build-dataset", recipe, "-o", tmp_path / "data", "--json")
    assert json.loads(done.stdout)["dropped"] == {"unreadable": 2, "small": 1}


def test_a_file_where_the_output_should_be(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(lacbench("build-dataset", recipe, "-o", tmp_path / "file/data"), "is a file, not a folder")


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no read-only system folder here")
def test_a_read_only_output(recipe: Path) -> None:
    refused(lacbench("build-dataset", recipe, "-o", "/sys/lacbench"), "cannot write /sys/lacbench")


def test_a_full_disk_keeps_what_is_whole(recipe: Path, small_disk: Path, tmp_path: Path) -> None:
    refused(lacbench("build-dataset", recipe, "-o", small_disk / "data"), "the disk is full")
    left = [p for p in small_disk.rglob("images/*/*") if p.is_file()]
    assert left
    assert not [p for p in left if p.suffix == PART]
    assert all(p.stem == sha256_file(p) for p in left)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert lacbench("build-dataset", recipe, "-o", small_disk / "data").returncode == 0


@pytest.mark.parametrize(("stored", "wait"), [(1, 0), (137, 0.3), (137, 1.0)])
def test_ctrl_c_is_one_sentence(
    recipe: Path, drawn_art: Path, tmp_path: Path, stored: int, wait: float
) -> None:
    for seed in range(300, 420):
        write_png(drawn_art / f"illustrations/{seed}.png", draw_figure(seed)[0])
    command = [sys.executable, "-m", "lacbench.cli.main", "build-dataset", str(recipe),
               "-o", str(tmp_path / "data"), "--workers", "2"]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **pipes) as process:
        while len(list((tmp_path / "data").glob("images/*/*"))) < stored:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        _, told = process.communicate(timeout=60)
    assert "Traceback" not in told
    if process.returncode != -signal.SIGINT:  # else the work was done, and Python itself about to end
        assert process.returncode == 130
        assert told.strip().endswith("lacbench: interrupted; the same command goes on from here")
    else:
        assert (tmp_path / "data/card.md").is_file()
    assert lacbench("build-dataset", recipe, "-o", tmp_path / "data").returncode == 0


def test_prepare(recipe: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    lacbench("build-dataset", recipe, "-o", data)
    lacbench("pairs", data, "--size", 64)
    refused(lacbench("prepare", data), "drawn at 512 pixels, but at 64; draw them: `lacbench pairs")
    done = lacbench("prepare", data, "--size", 64, "--json")
    assert json.loads(done.stdout) == {"prepared": str(data / "prepared/64"), "size": 64}
    assert "pictures at 64 px, 0.00 GiB" in done.stderr
    again = lacbench("prepare", data, "--size", 64)
    assert again.stdout.strip() == str(data / "prepared/64")
    assert "are there already" in again.stderr
