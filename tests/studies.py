"""Makers of small rating studies."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from lacbench.images import write_png
from lacbench.manifest import load_dataset
from lacbench.records import Dataset
from lacbench.study.create import create_study
from lacbench.study.invite import invite
from lacbench.study.session import Sitting, Study

from made import build, draw_figure

METHODS = ("ours", "grey-floor", "noisy")
"""Names that no page may show."""


def coloured(folder: Path, items: int = 5, methods: tuple[str, ...] = METHODS, size: int = 96) -> Dataset:
    """A data set of `items` line arts, `folder/data`, and methods' outputs, `folder/outputs/<name>`."""
    shutil.copytree(_coloured(items, methods, size), folder, dirs_exist_ok=True)
    return load_dataset(folder / "data")


@cache
def _coloured(items: int, methods: tuple[str, ...], size: int) -> Path:
    """The same, made once in a folder that goes when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="lacbench-studies-"))
    atexit.register(shutil.rmtree, folder)
    for seed in range(2):
        write_png(folder / f"art/illustrations/{seed}.png", draw_figure(seed)[0])
    for seed in range(100, 100 + items):
        write_png(folder / f"art/linearts/{seed}.png", draw_figure(seed)[1])
    dataset = build(folder / "art", folder / "data")
    assert len(dataset.linearts) == items
    random = np.random.default_rng(1)
    for number, method in enumerate(methods):
        for member in dataset.linearts:
            image = random.integers(0, 256, (size, size, 3), dtype=np.uint8) // (number + 1)
            write_png(folder / f"outputs/{method}/{member.record.sha256}.png", image.astype(np.uint8))
    return folder


def study_file(
    folder: Path,
    ratings: str = "raters = 3",
    extra: str = "",
    methods: tuple[str, ...] = METHODS,
    size: int = 64,
) -> Path:
    """A study file in `folder` on what `coloured` made there."""
    outputs = "\n".join(f'{method} = "outputs/{method}"' for method in methods)
    path = folder / "study.toml"
    path.write_text(
        f'name = "drawn"\nseed = 1\ndata = "data"\n{extra}\n[methods]\n{outputs}\n[items]\nsize = {size}\n'
        f"[ratings]\n{'' if 'minimum_viewing_ms' in ratings else 'minimum_viewing_ms = 0'}\n{ratings}\n"
    )
    return path


def make_study(
    folder: Path,
    ratings: str = "raters = 3",
    extra: str = "",
    items: int = 5,
    methods: tuple[str, ...] = METHODS,
) -> Study:
    """A small study in `folder/study`, opened: `items` line arts of three methods for three raters.

    `ratings`: lines of the study file's [ratings]; `extra`: lines before its first table, or whole tables
    that belong there.
    """
    coloured(folder, items, methods)
    return create_study(study_file(folder, ratings, extra, methods), folder / "study")


def rate_all(sitting: Sitting, score: int = 3, milliseconds: int = 1000, until: int | None = None) -> int:
    """Answer one trial after the other, all or `until` so many; returns how many."""
    count = 0
    while (until is None or count < until) and (trial := sitting.trial()):
        assert sitting.rate(f"{trial.key}-{count}", trial.key, score, milliseconds)
        count += 1
    return count


def rated(folder: Path, ratings: str, *until: int | None, items: int = 4, extra: str = "") -> Study:
    """A small study that raters were invited to, one for each of `until`: so many trials they have answered.

    None: all of theirs. What they say goes by the pictures, and by lot.
    """
    study, random = make_study(folder, ratings, extra, items), np.random.default_rng(0)
    for invitation, count in zip(invite(study, len(until)), until, strict=True):
        sitting, done = Sitting.open(study, invitation.token), 0
        while (count is None or done < count) and (trial := sitting.trial()):
            most = len(sitting.labels)
            score = int(trial.pictures[0][:2], 16) % most + random.integers(0, 3)
            milliseconds = int(random.lognormal(7.5, 0.4))
            assert sitting.rate(f"{trial.key}-0", trial.key, int(np.clip(score, 1, most)), milliseconds)
            done += 1
    return study
