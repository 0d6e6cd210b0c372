"""The smallest reference model that trains, for tests of what is around it."""

from pathlib import Path

import torch

from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, Header, save_checkpoint
from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.networks import initialize, make_generator

SMALL = {
    "size": 64,
    "generator_width": 4,
    "groups": [2, 2, 2, 2],
    "dilations": [[1], [2], [1], [1]],
    "critic_groups": 2,
    "critic_width": 4,
    "local_features": "none",
    "batch": 2,
    "steps": 5,
    "log_every": 1,
    "save_every": 5,
}


def config(**changes: object) -> Config:
    return make_config("tiny", {**SMALL, **changes})


def frozen() -> Frozen:
    """A perceptual network of made-up weights: no test asks a registry for a real one."""
    torch.manual_seed(1)
    return Frozen(Perceptual().requires_grad_(False).eval(), None)


def made_run(
    folder: Path, seed: int = 0, *, weights: dict[str, str] | None = None, **changes: object
) -> Path:
    """A run's folder with a generator that was never trained, of made-up weights strong enough to colour."""
    settings = config(**changes)
    generator = make_generator(settings)
    initialize(generator, torch.Generator().manual_seed(seed))
    tensors = {f"generator.{name}": 2 * tensor for name, tensor in generator.state_dict().items()}
    save_checkpoint(folder / CHECKPOINT, Header(settings, 7, "da7a", weights or {}), tensors)
    return folder
