"""One iteration: the networks, their optimizers, a critic step and a generator step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
from lacbench.baselines.alacgan.data import Batch, mixing
from lacbench.baselines.alacgan.frozen import Frozen
from lacbench.baselines.alacgan.networks import initialize, make_critic, make_generator
from lacbench.errors import InputError


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
            initialize(network, random, config.initialization)
            network.to(self.device)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), betas=config.betas)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), betas=config.betas)

    def step(self, batches: Callable[[int], Batch]) -> dict[str, Tensor]:
        """One iteration: a critic step, then a generator step. Returns the loss terms, scalars.

        `batches` gives batch `number` of the run, on any device.

        With `separate_batches` the generator's step takes a second batch, as in the published code; else
        both take the same one, and the generator runs once.
        """
        config, step = self.config, self.done
        rate = config.learning_rate if step < config.decay_at else config.late_learning_rate
        if config.separate_batches:
            with torch.no_grad():
                view = self._view(batches(2 * step))
            terms = self._critic_step(view, rate)
            view = self._view(batches(2 * step + 1))
        else:
            view = self._view(batches(step))
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
