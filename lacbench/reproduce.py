"""The commands that make a report's figures again, from the recipe to the page."""

import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lacbench.files import read_json
from lacbench.hints import Hints, choose_hints
from lacbench.metrics.archives import is_archive
from lacbench.metrics.features import DEFAULT
from lacbench.metrics.fid import ON_WHITE
from lacbench.metrics.registry import METRICS
from lacbench.recipe import folder_recipe, load_recipe
from lacbench.records import Dataset, Pair
from lacbench.scorecard import ScoreCard
from lacbench.submission import SUBMISSION

FLOORS = ("grey", "mean-hint", "nearest-hint", "flood-fill")
"""Names of the floors: no models, but what any model must beat."""
SHIPPED = "open-art"
"""The recipe that `lacbench demo` runs."""
TINY = 128
"""Shortest side, in pixels, that the preset `tiny` trains at."""
TILE = 2048
"""Side of the tiles, in pixels, that `lacbench colorize` cuts large pictures into when told no other."""
HINT_COUNT, HINT_SEED = 12, 1
"""Hints a line art, and the seed, that `lacbench hints` takes when told no others."""
RUN = "run"
"""What the commands on the page call the training run's folder."""


@dataclass(frozen=True)
class Step:
    """One command of the line that makes the page again."""

    command: str
    """As a shell takes it."""
    comment: str = ""
    """What to know about it."""


def demo_command(dataset: Dataset) -> str:
    """The demo's command for this data set; empty where it has a recipe of its own."""
    if _is_shipped(dataset):
        return "lacbench demo"
    try:
        folder = Path(tomllib.loads(dataset.recipe)["sources"][0]["folder"])
    except (tomllib.TOMLDecodeError, LookupError, TypeError):
        return ""
    return "lacbench demo --from FOLDER" if folder_recipe(folder).text == dataset.recipe else ""


def _is_shipped(dataset: Dataset) -> bool:
    return dataset.recipe == load_recipe(Path(SHIPPED)).text


def steps(
    dataset: Dataset,
    pairs: Sequence[Pair],
    cards: Sequence[ScoreCard],
    hints: Hints | None,
    opinions: str = "",
) -> list[Step]:
    """The commands that make the page again, in order; `opinions` are the report's options of ratings."""
    size = pairs[0].size if pairs else TINY
    named = zip(cards, _names(cards), strict=True)
    methods = [step for card, name in named for step in _method(card, name, size)]
    commands = "\n".join(step.command for step in methods)
    recipe = SHIPPED if _is_shipped(dataset) else "recipe.toml"
    line = [Step(f"lacbench build-dataset {recipe} -o data", f"digest {dataset.digest[:12]}…")]
    if pairs or f"colorize {RUN} " in commands:
        sigmas = "".join(f" --sigma {sigma:g}" for sigma in sorted({pair.sigma for pair in pairs}))
        line.append(Step(f"lacbench pairs data{sigmas} --size {size}"))
    if hints is not None or "--hints hints.json" in commands:
        line.append(_hints_step(dataset, hints))
    if f"colorize {RUN} " in commands:
        resized = "" if size == TINY else f" --set size={size}"
        told = "or with the preset and settings of your own run"
        line.append(Step(f"lacbench train data -o {RUN} --preset tiny{resized}", told))
    shown = "" if hints is None else " --hints hints.json"
    return [*line, *methods, Step(f"lacbench report data cards/*.json{shown}{opinions} -o report.html")]


def _names(cards: Sequence[ScoreCard]) -> list[str]:
    """A name for each method's files: its own, made plain, and no two alike."""
    names: list[str] = []
    for card in cards:
        name = re.sub(r"[^\w.-]+", "-", card.name).strip("-.") or "method"
        while name.lower() in map(str.lower, names):
            name += "-again"
        names.append(name)
    return names


def _method(card: ScoreCard, name: str, size: int) -> list[Step]:
    """Colour the line arts with the card's method, and score the outputs."""
    told = read_json(card.submission / SUBMISSION)
    told = told if isinstance(told, dict) else {}
    floor = str(told.get("model", card.name.lower()))
    model = floor if floor in FLOORS else RUN if told else ""
    given = " --hints hints.json" if card.hints or model in FLOORS[1:] else ""
    packed = card.submission.suffix if is_archive(card.submission) else ""
    out, file = shlex.quote(f"outputs/{name}{packed}"), shlex.quote(f"cards/{name}.json")
    title = "" if card.name == name else f" --name={shlex.quote(card.name)}"
    if set(card.metrics) in ({"fid"}, {"fd-dinov2"}):
        score = f"lacbench fid {out} data{_way(card)} --card {file}{title}{' --hints' * card.hints}"
    else:
        score = (
            f"lacbench score {out} data{_chosen(card)} -o {file}{title}{' --hints hints.json' * card.hints}"
        )
    if not model:
        what = "this archive: put it" if packed else "these outputs were not made by lacbench: put them"
        return [Step(score, f"{what} there first")]
    size = told["size"] if isinstance(told.get("size"), int) or told.get("size") == "original" else size
    cut = f" --tile {tile}" if isinstance(tile := told.get("tile"), int) and tile != TILE else ""
    colorize = f"lacbench colorize {model} data -o {out}{given} --size {size}{cut}"
    return [Step(colorize), Step(score)]


def _way(card: ScoreCard) -> str:
    """The options by which a card's one Fréchet distance was taken."""
    (told,) = card.metrics.values()
    protocol = str(told.get("protocol", "")).removesuffix(ON_WHITE).partition("@")[0]
    named = "" if protocol in ("", DEFAULT.name) else f" --protocol {shlex.quote(protocol)}"
    return named + " --skip-unreadable" * bool(told.get("skipped")) + " --infinity" * ("infinity" in told)


def _chosen(card: ScoreCard) -> str:
    """The option that takes the card's metrics, where they are not all of the usual ones."""
    taken = [m.name for m in METRICS.values() if card.metrics.keys() & set(m.figures)]
    usual = {metric.name for metric in METRICS.values() if metric.usual}
    return "" if usual == {*taken, *card.not_measured} or not taken else f" --metrics {','.join(taken)}"


def _hints_step(dataset: Dataset, hints: Hints | None) -> Step:
    """Draw the methods' hints; whether the command's seed gives the very same is tried on one line art."""
    hints = hints or {}
    count = max(map(len, hints.values()), default=0) or HINT_COUNT
    first = [m for m in dataset.linearts if m.record.sha256 in hints][:1]
    drawn = choose_hints(replace(dataset, linearts=tuple(first)), count, HINT_SEED)
    same = bool(first) and all(tuple(hints[key]) == value for key, value in drawn.items())
    comment = "" if same else "or the file that the methods were given"
    return Step(f"lacbench hints data -o hints.json --count {count} --seed {HINT_SEED}", comment)
