"""A training of local features: a saved state, and in its place the file at last; resumable to the bit."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

import lacbench
from lacbench.baselines.alacgan.checkpoint import KEY, load_tensors, write_tensors
from lacbench.baselines.alacgan.frozen import FORMAT, save_local_features
from lacbench.baselines.alacgan.interrupts import Interrupts
from lacbench.baselines.alacgan.meter import Meter
from lacbench.baselines.features.check import check, compared
from lacbench.baselines.features.config import FREE, FeaturesConfig
from lacbench.baselines.features.learner import Learner
from lacbench.baselines.features.views import (
    data_digest,
    label,
    read_grey,
    training_members,
    views_ahead,
    vocabulary,
)
from lacbench.devices import choose_device
from lacbench.errors import InputError, IntegrityError, LacbenchError
from lacbench.files import make_folder
from lacbench.images import Array
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Member

STATE: Final = "lacbench.local-features-state/1"
"""Layout of the saved states."""
LOADERS: Final = 8
"""At most so many threads make a GPU's views; a CPU that trains has one."""
TAKE: Final = 10
"""Iterations between two looks at speed and loss."""


def train_features(
    dataset: Dataset,
    config: FeaturesConfig,
    out: Path,
    *,
    device: str = "cpu",
    against: Mapping[str, nn.Module] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train local features on a data set's training illustrations, check them, and write them to a file.

    The file is what `Config.local_features` of the reference model takes. Until it is there a state lies
    beside it, from which the same call goes on, to the bit on a CPU; where the file is there already, nothing
    is done. Ctrl-C and SIGTERM end it after the iteration at hand, with its state saved.

    Args:
        dataset: the data set; its line arts, and illustrations whose split is not `train`, only serve the
            check.
        config: every number of the training.
        out: the file, `….safetensors`.
        device: `cpu`, `cuda`, `cuda:N`, or `auto`.
        against: the networks that the check compares with; by default random weights and VGG16.
        progress: who listens.

    Returns:
        What the file says of itself: `config`, `data`, `objective`, `tags` (how many), `step`, `versions`,
        `check`.

    Raises:
        InputError: too little to learn from, or a file in the way that is not this training's.
        IntegrityError: a saved state cut short.
        MissingError: no such device.
        OutputError: the file cannot be written.
        LacbenchError: a loss that is not finite.
        KeyboardInterrupt, SystemExit: Ctrl-C, SIGTERM; the state is saved.
    """
    progress, place = progress or Silent(), choose_device(device)
    if out.suffix != ".safetensors":
        raise InputError(f"{out} cannot be local features; expected a name that ends with .safetensors")
    members = training_members(dataset, config.batch)
    data, state = data_digest(dataset, members, config.objective), state_file(out)
    if told := finished(out, config, data):
        state.unlink(missing_ok=True)
        progress.say(f"train-features: {out} is finished, {config.steps} iterations")
        return told
    words = _words(dataset, members, config)
    learner = Learner(config, label(members, words) if words else None, place)
    start = learner.local_features()
    training = Training(learner, state, data, progress)
    training.resume()
    make_folder(out.parent)
    training.until_done(read_grey(dataset, members, 2 * config.size, progress))
    network = learner.local_features()
    others = compared(start, progress) if against is None else against
    figures = check({"trained": network, **others}, dataset, config, place, progress)
    told = {**_header(config, data, learner.done), "tags": len(words), "check": figures}
    save_local_features(out, network, told)
    state.unlink(missing_ok=True)
    return told


def state_file(out: Path) -> Path:
    """Where the state of an unfinished training lies."""
    return out.with_name(f"{out.stem}.state.safetensors")


def finished(out: Path, config: FeaturesConfig, data: str) -> dict[str, Any] | None:
    """What the file says of itself if this training has written it already; None where there is none.

    Raises InputError for another file, and one of another training.
    """
    if not out.exists():
        return None
    told = _read_header(out)
    _check_same(out, told, config, data, FORMAT)
    return {name: value for name, value in told.items() if name != "format"}


class Training:
    """A learner with its saved state."""

    def __init__(self, learner: Learner, state: Path, data: str, progress: Progress) -> None:
        self.learner, self.state, self.data, self.progress = learner, state, data, progress
        self.meter = Meter()

    def resume(self) -> None:
        """Go on from the saved state, if there is one. Raises InputError, IntegrityError."""
        if not self.state.exists():
            return
        told = _read_header(self.state)
        _check_same(self.state, told, self.learner.config, self.data, STATE)
        parts = {part: load_tensors(self.state, part) for part in ("network", "head", "adam")}
        self.learner.load(parts, int(told["step"]), self.state)

    def until_done(self, pictures: Sequence[Array]) -> None:
        """Iterate to the end, or until a signal asks to stop; either way the state is saved then.

        Raises LacbenchError for a loss that is not finite, and what the signal says.
        """
        learner, config, stop = self.learner, self.learner.config, Interrupts()
        threads = min(LOADERS, os.cpu_count() or 1) if learner.device.type == "cuda" else 1
        todo = range(learner.done, config.steps)
        with stop, closing(views_ahead(pictures, config, todo, threads)) as batches:
            for _ in self.progress.track(todo, "train features", len(todo), self.meter.detail):
                begun = time.perf_counter()
                views = next(batches)
                waited = time.perf_counter() - begun
                loss = learner.step(views)
                self.meter.add({"loss": loss}, time.perf_counter() - begun, waited)
                if (learner.done - todo.start) % TAKE == 0:
                    self.meter.take(TAKE)
                if stop.asked or learner.done % config.save_every == 0 or learner.done == config.steps:
                    self.save(float(loss))
                if stop.asked:
                    break
        if stop.asked:
            self.progress.say(
                f"train-features: stopped after iteration {learner.done}, saved in {self.state}"
            )
        stop.leave()

    def save(self, loss: float) -> None:
        """Write the state, atomically. Raises LacbenchError where the loss is not finite."""
        learner = self.learner
        if not math.isfinite(loss):  # then the weights are not either, and stay so until a save finds out
            raise LacbenchError(
                f"the loss of iteration {learner.done} is not finite; {self.state} has a state before it; "
                "take it away, and try another --seed or a larger --batch"
            )
        told = {**_header(learner.config, self.data, learner.done), "format": STATE}
        write_tensors(self.state, learner.tensors(), told)


def _words(dataset: Dataset, members: Sequence[Member], config: FeaturesConfig) -> list[str]:
    """The tags that are learned; none for the contrast."""
    words = vocabulary(members) if config.objective == "tags" else []
    if config.objective == "tags" and not words:
        raise InputError(
            f"{dataset.folder} has no tags that are on several of its illustrations, but not on all; "
            "take --objective contrast"
        )
    return words


def _header(config: FeaturesConfig, data: str, step: int) -> dict[str, Any]:
    """What the file and its state say of the training."""
    return {
        "config": config.model_dump(mode="json"),
        "data": data,
        "objective": config.objective,
        "step": step,
        "versions": {"lacbench": lacbench.__version__, "torch": torch.__version__},
    }


def _check_same(path: Path, told: Mapping[str, Any], config: FeaturesConfig, data: str, form: str) -> None:
    """Raise InputError where a file is not this training's."""
    wanted = {**config.model_dump(mode="json"), "data": data}
    got = {**dict(told.get("config") or {}), "data": told.get("data")}
    names = sorted(n for n in wanted.keys() | got.keys() if n not in FREE and wanted.get(n) != got.get(n))
    if told.get("format") != form:
        raise InputError(f"{path} is there, and no {form}; choose another file")
    if names:
        raise InputError(
            f"{path} is of a training with another {', '.join(names)}; choose another file, or take it away"
        )


def _read_header(path: Path) -> dict[str, Any]:
    """What a file says of itself; empty where it says nothing. Raises IntegrityError for a broken one."""
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (SafetensorError, ValueError) as error:
        raise IntegrityError(f"{path} is no whole safetensors file: {error}; take it away") from error
    return told if isinstance(told, dict) else {}
