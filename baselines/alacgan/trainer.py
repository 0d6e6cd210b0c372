"""A training run: its folder, its checkpoints, its log; resumable to the bit."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lacbench.baselines.alacgan.checkpoint import load_header
from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.examples import choose_pairs, data_digest
from lacbench.baselines.alacgan.frozen import Frozen, load_frozen
from lacbench.baselines.alacgan.loader import open_loader
from lacbench.baselines.alacgan.prepare import open_examples
from lacbench.baselines.alacgan.step import Trainer
from lacbench.devices import choose_device
from lacbench.errors import InputError, LacbenchError
from lacbench.files import make_folder, write_json, write_text
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair

CHECKPOINT = "checkpoint.safetensors"
"""The checkpoint's name in a run's folder."""
RUN = "config.json"
"""The file that says what a run's folder holds: its configuration, and the digests of its data."""
LOG = "log.jsonl"
"""The losses' log in a run's folder: one JSON object a line."""


def train(
    dataset: Dataset,
    pairs: Sequence[Pair],
    config: Config,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = True,
    frozen: Frozen | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train the reference model on a data set's training illustrations.

    Run again on the same folder, it goes on from the last checkpoint, and ends where the uninterrupted run
    would have, to the bit on a CPU; a finished run is returned at once.

    Args:
        dataset: the data set; illustrations whose split is `train` are used.
        pairs: its pairs; those drawn at `config.size` are used.
        config: every number of the run.
        out: the run's folder: config.json, checkpoint.safetensors, log.jsonl.
        device: `cpu`, `cuda` or `cuda:N`.
        resume: whether to go on from the folder's checkpoint; else the run in it begins anew.
        frozen: the networks that are not trained; by default those of the configuration.
        progress: who listens.

    Returns:
        `out`.

    Raises:
        InputError: no pairs of that size, or a folder that holds something else.
        IntegrityError: a checkpoint cut short.
        MissingError: no such device, or no weights for the configuration.
        LacbenchError: a loss that is not finite.
    """
    progress, place = progress or Silent(), choose_device(device)
    chosen = choose_pairs(dataset, pairs, config.size)
    data = data_digest(dataset, chosen)
    checkpoint = find_checkpoint(out, config, data, resume=resume)
    if checkpoint and load_header(checkpoint).step >= config.steps:
        progress.say(f"train: {out} is finished, {config.steps} iterations")
        return out
    trainer = Trainer(config, frozen or load_frozen(config, progress), data, place)
    if checkpoint:
        trainer.load(checkpoint)
    elif (out / CHECKPOINT).exists():
        (out / CHECKPOINT).unlink()
    write_json(out / RUN, {"config": config.model_dump(mode="json"), "data": data})
    examples = open_examples(dataset, chosen, progress)
    with cpu_threads(config.threads), open_loader(examples, config, place) as batches:
        run(trainer, batches, out, progress)
    progress.say(f"train: {config.steps} iterations on {len(examples)} pictures, in {out}")
    return out


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let PyTorch compute on so many threads of the CPU; 0 leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_checkpoint(out: Path, config: Config, data: str, *, resume: bool) -> Path | None:
    """The checkpoint in `out` to go on from, if there is one; writes nothing.

    Raises InputError where the folder holds another run, or no run.
    """
    make_folder(out)
    file, checkpoint = out / RUN, out / CHECKPOINT
    if not file.exists() and any(out.iterdir()):
        raise InputError(f"{out} holds no run, but is not empty; choose another folder")
    if not resume or not checkpoint.exists():
        return None
    differing = _differing(file, {"config": config.model_dump(mode="json"), "data": data})
    if differing:
        raise InputError(
            f"{out} holds a run with another {', '.join(differing)}; choose another folder, or begin it "
            "anew with --no-resume"
        )
    return checkpoint


def _differing(file: Path, told: Mapping[str, object]) -> list[str]:
    """Names of what a run's folder was made with and `told` differs in."""
    try:
        runs: list[Any] = [json.loads(file.read_text("utf-8")), told]
        flat = [{"data": run["data"], **run["config"]} for run in runs]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} describes no run: {error}; choose another folder") from error
    return sorted(k for k in flat[0].keys() | flat[1].keys() if flat[0].get(k) != flat[1].get(k))


def run(trainer: Trainer, batches: Callable[[int], Batch], out: Path, progress: Progress) -> None:
    """Iterate to the configured end, logging and saving into `out`.

    Raises LacbenchError for a loss that is not finite; the last checkpoint stays as it was.
    """
    config, sums = trainer.config, dict[str, float]()
    log = _log_until(out / LOG, trainer.done)
    todo = range(trainer.done, config.steps)
    for _ in progress.track(todo, "train", total=len(todo)):
        terms = {name: float(value.detach()) for name, value in trainer.step(batches).items()}
        _check_finite(terms, trainer.done, out)
        sums = {name: sums.get(name, 0.0) + value for name, value in terms.items()}
        if trainer.done % config.log_every == 0:
            means = {name: value / config.log_every for name, value in sums.items()}
            log.append(json.dumps({"step": trainer.done, **means}))
            sums = {}
        if trainer.done % config.save_every == 0 or trainer.done == config.steps:
            write_text(out / LOG, "".join(f"{line}\n" for line in log))
            trainer.save(out / CHECKPOINT)


def _log_until(path: Path, step: int) -> list[str]:
    """Lines of an earlier log up to `step`: what came after the last checkpoint is done again."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() and step else []
    return [line for line in lines if json.loads(line)["step"] <= step]


def _check_finite(terms: Mapping[str, float], step: int, out: Path) -> None:
    wrong = [name for name, value in terms.items() if not math.isfinite(value)]
    if wrong:
        raise LacbenchError(
            f"iteration {step} gave a loss that is not finite ({', '.join(wrong)}); the last checkpoint that "
            f"was written in {out} is whole; lower the rate: --set learning_rate=…"
        )
