"""The whole line on small art: data, pairs, training, colorizing, scores, report."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lacbench
from lacbench import weights
from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.trainer import train
from lacbench.baselines.colorize import colorize
from lacbench.baselines.floors import FLOORS
from lacbench.curate import build_dataset
from lacbench.engine import Engine
from lacbench.errors import InputError
from lacbench.files import sha256_json
from lacbench.hints import Hints, choose_hints, save_hints
from lacbench.pairs import make_pairs
from lacbench.progress import Progress
from lacbench.recipe import Recipe
from lacbench.records import Dataset
from lacbench.report import write_report
from lacbench.scorecard import ScoreCard, is_current, load_card, save_card, score

PRESET = "tiny"
"""Preset of the reference model that a CPU trains in minutes."""
HINTS, HINT_SEED = 12, 1
"""Hints a line art, and the seed that places them."""
METRICS = ("fid", "kid", "prdc", "lines", "bleeding", "hints", "colorfulness", "paired")
"""What is measured: all but LPIPS, which takes longer than the others together, and further weights."""


@dataclass(frozen=True)
class Method:
    """One row of the demo's table."""

    name: str
    """Name on the score card, and of its output folder."""
    model: Path
    """A training run, or a floor's name."""
    hints: Hints | None
    """The hints it is given; None for automatic colorization."""


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    report: Path
    """The self-contained page."""
    fid: dict[str, float]
    """FID of each method from the data set's illustrations."""
    digest: str
    """The data set's."""


def run_demo(
    recipe: Recipe, out: Path, engine: Engine, progress: Progress, config: Config | None = None
) -> Demo:
    """Run the line from a recipe to `out/report.html`; a second run finds every stage done.

    What it measures proves that the line holds, and ranks nobody: the sets are far too small. `config` is the
    training run's, by default the preset `tiny`. Raises what the stages raise.
    """
    dataset = build_dataset(recipe, out / "data", engine, progress)
    _check_enough(dataset)
    for name in ("inception", "vgg16"):  # asked for before the long work: who has no network knows early
        weights.fetch(name, progress=progress)
    config = config or make_config(PRESET)
    pairs = make_pairs(dataset, size=config.size, engine=engine, progress=progress)
    hints = choose_hints(dataset, HINTS, HINT_SEED)
    save_hints(out / "hints.json", hints)
    key = sha256_json([dataset.digest, config.model_dump(mode="json"), lacbench.__version__])[:12]
    run = train(dataset, pairs, config, out / "runs" / key, progress=progress)
    cards = [_score(method, dataset, config.size, out, progress) for method in _methods(run, hints)]
    report = write_report(out / "report.html", dataset, pairs, cards, hints=hints, progress=progress)
    return Demo(report, {card.name: float(card.fid["value"]) for card in cards}, dataset.digest)


def _check_enough(dataset: Dataset) -> None:
    """Raise InputError before the long work where there is too little for it."""
    train = [m for m in dataset.illustrations if m.split == "train"]
    for what, members in (("illustrations to train on", train), ("line arts", dataset.linearts)):
        if len(members) < 2:
            raise InputError(
                f"{dataset.folder} has too few {what} for a demo: got {len(members)}, expected two or more, "
                f"and rather a hundred; see {dataset.folder / 'card.md'} for what was left out"
            )


def _methods(run: Path, hints: Hints) -> list[Method]:
    floors = [Method(name, Path(name), None if name == "grey" else hints) for name in FLOORS]
    return [Method("alacgan", run, None), Method("alacgan-hints", run, hints), *floors]


def _score(method: Method, dataset: Dataset, size: int, out: Path, progress: Progress) -> ScoreCard:
    """Colour the line arts, score the outputs, write the score card, unless that of the same is there."""
    linearts = {m.record.sha256: dataset.file(m) for m in dataset.linearts}
    folder = out / "outputs" / method.name
    submission = colorize(method.model, linearts, folder, hints=method.hints, size=size, progress=progress)
    file = out / "cards" / f"{method.name}.json"
    card = _kept(file, dataset, method.hints)
    if card is None:
        card = score(
            submission, dataset, metrics=METRICS, strict=False, name=method.name, hints=method.hints,
            progress=progress,
        )  # fmt: skip
        save_card(file, card)
    progress.say(f"score: {method.name}, FID {card.fid['value']:.1f}")
    return card


def _kept(file: Path, dataset: Dataset, hints: Hints | None) -> ScoreCard | None:
    """The card of an earlier run, where this one would write the same."""
    with suppress(InputError):
        card = load_card(file)
        if is_current(card, dataset, hints=hints, metrics=METRICS):
            return card
    return None
