"""One iteration: the networks, their optimizers, a critic step and a generator step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan import distributed, fast, losses
from lacbench.baselines.alacgan.checkpoint import (
    Header,
    adam_tensors,
    check_same_run,
    fill,
    fill_adam,
    load_header,
    load_tensors,
    save_checkpoint,
)
from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch, mixing
from lacbench.baselines.alacgan.fast import Calls, Iterate, Terms
from lacbench.baselines.alacgan.frozen import Frozen, load_frozen
from lacbench.baselines.alacgan.networks import initialize, make_critic, make_generator
from lacbench.baselines.alacgan.watch import NonFinite, Watch
from lacbench.progress import Progress


@dataclass(frozen=True)
class View:
    """A batch as the networks see it."""

    batch: Batch
    """The batch, on the device."""
    condition: Tensor
    """What the critic is given beside the colour: here local features, or the line art."""
    fake: Tensor
    """ŷ: the generator's colours, (N, 3, H, W) in [-1, 1]."""


class Trainer:
    """Networks and optimizers, and one iteration.

    Of several processes (see `distributed`) each makes one, and is given its share of every batch. This is
    the reference model's; another one's says in the static methods what it is made of, and in `_view`,
    `_critic_step` and `_generator_terms` what it learns.
    """

    def __init__(
        self, config: Config, frozen: Frozen, data: str = "", device: torch.device | str = "cpu"
    ) -> None:
        random = torch.Generator().manual_seed(config.seed)
        self.config, self.data, self.device, self.done = config, data, torch.device(device), 0
        fast.check_switches(config, self.device)
        self.share = distributed.share(config.batch)
        self.weights = frozen.digests
        self.perceptual = frozen.perceptual.to(self.device)
        self.local = frozen.local_features.to(self.device) if frozen.local_features else None
        self.generator = self.make_generator(config)
        self.critic = self.make_critic(config) if config.adversarial else None
        self.adams = dict[str, torch.optim.Adam]()
        self.watch = Watch(self.device, lags=self.device.type == "cuda")
        for name, network in self._networks().items():
            self.initialize(network, random, config)
            network.to(self.device)
            self.adams[name] = fast.make_adam(network, config, self.device)
            if config.fused_adam and self.watch.lags:
                self.adams[name].found_inf = self.watch.found  # type: ignore[attr-defined]
        self._iterate: Iterate | None = None

    @staticmethod
    def load_frozen(config: Config, progress: Progress | None = None) -> Frozen:
        """The networks that are not trained; see `frozen.load_frozen`."""
        return load_frozen(config, progress)

    @staticmethod
    def make_generator(config: Config) -> nn.Module:
        """The configuration's generator, with PyTorch's own initial weights."""
        return make_generator(config)

    @staticmethod
    def make_critic(config: Config) -> nn.Module:
        """The configuration's critic, with PyTorch's own initial weights."""
        return make_critic(config)

    @staticmethod
    def initialize(network: nn.Module, random: torch.Generator, config: Config) -> None:
        """Draw a network's first weights."""
        initialize(network, random, config.initialization)

    @staticmethod
    def chance(config: Config, step: int) -> Tensor:
        """A step's random numbers beside its batches', (batch, …) on the CPU: here the penalty's α."""
        return mixing(config, step)

    def step(self, batches: Callable[[int], Batch]) -> Terms:
        """One iteration: a critic step, then a generator step.

        With `separate_batches` the generator's step takes a second batch, as in the published code; else
        both take the same one, and the generator runs once. Without `adversarial` there is only one step, and
        one batch.

        Args:
            batches: gives batch `number` of the run, on any device; of several processes, this one's share.

        Returns:
            The loss terms, means over all processes: scalars on the device, which reading waits for.

        Raises:
            NonFinite: a loss or gradient that is not finite. On a CPU at once, before weights are changed by
                it; on a GPU within `log_every` iterations, see `check`. `done` is then what it was before.
            LacbenchError: in the first step, a switch that cannot be had here, or changes the result.
        """
        config = self.config
        held = [batches(number).to(self.device) for number in self._numbers(self.done)]
        chance = self.chance(config, self.done)[self.share].to(self.device)
        rate = config.learning_rate if self.done < config.decay_at else config.late_learning_rate
        for adam in self.adams.values():
            fast.set_rate(adam, rate)
        if self._iterate is None:
            self._iterate = self._prepare(held, chance)
        terms = self._iterate(held, chance)
        self.done += 1
        if self.watch.lags and (self.done % config.log_every == 0 or self.done == config.steps):
            self.check(batches)
        return terms

    def iterate(self, calls: Calls, batches: Sequence[Batch], chance: Tensor) -> Terms:
        """One iteration on the device, without a word to the host."""
        if len(batches) == 2:
            with torch.no_grad():
                view = self._view(calls, batches[0], chance)
            terms = self._critic_step(calls, view, chance)
            view, critic_terms = self._view(calls, batches[1], chance), terms
        else:
            view = self._view(calls, batches[0], chance)
            critic_terms = self._critic_step(calls, view, chance) if self.critic is not None else {}
        terms = critic_terms | self._generator_step(calls, view)
        self.watch.count()
        return terms

    def _numbers(self, step: int) -> tuple[int, ...]:
        """Numbers of the batches that an iteration takes."""
        if self.config.separate_batches and self.config.adversarial:
            return 2 * step, 2 * step + 1
        return (step,)

    def _prepare(self, batches: Sequence[Batch], chance: Tensor) -> Iterate:
        """How iterations are computed from now on; see `fast`."""
        config = self.config
        calls = fast.plain_calls(config, self.generator, self.critic, self.perceptual, self.local)
        plain = fast.with_settings(partial(self.iterate, calls), tf32=False)
        if not fast.switches(config):
            return plain

        def make() -> Iterate:
            swift = partial(self.iterate, fast.fast_calls(calls, config, self.device))
            settled = fast.with_settings(swift, tf32=config.tf32)
            return fast.Graph(settled, batches, chance) if config.cuda_graphs else settled

        iterate = fast.verified(config, self.adams, plain, make, batches, chance)
        self.watch.reset(self.done)
        return iterate

    def check(self, batches: Callable[[int], Batch]) -> None:
        """Wait for the device; raises NonFinite where an iteration since the last check was. On a CPU, never.

        To be called before a checkpoint is written, other than after a multiple of `log_every` iterations.
        """
        good = self.watch.verdict()
        if good is not None:
            self.done = good
            batch = batches(self._numbers(good)[-1])
            raise NonFinite(good + 1, ["found on the device"], batch)

    def _view(self, calls: Calls, batch: Batch, chance: Tensor) -> View:
        local = calls.local_features(batch.line_art) if calls.local_features is not None else None
        fake = calls.generator(batch.line_art, batch.hint, local)
        return View(batch, batch.line_art if local is None else local, fake)

    def _critic_step(self, calls: Calls, view: View, alpha: Tensor) -> Terms:
        assert calls.critic is not None and calls.image_gradient is not None
        config, fake, real = self.config, view.fake.detach(), view.batch.color
        scores = calls.critic(torch.cat([fake, real]), torch.cat([view.condition] * 2))
        fakes, reals = scores.chunk(2)
        gradient = calls.image_gradient(alpha * real + (1 - alpha) * fake, view.condition)
        terms = {
            "wasserstein": losses.wasserstein(fakes, reals),
            "drift": losses.drift(reals, config.drift, distributed.mean),
            "penalty": losses.unit_norm(gradient, config.penalty_norm),
        }
        total = (
            terms["wasserstein"]
            + config.drift_weight * terms["drift"]
            + config.penalty_weight * terms["penalty"]
        )
        return self._descend("critic", total, terms, view.batch)

    def _generator_step(self, calls: Calls, view: View) -> Terms:
        if self.critic is not None:
            self.critic.requires_grad_(False)
        total, terms = self._generator_terms(calls, view)
        told = self._descend("generator", total, terms, view.batch)
        if self.critic is not None:
            self.critic.requires_grad_(True)
        return told

    def _generator_terms(self, calls: Calls, view: View) -> tuple[Tensor, Terms]:
        """The generator's loss, and the terms of it that are told."""
        config, fake, real = self.config, view.fake, view.batch.color
        with torch.no_grad():
            wanted = calls.perceptual(real)
        terms = {
            "content": losses.content(calls.perceptual(fake), wanted),
            "pixel": functional.l1_loss(fake, real),
        }
        total = terms["content"] + config.pixel_weight * terms["pixel"]
        if calls.critic is not None:
            terms["adversarial"] = -calls.critic(fake, view.condition).mean()
            total = total + config.adversarial_weight * terms["adversarial"]
        return total, terms

    def _descend(self, name: str, loss: Tensor, terms: Mapping[str, Tensor], batch: Batch) -> Terms:
        """Differentiate, average over the processes, look at the numbers, change the weights."""
        adam = self.adams[name]
        adam.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in adam.param_groups[0]["params"] if p.grad is not None]
        told = {term: value.detach().clone() for term, value in terms.items()}
        distributed.average([*gradients, *told.values()])
        norm = torch.nn.utils.get_total_norm(gradients)
        self.watch.look({**told, f"the {name}'s gradient": norm}, self.done + 1, batch)
        adam.step()
        return told

    def save(self, path: Path, beside: Mapping[str, Mapping[str, Tensor]] | None = None) -> None:
        """Write a checkpoint of everything that changes; see `load`. `beside`: parts that others add.

        Raises OutputError.
        """
        parts = dict(beside or {})
        for name, network in self._networks().items():
            parts |= {name: network.state_dict(), f"{name}_adam": adam_tensors(self.adams[name])}
        tensors = {f"{part}.{key}": value for part, held in parts.items() for key, value in held.items()}
        save_checkpoint(path, Header(self.config, self.done, self.data, self.weights), tensors)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same run. Raises InputError, IntegrityError."""
        header = load_header(path)
        check_same_run(header, Header(self.config, self.done, self.data, self.weights), path)
        for name, network in self._networks().items():
            fill(network, load_tensors(path, name), path)
            fill_adam(self.adams[name], load_tensors(path, f"{name}_adam"), path)
        self.done = header.step
        self.watch.reset(self.done)
        self._iterate = None  # a recorded graph has the old moments' places

    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator} | ({} if self.critic is None else {"critic": self.critic})
