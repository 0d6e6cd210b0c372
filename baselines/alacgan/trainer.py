"""Training: one critic step and one generator step an iteration, resumable to the bit."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lacbench.baselines.alacgan import losses
from lacbench.baselines.alacgan.checkpoint import (
    Header,
    adam_tensors,
    fill,
    fill_adam,
    load_header,
    load_tensors,
    save_checkpoint,
)
from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import (
    Batch,
    Example,
    choose_pairs,
    data_digest,
    load_examples,
    make_batch,
    mixing,
)
from lacbench.baselines.alacgan.networks import (
    Frozen,
    initialize,
    load_frozen,
    make_critic,
    make_generator,
)
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
    examples = load_examples(dataset, chosen, progress)
    with cpu_threads(config.threads):
        run(trainer, examples, out, progress)
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


@dataclass(frozen=True)
class View:
    """A batch as the networks see it."""

    batch: Batch
    """The batch, on the device."""
    condition: Tensor
    """What the critic is given beside the colour: local features, or the line art."""
    fake: Tensor
    """ŷ: the generator's colours, (N, 3, H, W) in [-1, 1]."""


class Trainer:
    """Networks and optimizers, and one iteration."""

    def __init__(
        self, config: Config, frozen: Frozen, data: str = "", device: torch.device | str = "cpu"
    ) -> None:
        random = torch.Generator().manual_seed(config.seed)
        self.config, self.data, self.device, self.done = config, data, torch.device(device), 0
        self.weights = frozen.digests
        self.perceptual = frozen.perceptual.to(self.device)
        self.local = frozen.local_features.to(self.device) if frozen.local_features else None
        self.generator, self.critic = make_generator(config), make_critic(config)
        for network in (self.generator, self.critic):
            initialize(network, random)
            network.to(self.device)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), betas=config.betas)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), betas=config.betas)

    def step(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """One iteration: a critic step, then a generator step. Returns the loss terms, scalars.

        With `separate_batches` the generator's step takes a second batch, as in the published code; else
        both take the same one, and the generator runs once.
        """
        config, step = self.config, self.done
        rate = config.learning_rate if step < config.decay_at else config.late_learning_rate
        if config.separate_batches:
            with torch.no_grad():
                view = self._view(make_batch(examples, config, 2 * step))
            terms = self._critic_step(view, rate)
            view = self._view(make_batch(examples, config, 2 * step + 1))
        else:
            view = self._view(make_batch(examples, config, step))
            terms = self._critic_step(view, rate)
        terms |= self._generator_step(view, rate)
        self.done += 1
        return terms

    def _view(self, batch: Batch) -> View:
        batch = batch.to(self.device)
        local = self.local(batch.line_art) if self.local else None
        fake = self.generator(batch.line_art, batch.hint, local)
        return View(batch, batch.line_art if local is None else local, fake)

    def _critic_step(self, view: View, rate: float) -> dict[str, Tensor]:
        config, fake, real = self.config, view.fake.detach(), view.batch.color
        scores = self.critic(torch.cat([fake, real]), torch.cat([view.condition] * 2))
        fakes, reals = scores.chunk(2)
        alpha = mixing(config, self.done).to(self.device)
        terms = {
            "wasserstein": losses.wasserstein(fakes, reals),
            "drift": losses.drift(reals, config.drift),
            "penalty": losses.gradient_penalty(
                self.critic, fake, real, view.condition, alpha, config.penalty_norm
            ),
        }
        total = (
            terms["wasserstein"]
            + config.drift_weight * terms["drift"]
            + config.penalty_weight * terms["penalty"]
        )
        _descend(self.critic_adam, total, rate)
        return terms

    def _generator_step(self, view: View, rate: float) -> dict[str, Tensor]:
        config, fake, real = self.config, view.fake, view.batch.color
        self.critic.requires_grad_(False)
        with torch.no_grad():
            wanted = self.perceptual(real)
        terms = {
            "content": losses.content(self.perceptual(fake), wanted),
            "adversarial": -self.critic(fake, view.condition).mean(),
            "pixel": functional.l1_loss(fake, real),
        }
        total = (
            terms["content"]
            + config.adversarial_weight * terms["adversarial"]
            + config.pixel_weight * terms["pixel"]
        )
        _descend(self.generator_adam, total, rate)
        self.critic.requires_grad_(True)
        return terms

    def save(self, path: Path) -> None:
        """Write a checkpoint of everything that changes; see `load`."""
        parts = {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "generator_adam": adam_tensors(self.generator_adam),
            "critic_adam": adam_tensors(self.critic_adam),
        }
        tensors = {f"{part}.{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        save_checkpoint(path, Header(self.config, self.done, self.data, self.weights), tensors)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same run. Raises InputError, IntegrityError."""
        header = load_header(path)
        if (header.config, header.data, header.weights) != (self.config, self.data, dict(self.weights)):
            raise InputError(f"{path} is another run's; put this run's back, or begin anew with --no-resume")
        fill(self.generator, load_tensors(path, "generator"), path)
        fill(self.critic, load_tensors(path, "critic"), path)
        fill_adam(self.generator_adam, load_tensors(path, "generator_adam"), path)
        fill_adam(self.critic_adam, load_tensors(path, "critic_adam"), path)
        self.done = header.step


def _descend(adam: torch.optim.Adam, loss: Tensor, rate: float) -> None:
    for group in adam.param_groups:
        group["lr"] = rate
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


def run(trainer: Trainer, examples: Sequence[Example], out: Path, progress: Progress) -> None:
    """Iterate to the configured end, logging and saving into `out`.

    Raises LacbenchError for a loss that is not finite; the last checkpoint stays as it was.
    """
    config, sums = trainer.config, dict[str, float]()
    log = _log_until(out / LOG, trainer.done)
    todo = range(trainer.done, config.steps)
    for _ in progress.track(todo, "train", total=len(todo)):
        terms = {name: float(value.detach()) for name, value in trainer.step(examples).items()}
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
