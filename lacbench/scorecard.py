"""What was scored, with what, on which data: one JSON a submission."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacbench.errors import InputError
from lacbench.files import write_json

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
        },
    )


def load_card(path: Path) -> ScoreCard:
    """Read a card. Raises InputError for anything else, or a card of another version."""
    try:
        raw = json.loads(path.read_text())
        if raw["lacbench_card"] != VERSION:
            raise ValueError(f"version {raw['lacbench_card']}, expected {VERSION}")
        return ScoreCard(
            name=str(raw["name"]),
            submission=(path.parent / raw["submission"]).resolve(),
            hints=bool(raw["hints"]),
            dataset=str(raw["dataset"]),
            fid=dict(raw["fid"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no score card: {type(error).__name__} {error}; score again") from error
