"""Leaks between collections: copies, changed copies, drawings and their coloured versions."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from lacbench.errors import InputError
from lacbench.images import Array, decode, read, render_svg, write_png
from lacbench.leaks import draw_leaks, find_leaks
from lacbench.recipe import DedupeSpec

from made import build, draw_figure


def changed(image: Array) -> dict[str, Array]:
    """Copies that look the same to anybody."""
    height, width = image.shape[:2]
    jpeg = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    return {
        "same": image,
        "small": cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA),
        "jpeg": jpeg,
        "dark": (image * 0.8).astype(np.uint8),
    }


def test_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    for seed in range(8):
        write_png(tmp_path / f"a/{seed}.png", draw_figure(seed)[0])
    for name, image in changed(draw_figure(3)[0]).items():
        write_png(tmp_path / f"b/{name}.png", image)
    write_png(tmp_path / "b/other.png", draw_figure(50)[0])
    found, files = find_leaks(tmp_path / "a", tmp_path / "b")
    assert {(leak.a, leak.b) for leak in found} == {("3.png", f"{n}.png") for n in changed(draw_figure(3)[0])}
    assert [leak.key for leak in found if leak.b == "same.png"] == ["bytes"]
    assert len(files) == len(found)


def test_a_line_art_and_its_coloured_version(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    write_png(tmp_path / "outside/x.png", draw_figure(102)[0])
    write_png(tmp_path / "outside/y.png", draw_figure(300)[0])
    (leak,), _ = find_leaks(tmp_path / "data", tmp_path / "outside")
    (line,) = [m for m in dataset.linearts if m.record.candidate.key == "linearts/102.png"]
    assert (leak.a, leak.b, leak.key) == (line.record.sha256, "x.png", "drawing")


def test_a_data_set_does_not_leak_into_itself(drawn_art: Path, tmp_path: Path) -> None:
    build(drawn_art, tmp_path / "data")
    assert find_leaks(tmp_path / "data", tmp_path / "data")[0] == ()


def test_flat_pictures_count_by_their_bytes_only(tmp_path: Path) -> None:
    for name, tone in (("a/0", 200), ("b/0", 200), ("b/1", 201)):
        write_png(tmp_path / f"{name}.png", np.full((80, 80, 3), tone, np.uint8))
    (leak,), _ = find_leaks(tmp_path / "a", tmp_path / "b")
    assert (leak.b, leak.key) == ("0.png", "bytes")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures that can be read, and no data set"):
        find_leaks(tmp_path, tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        find_leaks(tmp_path / "nowhere", tmp_path)


def test_large_pictures_are_drawn_in_little_memory(tmp_path: Path) -> None:
    write_png(tmp_path / "large.png", np.zeros((2000, 2000, 3), np.uint8))
    tracemalloc.start()
    try:
        draw_leaks([(tmp_path / "large.png", tmp_path / "large.png")] * 8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * 2000 * 2000 * 3  # all at once take sixteen times as much as one


def test_the_command_draws_them_side_by_side(tmp_path: Path) -> None:
    for seed in range(3):
        write_png(tmp_path / f"a/{seed}.png", draw_figure(seed)[0])
    write_png(tmp_path / "b/copy.png", draw_figure(1)[0])
    command = [sys.executable, "-m", "lacbench.cli.main", "leaks", "a", "b", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "pairs": [{"a": "1.png", "b": "copy.png", "distance": 0, "key": "bytes"}]
    }
    assert read(tmp_path / "leaks.jpg").shape == (160, 1280, 3)
    write_png(tmp_path / "b/copy.png", draw_figure(9)[0])
    (tmp_path / "leaks.jpg").unlink()
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert not (tmp_path / "leaks.jpg").exists()


def test_a_vector_picture_is_compared_as_it_is_rendered(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    shapes = "".join(
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="rgb({c},{255 - c},90)" stroke="black"/>'
        for x, y, r, c in random.integers(5, 95, (12, 4)).tolist()
    )
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{shapes}</svg>'.encode()
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.svg").write_bytes(drawn)
    write_png(tmp_path / "b/x.png", decode(render_svg(drawn, 300)))
    for crops in (False, True):
        (leak,), files = find_leaks(tmp_path / "a", tmp_path / "b", DedupeSpec(crops=crops))
        assert (leak.a, leak.b, leak.key) == ("x.svg", "x.png", "picture")
    assert decode(draw_leaks(files)).std() > 10
