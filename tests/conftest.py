"""Fixtures that several tests share: drawn pictures, the shared art folder, a private cache."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
ART = Path(os.environ.get("LACBENCH_ART", ROOT.parent / "shared/data/art"))


def draw_figure(seed: int, size: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """A coloured figure of a few outlined shapes, and its line drawing: uint8 (size, size, 3) RGB each."""
    random = np.random.default_rng(seed)
    color, lines = (np.full((size, size, 3), 255, np.uint8) for _ in range(2))
    corners = [random.integers(size // 10, size * 9 // 10, (5, 2)).astype(np.int32) for _ in range(5)]
    for shape in corners:
        cv2.fillPoly(color, [shape], random.integers(40, 255, 3).tolist())
    for picture in (color, lines):
        cv2.polylines(picture, corners, True, (0, 0, 0), 2, cv2.LINE_AA)
    return color, lines


@pytest.fixture(scope="session")
def art() -> Path:
    """The shared art folder: 809 real pictures with a manifest."""
    if not (ART / "manifest.json").is_file():
        pytest.skip(f"no shared art at {ART}; set LACBENCH_ART to a folder that has it")
    return ART


@pytest.fixture
def drawn_art(tmp_path: Path) -> Path:
    """A folder with 12 drawn illustrations, and 5 line arts of other figures."""
    from lacbench.images import write_png

    folder = tmp_path / "art"
    for seed in range(12):
        write_png(folder / f"illustrations/{seed:02}.png", draw_figure(seed)[0])
    for seed in range(100, 105):
        write_png(folder / f"linearts/{seed}.png", draw_figure(seed)[1])
    return folder


@pytest.fixture(autouse=True)
def _one_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands that tests start write no bytecode beside the sources and see no colours."""
    monkeypatch.setenv("NO_COLOR", "1")
