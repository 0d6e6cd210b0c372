"""What tests of the report share: a small data set, score cards, and a reader of pages."""

from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.images import read, write_png
from lacbench.pairs import make_pairs
from lacbench.recipe import parse_recipe
from lacbench.records import Dataset, Member
from lacbench.scorecard import ScoreCard

RECIPE = """
name = "Drawn & <b>bold</b>"
[[sources]]
name = "twins"
kind = "folder"
folder = '{folder}'
license = "CC0-1.0"
illustrations = ["color/*.png"]
linearts = ["lines/*.png"]
pairs = true
[[sources]]
name = "drawn"
kind = "folder"
folder = '{folder}'
license = "CC0-1.0"
illustrations = ["illustrations/*.png"]
linearts = ["linearts/*.png"]
"""


def draw(seed: int, size: int = 220) -> tuple[np.ndarray, np.ndarray]:
    """A picture of outlined blobs and its line drawing: uint8 (size, size, 3) RGB each."""
    random = np.random.default_rng(seed)
    color, lines = (np.full((size, size, 3), 255, np.uint8) for _ in range(2))
    for _ in range(6):
        centre, axes = random.integers(30, size - 30, 2).tolist(), random.integers(12, 60, 2).tolist()
        cv2.ellipse(color, centre, axes, 0, 0, 360, random.integers(40, 255, 3).tolist(), -1)
        for picture in (color, lines):
            cv2.ellipse(picture, centre, axes, 0, 0, 360, (0, 0, 0), 2)
    return color, lines


def make_dataset(folder: Path) -> Dataset:
    """A true pair, seven illustrations, two line arts; a grey picture and a repeat are dropped."""
    art = folder / "art0"
    for name, picture in zip(("color", "lines"), draw(0), strict=True):
        write_png(art / name / "bird.png", picture)
    for seed in range(1, 8):
        write_png(art / f"illustrations/{seed}.png", draw(seed)[0])
    write_png(art / "illustrations/faded.png", draw(50)[1] // 2 + 100)
    write_png(art / "illustrations/again.png", cv2.resize(draw(3)[0], (210, 210)))
    for seed in (100, 101):
        write_png(art / f"linearts/{seed}.png", draw(seed)[1])
    data = folder / "work" / "data"
    built = build_dataset(parse_recipe(RECIPE.format(folder=art)), data, Local(1))
    make_pairs(built, (0.3, 0.5), 64, Local(1))
    assert built.dropped() == {"duplicate": 1, "grey": 1} and len(built.linearts) == 3
    return built


def truth_of(dataset: Dataset) -> Member:
    return next(m for m in dataset.linearts if dataset.truth(m))


def card(folder: Path, dataset: Dataset, name: str = "grey", value: float = 120.5, n: int = 3) -> ScoreCard:
    """A score card whose submission has an output for every line art."""
    for member in dataset.linearts:
        write_png(folder / name[:4] / f"{member.record.sha256}.png", read(dataset.file(member)) // 2)
    fid = {"metric": "fid", "value": value, "better": "lower", "standard_error": 3.0,
           "interval": [value - 6, value + 6],
           "n": [n, n + 5], "protocol": "pytorch-fid", "weights_sha256": "ab" * 32,
           "digests": ["cd" * 32, "ef" * 32]}  # fmt: skip
    return ScoreCard(name, folder / name[:4], True, dataset.digest, {"fid": fid})


class Reader(HTMLParser):
    """Collects a page's elements and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += "".join(f"{word} " for word in data.split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def figure(
    value: float | None, error: float | None = None, n: object = 3, **more: object
) -> dict[str, object]:
    interval = None if value is None or error is None else [value - 2 * error, value + 2 * error]
    return {"value": value, "standard_error": error, "interval": interval, "n": n, "better": "higher", **more}
