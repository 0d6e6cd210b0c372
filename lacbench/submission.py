"""A model's outputs: one picture for each line art of a data set, and what is told of their making."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lacbench.errors import InputError
from lacbench.files import read_json, sha256_json
from lacbench.hints import Hints
from lacbench.images import SUFFIXES
from lacbench.records import Dataset

SUBMISSION = "submission.json"
"""The file beside a submission's outputs that says what made them."""
NAMED = 5
"""Pictures that a refusal names."""


def outputs_of(submission: Path, dataset: Dataset) -> dict[str, Path]:
    """The outputs, `<line art's sha256>.png` each, by the line art's sha256: one for every line art.

    Raises InputError, with names, for line arts without output, and for pictures that belong to no line art:
    the FID would count them.
    """
    if not submission.is_dir():
        raise InputError(f"{submission} is no folder; expected a submission's; check the path")
    outputs = {m.record.sha256: submission / f"{m.record.sha256}.png" for m in dataset.linearts}
    if not outputs:
        raise InputError(f"{dataset.folder} has no line arts to colour; expected one at least; add some")
    missing = [f"{path.name}" for path in outputs.values() if not path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(outputs)} line arts have no output in {submission}: {_some(missing)}; "
            f"expected <line art's sha256>.png for each; run `lacbench colorize` on {dataset.folder}"
        )
    suffixes = {*SUFFIXES.values(), ".jpeg"}
    pictures = (p for p in sorted(submission.iterdir()) if p.suffix.lower() in suffixes)
    others = [p.name for p in pictures if outputs.get(p.stem) != p]
    if others:
        raise InputError(
            f"{submission} holds {len(others)} pictures of no line art of {dataset.folder}: {_some(others)}; "
            "expected outputs alone; move the others away"
        )
    return outputs


def told_weights(submission: Path) -> dict[str, str]:
    """What the submission tells of frozen weights: SHA-256 by name; nothing where it tells nothing of that
    form."""
    weights = _told(submission).get("weights")
    return {str(k): str(v) for k, v in weights.items()} if isinstance(weights, dict) else {}


def told_hints(submission: Path) -> str | None:
    """Digest of the hints that the outputs were made with; empty for none; None where nothing is told."""
    told = _told(submission)
    return str(told["hints"] or "") if "hints" in told else None


def hints_digest(hints: Hints, dataset: Dataset) -> str:
    """Digest of the hints of the data set's line arts, as `lacbench colorize` notes it."""
    given = {m.record.sha256: hints.get(m.record.sha256, ()) for m in dataset.linearts}
    return sha256_json({key: [asdict(hint) for hint in dabs] for key, dabs in given.items() if dabs})


def check_hints(submission: Path, hints: Hints, dataset: Dataset) -> None:
    """Raise InputError where the submission tells that it was made with other hints, or with none."""
    told = told_hints(submission)
    if told is not None and told != hints_digest(hints, dataset):
        raise InputError(
            f"{submission} was made {'with other hints' if told else 'without hints'}, as its {SUBMISSION} "
            "tells; expected the hints that it was given; name their file, or leave out --hints"
        )


def _told(submission: Path) -> dict[str, Any]:
    file = submission / SUBMISSION
    try:
        told = read_json(file) if file.is_file() else None  # a pipe would be waited for
    except RecursionError:
        told = None
    return told if isinstance(told, dict) else {}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + " …" * (len(names) > NAMED)
