"""What tests of colorizing share: training runs that were never trained."""

from pathlib import Path

import torch

from lacbench.baselines.alacgan.checkpoint import Header, save_checkpoint
from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.alacgan.networks import initialize, make_generator
from lacbench.baselines.alacgan.trainer import CHECKPOINT

SMALL = {
    "size": 64,
    "generator_width": 4,
    "groups": [2, 2, 2, 2],
    "dilations": [[1], [2], [1], [1]],
    "critic_groups": 2,
    "critic_width": 4,
    "local_features": "none",
}


def made_run(
    folder: Path, seed: int = 0, *, weights: dict[str, str] | None = None, **changes: object
) -> Path:
    """A run's folder with a small generator of made-up weights, strong enough to colour."""
    config = make_config("tiny", {**SMALL, **changes})
    generator = make_generator(config)
    initialize(generator, torch.Generator().manual_seed(seed))
    tensors = {f"generator.{name}": 2 * tensor for name, tensor in generator.state_dict().items()}
    save_checkpoint(folder / CHECKPOINT, Header(config, 7, "da7a", weights or {}), tensors)
    return folder
