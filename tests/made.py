"""What several tests make: figures, records, small data sets."""

from pathlib import Path

import cv2
import numpy as np

from lacbench.curate import build_dataset
from lacbench.images import Picture, write_png
from lacbench.progress import Silent
from lacbench.recipe import Recipe, parse_recipe
from lacbench.records import Candidate, Dataset, Record, Set, Statistics
from lacbench.sources.base import Answer, Source, Visit, Web
from lacbench.store import statistics as measure_picture

ZERO, FAR, FARTHER = bytes(32), b"\xf0" * 32, b"\x0f" * 32
"""Hashes that lie far apart."""


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


def recipe_for(folder: Path, extra: str = "") -> Recipe:
    return parse_recipe(
        f"""
name = "drawn"
seed = 1
{extra}
[[sources]]
name = "art"
kind = "folder"
folder = "{folder}"
license = "CC0-1.0"
illustrations = ["illustrations/*"]
linearts = ["linearts/*"]
"""
    )


def build(folder: Path, out: Path, **options: object) -> Dataset:
    return build_dataset(recipe_for(folder), out, **options)


class NoWeb:
    """The way to sites of a test that asks none."""

    def ask(self, url: str, *_: object, **__: object) -> Answer:
        raise AssertionError(f"{url} was asked")


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def offered(source: Source, out: Path, web: Web | None = None) -> list[Candidate]:
    """All that a source offers, from the start."""
    return [c for page in source.pages("", Visit(out, Silent(), web or NoWeb())) for c in page.candidates]


def build_pairs(folder: Path, pairs: int, others: int) -> Dataset:
    """A data set of so many drawn true pairs, and of so many illustrations of other figures."""
    for seed in range(pairs + others):
        color, lines = draw_figure(seed)
        write_png(folder / f"{'color' if seed < pairs else 'others'}/{seed}.png", color)
        if seed < pairs:
            write_png(folder / f"lines/{seed}.png", lines)
    source = f"kind = 'folder'\nfolder = '{folder}'\nlicense = 'CC0-1.0'\n"
    recipe = (
        f"name = 'drawn'\n[[sources]]\nname = 'pairs'\n{source}illustrations = ['color/*']\n"
        "linearts = ['lines/*']\npairs = true\n"
        f"[[sources]]\nname = 'others'\n{source}illustrations = ['others/*']\n"
    )
    return build_dataset(parse_recipe(recipe), folder / "data")


def record(
    name: str,
    phash: bytes,
    *,
    set: Set = "illustrations",
    side: int = 300,
    ink: bytes | None = None,
    sparse: bool = False,
    pair: str = "",
    source: str = "a",
) -> Record:
    """A record of made-up measures; its sha256 is its name."""
    told = statistics(side, phash=phash, ink_hash=ink or phash, sparse=sparse)
    candidate = Candidate(source, name, set, "made up", "CC0-1.0", pair=pair, path=Path())
    return Record(name, f"images/{name[:2]}/{name}.png", candidate, told)


def statistics(side: int = 300, **told: object) -> Statistics:
    """Those of a colour illustration that every filter keeps, but for what is told."""
    usual = {
        "width": side, "height": side, "format": "PNG", "frames": 1, "transparency": 0.0, "border": 0.0,
        "colorfulness": 40.0, "paper": 0.5, "ink": 0.2, "hues": 0.2, "chroma": 20.0, "solid": 0.4,
        "shading": 0.3, "reach": 0.5, "phash": ZERO, "ink_hash": ZERO, "sparse": False,
    }  # fmt: skip
    return Statistics(**{**usual, **told})


def measured(image: np.ndarray, set: Set, key: str = "x") -> Record:
    """A record of a picture, as the store would measure it from a PNG."""
    candidate = Candidate("made", key, set, "made", "CC0-1.0")
    return Record(key, key, candidate, measure_picture(Picture(image, "PNG", 1, 0.0)))


def flipped(hash_: bytes, bits: int) -> bytes:
    """The hash with its first `bits` bits flipped."""
    return (int.from_bytes(hash_) ^ (2**bits - 1)).to_bytes(len(hash_))
