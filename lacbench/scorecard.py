"""What was scored, with what, on which data: one JSON a submission."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import lacbench
from lacbench.code import code_digest
from lacbench.devices import choose_device
from lacbench.errors import FetchError, InputError, MissingError
from lacbench.files import write_json
from lacbench.hints import AnyHints
from lacbench.manifest import load_dataset
from lacbench.metrics.figure import Figure
from lacbench.metrics.registry import METRICS, Context, Figures, Metric, chosen
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset
from lacbench.submission import (
    About,
    Submission,
    cleaned,
    first_fault,
    hints_digest,
    open_submission,
    read_text,
)

VERSION = 2
"""Version of the card's layout. Cards of version 1, which hold an FID alone, are still read."""
MAX_WORD = 255
"""Characters of the longest name on a card: that of a folder."""


@dataclass(frozen=True)
class ScoreCard:
    """One submission's scores."""

    name: str
    """The method's name, for people."""
    submission: Path
    """Folder or archive of its outputs; see `lacbench.submission`."""
    hints: bool
    """Whether the method was given colour hints."""
    dataset: str
    """Digest of the data set whose line arts it coloured and whose illustrations it is compared with."""
    metrics: Mapping[str, Mapping[str, Any]]
    """What is told of each figure: value, better, standard_error, interval, n, and more; see `Figure`."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the frozen weights in the method, by their name, as its submission.json tells; empty for a
    method that tells of none."""
    not_measured: Mapping[str, str] = field(default_factory=dict)
    """Why a metric was not taken, by its name."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of what was scored: `submission` (see `Pictures.digest`), and `hints` where they are known;
    of what scored it: `code` (see `lacbench.code`)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions of lacbench, Python, NumPy and Torch; the device."""
    about: About | None = None
    """What the submission's submission.toml tells; None without one."""

    @property
    def fid(self) -> Mapping[str, Any]:
        """What `lacbench fid --json` prints: metric, value, standard_error, interval, n, protocol …; empty
        where it was not taken."""
        return self.metrics.get("fid", {})

    def _repr_html_(self) -> str:
        from lacbench.notebook import card_html

        return card_html(self)

    def _repr_markdown_(self) -> str:
        from lacbench.notebook import card_markdown

        return card_markdown(self)


def score(
    submission: Path,
    reference: Path | Dataset,
    *,
    metrics: Sequence[str] | None = None,
    strict: bool | None = None,
    name: str = "",
    hints: AnyHints | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> ScoreCard:
    """Score a submission's outputs by the metrics of `lacbench.metrics.registry`.

    Args:
        submission: folder or archive of the outputs, one for each line art; see `open_submission`.
        reference: the data set, or its folder.
        metrics: names of metrics or of their figures; by default the usual ones.
        strict: whether a metric that cannot be taken, as the data set lacks what it needs or weights cannot
            be fetched, is an error; else it is on the card, with the reason. By default it is one where
            `metrics` are named.
        name: the method's name; by default the submission folder's.
        hints: the dabs or strokes that the method was given, by line art.
        device: torch's name for the place where networks run, or `auto`.
        progress: who listens.

    Raises:
        InputError: no data set, outputs missing or too many, other hints than those of the submission, an
            unknown metric, or, where that is an error, one that cannot be taken.
        FetchError, MissingError: where these are errors, of a metric.
    """
    dataset = open_dataset(reference)
    if device != "cpu":
        device = str(choose_device(device))
    strict = metrics is not None if strict is None else strict
    opened = open_submission(submission, dataset).complete()
    context = Context(opened, dataset, hints, device, progress or Silent())
    wanted, digests = chosen(metrics), _digests(context)
    if hints is not None:
        opened.check_hints(hints, dataset)
    figures: dict[str, Figure] = {}
    not_measured = {}
    for metric, names in wanted.items():
        taken = _take(METRICS[metric], context, strict=strict)
        if isinstance(taken, str):
            not_measured[metric] = taken
            context.progress.say(f"score: {metric} is not measured: {taken}")
        else:
            figures |= {name: figure for name, figure in taken.items() if name in names}
    return make_card(
        opened, dataset, figures, name=name, hints=hints is not None, digests=digests,
        not_measured=not_measured, device=device,
    )  # fmt: skip


def is_current(card: ScoreCard, dataset: Dataset, *, hints: AnyHints | None, metrics: Sequence[str]) -> bool:
    """Whether `score`, not strict and on the CPU, would give this card again: by what it was made of."""
    context = Context(open_submission(card.submission, dataset).complete(), dataset, hints)
    same = (card.dataset, card.digests, card.environment) == (
        dataset.digest, {"code": code_digest(), **_digests(context)}, _environment("cpu")
    )  # fmt: skip
    lacking = {name: reason for name in chosen(metrics) if (reason := METRICS[name].lacks(context))}
    taken = {figure for name, figures in chosen(metrics).items() if name not in lacking for figure in figures}
    return same and card.not_measured == lacking and card.metrics.keys() == taken


def make_card(
    submission: Submission,
    dataset: Dataset,
    figures: Mapping[str, Figure],
    *,
    name: str = "",
    hints: bool = False,
    digests: Mapping[str, str] | None = None,
    not_measured: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> ScoreCard:
    """A card with these figures, and what the submission and this machine tell."""
    return ScoreCard(
        name=name or submission.name,
        submission=submission.source,
        hints=hints or submission.hinted,
        dataset=dataset.digest,
        metrics={key: figure.as_json() for key, figure in figures.items()},
        weights=submission.weights,
        not_measured=not_measured or {},
        digests={"code": code_digest(), **(digests or {})},
        environment=_environment(device),
        about=submission.about,
    )


def open_dataset(reference: Path | Dataset) -> Dataset:
    """The data set that a card is of. Raises InputError for a path that is none."""
    if isinstance(reference, Dataset):
        return reference
    if not (reference / "illustrations.parquet").is_file():
        raise InputError(
            f"a score card names the data set it is of, and {reference} is none: expected a folder that "
            f"`lacbench build-dataset` made, got {_kind(reference)}; name one"
        )
    return load_dataset(reference)


def save_card(path: Path, card: ScoreCard) -> None:
    """Write the card, atomically; the submission's folder is kept relative to the card's own."""
    shown = Path(os.path.relpath(card.submission.resolve(), path.resolve().parent))
    write_json(path, {**card_json(card), "submission": shown.as_posix()})


def card_json(card: ScoreCard) -> dict[str, Any]:
    """The card as JSON; the submission's folder as it was named."""
    told = {**vars(card), "submission": card.submission.as_posix()}
    told["about"] = card.about and card.about.model_dump(mode="json", exclude_defaults=True)
    plain = {key: dict(value) if isinstance(value, Mapping) else value for key, value in told.items()}
    return {"lacbench_card": VERSION, **plain}


def load_card(path: Path) -> ScoreCard:
    """Read a card of version 1 or 2, which may be a stranger's. Raises InputError for anything else.

    Its texts become single lines without what would move a terminal's cursor.
    """
    text = read_text(path)
    try:
        told = json.loads(text, parse_constant=_refused)
        raw = cleaned(told)
        version = raw["lacbench_card"]
        if version not in (1, VERSION):
            raise ValueError(f"version {version}, expected 1 or {VERSION}")
        metrics = {"fid": {**raw["fid"], "better": "lower"}} if version == 1 else raw["metrics"]
        for figure in metrics.values():
            Figure.from_json(figure)
        if not isinstance(raw["hints"], bool):
            raise TypeError(f"hints is {raw['hints']!r}, expected true or false")
        return ScoreCard(
            name=_word(raw["name"]),
            submission=(path.parent / told["submission"]).resolve(),
            hints=raw["hints"],
            dataset=_word(raw["dataset"]),
            metrics={name: dict(figure) for name, figure in metrics.items()},
            weights=_texts(raw, "weights"),
            not_measured=_texts(raw, "not_measured"),
            digests=_texts(raw, "digests"),
            environment=_texts(raw, "environment"),
            about=About.model_validate(raw["about"]) if raw.get("about") is not None else None,
        )
    except ValidationError as error:
        raise InputError(f"{path} is no score card: about: {first_fault(error)}; score again") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} is no score card: {type(error).__name__} {error}; score again") from error


def _digests(context: Context) -> dict[str, str]:
    """SHA-256 of what is scored."""
    digests = {"submission": context.pictures.digest}
    if context.hints is not None:
        digests["hints"] = hints_digest(context.hints, context.dataset)
    return digests


def _take(metric: Metric, context: Context, *, strict: bool) -> Figures | str:
    """A metric's figures, or why they cannot be taken; raises where that is so and `strict`."""
    reason = metric.lacks(context)
    if reason and strict:
        raise InputError(
            f"{metric.name} cannot be measured on {context.dataset.folder}: {reason}; choose other metrics"
        )
    try:
        return reason or metric.measure(context)
    except (FetchError, MissingError) as error:
        if strict:
            raise
        return str(error)


def _word(told: object) -> str:
    """A name, or a digest. Raises TypeError or ValueError for none."""
    if not isinstance(told, str):
        raise TypeError(f"{told!r} is no text")
    if not 1 <= len(told) <= MAX_WORD:
        raise ValueError(f"a name of {len(told)} characters, expected 1 to {MAX_WORD}")
    return told


def _texts(raw: Mapping[str, Any], key: str) -> dict[str, str]:
    return {name: str(text) for name, text in raw.get(key, {}).items()}


def _refused(constant: str) -> None:
    raise ValueError(f"{constant}, which is no number")


def _environment(device: str) -> dict[str, str]:
    told = {"lacbench": lacbench.__version__, "python": platform.python_version(), "device": device}
    for package in ("numpy", "torch"):
        try:
            told[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            told[package] = "not installed"
    if device.startswith("cuda"):
        import torch

        told["gpu"] = torch.cuda.get_device_name(device)
    return told


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder without illustrations.parquet"
    return "a file" if path.exists() else "nothing there"
