"""What several tests make: figures, records, small data sets."""

from pathlib import Path

import cv2
import numpy as np

from lacbench.curate import build_dataset
from lacbench.progress import Silent
from lacbench.recipe import Recipe, parse_recipe
from lacbench.records import Candidate, Dataset, Record, Set, Statistics
from lacbench.sources.base import Answer, Source, Visit, Web

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


def offered(source: Source, out: Path, web: Web | None = None) -> list[Candidate]:
    """All that a source offers, from the start."""
    return [c for page in source.pages("", Visit(out, Silent(), web or NoWeb())) for c in page.candidates]


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
    told = Statistics(side, side, "PNG", 40.0, 0.5, 0.2, 0.2, phash, ink or phash, sparse)
    candidate = Candidate(source, name, set, "made up", "CC0-1.0", pair=pair, path=Path())
    return Record(name, f"images/{name[:2]}/{name}.png", candidate, told)


def flipped(hash_: bytes, bits: int) -> bytes:
    """The hash with its first `bits` bits flipped."""
    return (int.from_bytes(hash_) ^ (2**bits - 1)).to_bytes(len(hash_))
