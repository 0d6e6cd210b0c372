"""Pictures to learn from, with their line drawings; and which of a data set's they are. Needs no PyTorch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lacbench.errors import InputError, IntegrityError
from lacbench.files import sha256_bytes, sha256_json
from lacbench.images import Array, decode, read_bytes, resize_shortest, to_grey
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair


class Drawings(Protocol):
    """Line drawings of one picture, by number: uint8 (H, W), 0 ink, 255 paper."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, number: int, /) -> Array:
        """One of them."""
        ...


@dataclass(frozen=True)
class Example:
    """A picture to learn from, and its line drawings."""

    color: Array
    """uint8 (H, W, 3) RGB."""
    lines: Drawings
    """Drawings of each thickness, thinnest first."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, and how many drawings: H, W, K."""
        return self.color.shape[0], self.color.shape[1], len(self.lines)


@dataclass(frozen=True)
class Packed:
    """Line drawings of one picture at 1 bit a pixel, unpacked when they are asked for."""

    bits: Array
    """uint8 (K, H, ⌈W/8⌉): rows of bits, 1 for paper, the leftmost pixel highest."""
    width: int
    """W, in pixels."""

    def __len__(self) -> int:
        """How many there are: K."""
        return len(self.bits)

    def __getitem__(self, number: int, /) -> Array:
        """Drawing `number`: uint8 (H, W), 0 ink, 255 paper."""
        rows = self.bits[number]
        ones = np.unpackbits(rows.reshape(-1)).reshape(len(rows), -1)  # faster than row by row
        return np.negative(ones[:, : self.width])  # in uint8, −1 is 255


def pack(lines: Drawings) -> Packed:
    """The same drawings at 1 bit a pixel; they have no greys, or lose them."""
    every = [lines[i] for i in range(len(lines))]
    return Packed(np.packbits(np.stack(every), axis=-1), every[0].shape[1])


def choose_pairs(dataset: Dataset, pairs: Iterable[Pair], size: int) -> dict[str, list[Pair]]:
    """The training pictures' pairs drawn at `size`, by picture, thinnest first.

    Raises InputError where there are none, or some whose shapes cannot be.
    """
    training = {m.record.sha256 for m in dataset.illustrations if m.split == "train"}
    usable = [pair for pair in pairs if pair.sha256 in training]
    chosen: dict[str, list[Pair]] = {}
    for pair in sorted(usable, key=lambda pair: (pair.sha256, pair.sigma)):
        if pair.size == size:
            chosen.setdefault(pair.sha256, []).append(pair)
    if not training:
        raise InputError(
            f"{dataset.folder} has no illustrations to train on: none has the split `train`; "
            "add some, or lower the shares of the recipe's [splits]"
        )
    if chosen and (missing := len(training - chosen.keys())):
        raise InputError(
            f"{dataset.folder} has {missing} training pictures without pairs at {size} pixels; "
            f"draw them with `lacbench pairs {dataset.folder} --size {size}`"
        )
    if not chosen:
        sizes = ", ".join(str(s) for s in sorted({pair.size for pair in usable})) or "no size at all"
        raise InputError(
            f"{dataset.folder} has no training pairs drawn at {size} pixels, but at {sizes}; "
            f"draw them: `lacbench pairs {dataset.folder} --size {size}`, or choose another size"
        )
    _check_shapes(dataset, chosen, size)
    return chosen


def _check_shapes(dataset: Dataset, chosen: Mapping[str, Sequence[Pair]], size: int) -> None:
    """Raise InputError for shapes that drawings at `size` cannot have: crops and shards follow them."""
    for sha256, group in chosen.items():
        shapes = sorted({(pair.height, pair.width) for pair in group})
        if len(shapes) > 1 or min(shapes[0]) != size:
            raise InputError(
                f"{dataset.folder} has drawings of {sha256[:12]}… at {size} pixels with shapes {shapes}; "
                f"expected one, whose shorter side is {size}; draw the pairs again with `lacbench pairs`"
            )


def data_digest(dataset: Dataset, chosen: Mapping[str, Sequence[Pair]]) -> str:
    """SHA-256 over what is trained on: the data set's digest, and the pairs chosen from it."""
    pairs = [[p.sha256, p.sigma, p.size] for group in chosen.values() for p in group]
    return sha256_json({"dataset": dataset.digest, "pairs": sorted(pairs)})


def load_examples(
    dataset: Dataset, chosen: Mapping[str, Sequence[Pair]], progress: Progress | None = None
) -> list[Example]:
    """Read the chosen pairs and their pictures into memory. Raises as `read_example` does."""
    files = {m.record.sha256: m.record.path for m in dataset.illustrations}
    todo = (progress or Silent()).track(chosen.items(), "read pictures", total=len(chosen))
    return [read_example(dataset.folder, files[sha256], pairs) for sha256, pairs in todo]


def read_example(folder: Path, path: str, pairs: Sequence[Pair]) -> Example:
    """Read a picture (`path` within the data set's folder), resized as its pairs are, and their drawings.

    Raises InputError where a file is missing or the two do not fit, IntegrityError where the picture is
    not the one that its id names, ImageError for what cannot be decoded.
    """
    data = _existing(folder / path, "see `lacbench verify`, then build the data set again")
    if (got := sha256_bytes(data)) != pairs[0].sha256:
        raise IntegrityError(
            f"{folder / path} has other bytes than its id says: SHA-256 {got[:12]}…, expected "
            f"{pairs[0].sha256[:12]}…; see `lacbench verify`, then build the data set again"
        )
    color = resize_shortest(decode(data, str(folder / path)), pairs[0].size)
    if (told := (pairs[0].height, pairs[0].width)) != color.shape[:2]:
        raise InputError(
            f"{folder / path} has shape {color.shape[:2]} at {pairs[0].size} pixels, but pairs.parquet says "
            f"{told}; draw the pairs again with `lacbench pairs`"
        )
    return Example(color, tuple(_read_lines(folder / pair.path, pair) for pair in pairs))


def _read_lines(path: Path, pair: Pair) -> Array:
    again = f"draw it again with `lacbench pairs --size {pair.size}`"
    lines = to_grey(decode(_existing(path, again), str(path)))
    if lines.shape != (pair.height, pair.width):
        raise InputError(
            f"{path} has shape {lines.shape}; expected {(pair.height, pair.width)}, its picture's at "
            f"{pair.size} pixels; take it away, then {again}"
        )
    if not ((lines == 0) | (lines == 255)).all():
        raise InputError(f"{path} has greys; expected black and white alone; take it away, then {again}")
    return lines


def _existing(path: Path, otherwise: str) -> bytes:
    if not path.is_file():
        raise InputError(f"{path} is missing; {otherwise}")
    return read_bytes(path)
