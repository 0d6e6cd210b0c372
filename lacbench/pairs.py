"""XDoG pairs: every illustration with its line drawings, at each thickness."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lacbench.engine import Engine, Local
from lacbench.errors import InputError, LacbenchError
from lacbench.files import sweep
from lacbench.images import read, resize_shortest, resized_shape, to_grey, write_png
from lacbench.manifest import load_pairs, save_pairs
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Member, Pair
from lacbench.xdog import SIGMAS, xdog

__all__ = ["SIZE", "load_pairs", "make_pairs"]

SIZE = 512
"""Shortest side, in pixels, of the paper's pictures; XDoG runs after the resize to it."""


IDLE = 3600.0
"""Seconds after which a half-written drawing is a killed run's, and no other run's that is at work."""


def make_pairs(
    dataset: Dataset,
    sigmas: Sequence[float] = SIGMAS,
    size: int = SIZE,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[Pair, ...]:
    """Draw every illustration's lines: `pairs/<size>/<sigma>/<sha256>.png`, listed in `pairs.parquet`.

    Drawings that are there already are kept, so a killed run goes on where it was, and what it left half
    written is removed by a run an hour later; kept are also those of other sizes and thicknesses, and their
    rows in `pairs.parquet`.

    Args:
        dataset: a built data set; its illustrations are resized so that the shortest side has `size`
            pixels, and drawn then.
        sigmas: thicknesses; see `lacbench.xdog.xdog`.
        size: shortest side, pixels.
        engine: where the work is done.
        progress: who listens.

    Raises:
        InputError: the data set has no illustrations.
        OutputError: the drawings cannot be written.
    """
    if not dataset.illustrations:
        raise InputError(f"{dataset.folder} has no illustrations to draw lines of; mend the recipe's filters")
    engine, progress = engine or Local(), progress or Silent()
    sigmas = tuple(sorted(set(sigmas)))
    sweep(dataset.folder / "pairs", IDLE)  # another run may be drawing other thicknesses
    pairs = tuple(p for m in dataset.illustrations for p in _planned(m, sigmas, size))
    missing = {p.sha256 for p in pairs if not (dataset.folder / p.path).is_file()}
    members = [m for m in dataset.illustrations if m.record.sha256 in missing]
    draw = partial(_draw, dataset.folder.absolute(), sigmas, size)
    with engine.sharing(dataset.folder):
        for _ in progress.track(engine.map(draw, members, _undrawn), "pairs", len(members)):
            pass
    save_pairs(dataset.folder, _merged(dataset, pairs))
    thickness = ", ".join(f"{s:g}" for s in sigmas)
    progress.say(f"pairs: {len(pairs)} line drawings at {size} px, σ {thickness}")
    return pairs


def _merged(dataset: Dataset, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, and those of other sizes and thicknesses that were listed before and are still there."""
    made = {(p.sha256, p.sigma, p.size) for p in pairs}
    members = {m.record.sha256: m for m in dataset.illustrations}
    try:
        before = load_pairs(dataset.folder)
    except InputError:
        before = ()
    others = [
        replace(p, split=members[p.sha256].split)
        for p in before
        if (p.sha256, p.sigma, p.size) not in made
        and p.sha256 in members
        and (dataset.folder / p.path).is_file()
    ]
    return sorted([*pairs, *others], key=lambda p: (p.size, p.sha256, p.sigma))


def _planned(member: Member, sigmas: Sequence[float], size: int) -> list[Pair]:
    record = member.record
    height, width = resized_shape(record.statistics.height, record.statistics.width, size)
    paths = [f"pairs/{size}/{sigma:g}/{record.sha256}.png" for sigma in sigmas]
    return [
        Pair(record.sha256, sigma, size, path, width, height, member.split)
        for sigma, path in zip(sigmas, paths, strict=True)
    ]


def _draw(folder: Path, sigmas: tuple[float, ...], size: int, member: Member) -> None:
    grey = to_grey(resize_shortest(read(folder / member.record.path), size))
    for pair in _planned(member, sigmas, size):
        write_png(folder / pair.path, xdog(grey, pair.sigma), bilevel=True)


def _undrawn(member: Member, reason: str) -> None:
    raise LacbenchError(f"{member.record.path} {reason}; run it with more memory, or prune the picture")
