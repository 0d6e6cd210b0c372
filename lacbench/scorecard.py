"""What was scored, with what, on which data: one JSON a submission."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lacbench.errors import InputError
from lacbench.files import read_json, write_json
from lacbench.manifest import load_dataset
from lacbench.metrics.fid import FidResult, fid
from lacbench.progress import Progress
from lacbench.records import Dataset

SUBMISSION = "submission.json"
"""The file beside a submission's outputs that says what made them."""
VERSION = 1
"""Version of the card's layout."""


@dataclass(frozen=True)
class ScoreCard:
    """One submission's scores."""

    name: str
    """The method's name, for people."""
    submission: Path
    """Folder of its outputs, one `<line art's sha256>.png` each."""
    hints: bool
    """Whether the method was given colour hints."""
    dataset: str
    """Digest of the data set whose line arts it coloured and whose illustrations it is compared with."""
    fid: dict[str, Any]
    """What `lacbench fid --json` prints: metric, value, standard_error, interval, n, protocol …"""
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the frozen weights in the method, by their name, as its submission.json tells; empty for a
    method that tells of none."""


def score(
    submission: Path,
    reference: Path | Dataset,
    card: Path,
    *,
    name: str = "",
    hints: bool = False,
    protocol: str = "pytorch-fid",
    engine: str = "torch",
    device: str = "cpu",
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> FidResult:
    """FID of a submission from a data set's illustrations, written down as a score card.

    Args:
        submission: folder of the outputs.
        reference: the data set, or its folder.
        card: the card's file.
        name: the method's name; by default the submission folder's.
        hints: whether the method was given colour hints.
        protocol: how pictures become features; see `lacbench.metrics.protocols`.
        engine: what runs the network; see `lacbench.metrics.networks`.
        device: torch's name for the place where the network runs.
        skip_unreadable: whether outputs that cannot be read are left out; the card names them.
        progress: who listens.

    Returns:
        What the card holds; `load_card` reads it back.

    Raises:
        InputError: the reference is no data set, or what `fid` raises.
        OutputError: the card cannot be written.
    """
    dataset = reference if isinstance(reference, Dataset) else _dataset(reference)
    result = fid(
        submission,
        dataset,
        protocol=protocol,
        engine=engine,
        device=device,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )
    name = name or submission.resolve().name
    told = ScoreCard(name, submission, hints, dataset.digest, result.as_json(), _weights(submission))
    save_card(card, told)
    return result


def _weights(submission: Path) -> dict[str, str]:
    """What the submission tells of frozen weights; nothing where it tells nothing of that form."""
    try:
        told = read_json(submission / SUBMISSION)["weights"]
        return {str(name): str(sha256) for name, sha256 in told.items()}
    except (TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _dataset(folder: Path) -> Dataset:
    if not (folder / "illustrations.parquet").is_file():
        raise InputError(
            f"a score card names the data set it is of, and {folder} is none: expected a folder that "
            f"`lacbench build-dataset` made, got {_kind(folder)}; name one, or score without a card"
        )
    return load_dataset(folder)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder without illustrations.parquet"
    return "a file" if path.exists() else "nothing there"


def save_card(path: Path, card: ScoreCard) -> None:
    """Write the card, atomically; the submission's folder is kept relative to the card's own."""
    shown = Path(os.path.relpath(card.submission.resolve(), path.resolve().parent))
    write_json(
        path,
        {
            "lacbench_card": VERSION,
            "name": card.name,
            "submission": shown.as_posix(),
            "hints": card.hints,
            "dataset": card.dataset,
            "fid": card.fid,
            "weights": dict(card.weights),
        },
    )


def load_card(path: Path) -> ScoreCard:
    """Read a card. Raises InputError for anything else, or a card of another version."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["lacbench_card"] != VERSION:
            raise ValueError(f"version {raw['lacbench_card']}, expected {VERSION}")
        return ScoreCard(
            name=str(raw["name"]),
            submission=(path.parent / raw["submission"]).resolve(),
            hints=bool(raw["hints"]),
            dataset=str(raw["dataset"]),
            fid=dict(raw["fid"]),
            weights={str(name): str(sha256) for name, sha256 in raw.get("weights", {}).items()},
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is no score card: {type(error).__name__} {error}; score again") from error
