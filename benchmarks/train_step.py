"""The training step against the published one, timed in turns.

    python benchmarks/train_step.py                                on a CPU: real widths, 128 × 128, batch 2
    python benchmarks/train_step.py ../shared/data/art             on a GPU: 512 × 512, batches of 4 and 16

The published step's semantics, from our own modules: the critic on real and on fake pictures in turn, the
gradient penalty by differentiating twice, a backward pass for each of the critic's three terms and for each
of the generator's two. Ours has the same gradients (tests/baselines/test_train_step.py), from one backward
pass for each network.

Both take the same batches; turns of a few steps alternate, and medians are compared, so that what else the
machine does slows both; on a CPU the process's own time is taken, which others' work does not lengthen by
much. On a GPU each form of ours is timed by CUDA events after a warm-up, with its peak
memory and its share of what the device could do in bf16 (--peak, in TFLOP/s), and with art given, the losses
of bf16 over some steps are put beside those of float32. Floating-point operations are counted, not estimated.
Frozen networks have random weights here: no time depends on them.
"""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does; before torch is imported

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lacbench.baselines.alacgan import losses
from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.data import Batch, mixing
from lacbench.baselines.alacgan.fast import with_settings
from lacbench.baselines.alacgan.frozen import Frozen, LocalFeatures, Perceptual
from lacbench.baselines.alacgan.step import Trainer
from lacbench.images import read, resize_shortest
from lacbench.xdog import xdog

Batches = Callable[[int], Batch]


def published_step(trainer: Trainer, batches: Sequence[Batch], alpha: Tensor) -> dict[str, Tensor]:
    """One iteration as published, on a trainer's networks and optimizers; returns the terms."""
    config, critic, generator = trainer.config, trainer.critic, trainer.generator
    assert critic is not None
    batch, adam = batches[0], trainer.adams["critic"]
    with torch.no_grad():
        local = trainer.local(batch.line_art) if trainer.local else None
        fake = generator(batch.line_art, batch.hint, local)
    condition = batch.line_art if local is None else local
    adam.zero_grad()
    fakes = critic(fake, condition).mean()
    fakes.backward()
    scores = critic(batch.color, condition)
    drift = losses.drift(scores, config.drift)
    (config.drift_weight * drift - scores.mean()).backward()
    penalty = losses.gradient_penalty(critic, fake, batch.color, condition, alpha, config.penalty_norm)
    (config.penalty_weight * penalty).backward()
    adam.step()
    told = {"wasserstein": fakes - scores.mean(), "drift": drift, "penalty": penalty}
    return told | _published_generator_step(trainer, batches[-1])


def _published_generator_step(trainer: Trainer, batch: Batch) -> dict[str, Tensor]:
    critic, adam = trainer.critic, trainer.adams["generator"]
    assert critic is not None
    critic.requires_grad_(False)
    adam.zero_grad()
    with torch.no_grad():
        local = trainer.local(batch.line_art) if trainer.local else None
        wanted = trainer.perceptual(batch.color)
    fake = trainer.generator(batch.line_art, batch.hint, local)
    score = critic(fake, batch.line_art if local is None else local).mean()
    (-trainer.config.adversarial_weight * score).backward(retain_graph=True)
    content = losses.content(trainer.perceptual(fake), wanted)
    content.backward()
    adam.step()
    critic.requires_grad_(True)
    return {"content": content, "adversarial": -score}


@dataclass(frozen=True)
class Contestant:
    """A form of the step."""

    name: str
    changes: dict[str, Any]
    published: bool = False


PUBLISHED = Contestant("published", {}, published=True)
OURS = Contestant("ours", {})
ON_A_GPU = (
    PUBLISHED,
    Contestant("published, TF32", {"tf32": True}, published=True),
    OURS,
    Contestant("ours, TF32", {"tf32": True}),
    Contestant("ours, bf16", {"precision": "bf16", "fused_adam": True}),
    Contestant("ours, bf16, graphs", {"precision": "bf16", "fused_adam": True, "cuda_graphs": True}),
    Contestant("ours, bf16, compiled", {"precision": "bf16", "fused_adam": True, "compile": True}),
    Contestant(
        "ours, bf16, compiled, graphs",
        {"precision": "bf16", "fused_adam": True, "compile": True, "cuda_graphs": True},
    ),
)


def make_frozen() -> Frozen:
    """Frozen networks of random weights, drawn so that features neither vanish nor explode."""
    torch.manual_seed(0)
    networks = (Perceptual(), LocalFeatures())
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        network.requires_grad_(False).eval()
    return Frozen(*networks)


def noise(config: Config, device: torch.device) -> Batches:
    """The same batch of noise for every number."""
    torch.manual_seed(0)
    n, side = config.batch, config.crop
    shapes = (n, 3, side, side), (n, 1, side, side), (n, 4, side // 4, side // 4)
    batch = Batch(*(torch.rand(shape) * 2 - 1 for shape in shapes)).to(device)
    return lambda number: batch


def pictures(art: Path, config: Config, device: torch.device, number: int = 128) -> Batches:
    """Batches of a folder's illustrations and their drawings, cut to the middle square, without hints."""
    side, colors, lines = config.crop, [], []
    for path in sorted((art / "illustrations").rglob("*.*"))[:number]:
        image = resize_shortest(read(path), side)
        top, left = ((length - side) // 2 for length in image.shape[:2])
        image = image[top : top + side, left : left + side]
        colors.append(torch.from_numpy(image.copy()).permute(2, 0, 1))
        lines.append(torch.from_numpy(xdog(image, 0.4))[None])
    color, line = (torch.stack(held).to(device).float() / 127.5 - 1 for held in (colors, lines))
    hint = torch.zeros(config.batch, 4, side // 4, side // 4, device=device)

    def batches(number: int) -> Batch:
        chosen = torch.randint(
            len(color), (config.batch,), generator=torch.Generator().manual_seed(number)
        ).to(device)
        return Batch(color[chosen], line[chosen], hint)

    return batches


def stepper(
    contestant: Contestant, config: Config, batches: Batches, device: torch.device
) -> Callable[[], Any]:
    """A fresh trainer, as a function that does one iteration and returns its terms."""
    trainer = Trainer(config.model_copy(update=contestant.changes), make_frozen(), device=device)
    if device.type == "meta":
        trainer.watch.lags = True  # without content nothing can be looked at
    if not contestant.published:
        return partial(trainer.step, batches)

    def iterate(held: Sequence[Batch], alpha: Tensor) -> dict[str, Tensor]:
        return published_step(trainer, held, alpha)

    settled = with_settings(iterate, tf32=bool(contestant.changes.get("tf32")))

    def step() -> dict[str, Tensor]:
        for adam in trainer.adams.values():
            adam.param_groups[0]["lr"] = config.learning_rate
        held = [batches(number) for number in trainer._numbers(trainer.done)]
        terms = settled(held, mixing(config, trainer.done).to(device))
        trainer.done += 1
        return terms

    return step


def timed(step: Callable[[], Any], steps: int, device: torch.device) -> list[float]:
    """Milliseconds of each of so many steps: of a GPU's clock, or of this process's work on all CPU cores."""
    if device.type != "cuda":
        told = []
        for _ in range(steps):
            start = time.process_time()
            step()
            told.append(1000 * (time.process_time() - start))
        return told
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [one.elapsed_time(other) for one, other in pairwise(marks)]


class Counter(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products.

    PyTorch's own FlopCounterMode fails inside `autograd.grad`, and its rule for a convolution's backward pass
    forgets groups.
    """

    flop = 0

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do it, and count it."""
        result = call(*args, **(kwargs or {}))
        if call.overloadpacket is torch.ops.aten.convolution_backward:
            gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
            places = (x if transposed else gradient).shape
            self.flop += 2 * places[0] * places[2:].numel() * weight.numel() * sum(wanted[:2])
        elif call.overloadpacket in flop_registry:
            self.flop += flop_registry[call.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def count(contestant: Contestant, config: Config) -> float:
    """GFLOP of an iteration, counted on tensors without content."""
    meta = torch.device("meta")
    step = stepper(Contestant("", {}, contestant.published), config, noise(config, meta), meta)
    with Counter() as counter:
        step()
    return counter.flop / 1e9


def measure(
    contestants: Iterable[Contestant],
    config: Config,
    device: torch.device,
    *,
    warm_up: int,
    turns: int,
    steps: int,
) -> dict[str, dict[str, Any]]:
    """Time contestants in turns; returns median ms a step, and peak GiB on a GPU, by name."""
    batches, runs, told = noise(config, device), {}, {}
    for contestant in contestants:
        base = _memory(device)
        try:
            run = stepper(contestant, config, batches, device)
            run()
            _memory(device)
            timed(run, warm_up, device)
        except RuntimeError as error:
            told[contestant.name] = {"refused": str(error).splitlines()[0]}
            continue
        runs[contestant.name] = run
        told[contestant.name] = {"ms": list[float]()}
        if device.type == "cuda":
            told[contestant.name]["peak_gib"] = (torch.cuda.max_memory_reserved() - base) / 2**30
    for _ in range(turns):
        for name, run in runs.items():
            told[name]["ms"] += timed(run, steps, device)
    for name in runs:
        told[name]["ms"] = statistics.median(told[name]["ms"])
    return told


def _memory(device: torch.device) -> int:
    """Bytes held on the GPU, after letting go of what is not used; the peak is counted from here."""
    if device.type != "cuda":
        return 0
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_reserved()


def compare_losses(art: Path, config: Config, device: torch.device, steps: int) -> dict[str, Any]:
    """Mean losses of the last tenth of so many steps, float32 and bf16, on the same pictures."""
    told = {}
    for precision in ("fp32", "bf16"):
        step = stepper(
            Contestant("", {"precision": precision}), config, pictures(art, config, device), device
        )
        kept = [step() for _ in range(steps)][-max(1, steps // 10) :]
        told[precision] = {name: float(torch.stack([t[name] for t in kept]).mean()) for name in kept[0]}
    return told


@click.command()
@click.argument("art", type=click.Path(path_type=Path), required=False)
@click.option("--size", type=int, help="Side of the pictures, in pixels.")
@click.option("--batch", "sizes", type=int, multiple=True, help="Pictures a batch; may be repeated.")
@click.option("--turns", type=int, help="Turns of each.")
@click.option("--losses", "loss_steps", default=1000, help="Steps of the comparison of bf16 with float32.")
@click.option("--peak", default=790.0, help="What the GPU does in bf16, in TFLOP/s.")
def main(
    art: Path | None,
    size: int | None,
    sizes: tuple[int, ...],
    turns: int | None,
    loss_steps: int,
    peak: float,
) -> None:
    """Time the step in the forms that this machine has; prints one JSON object a line."""
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    side = size or (512 if gpu else 128)
    _tell(device=torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} CPU threads", size=side)
    config = make_config("official", {"size": side, "crop": side})
    for batch in sizes or ((4, 16) if gpu else (2,)):
        config = config.model_copy(update={"batch": batch})
        flop = {c.published: count(c, config) for c in (PUBLISHED, OURS)}
        pace = (
            {"warm_up": 50, "turns": turns or 10, "steps": 20}
            if gpu
            else {"warm_up": 1, "turns": turns or 5, "steps": 1}
        )
        contestants = ON_A_GPU if gpu else (PUBLISHED, OURS)
        told = measure(contestants, config, device, **pace)
        for contestant in contestants:
            found = told[contestant.name]
            if "ms" in found:
                found["ratio"] = told["published"]["ms"] / found["ms"]
                found["gflop"] = flop[contestant.published]
                if gpu:
                    found["share_of_peak"] = found["gflop"] / found["ms"] / peak
            _tell(batch=batch, name=contestant.name, **found)
    if gpu and art and loss_steps:
        _tell(losses=compare_losses(art, config.model_copy(update={"batch": 4}), device, loss_steps))


def _tell(**values: Any) -> None:
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in values.items()}
    print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
