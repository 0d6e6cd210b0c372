"""What one process of a distributed step does; see test_distributed.py, which starts it.

python -m torch.distributed.run --nproc-per-node 2 tests/baselines/distributed_step.py OUT
"""

import sys

import torch
from safetensors.torch import save_file

from lacbench.baselines.alacgan import distributed
from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.step import Trainer

from small import SMALL as SMALLEST

SMALL = {**SMALLEST, "drift_weight": 1.0, "batch": 4}
FORMS = {
    "batch-pixel": {"drift": "batch", "penalty_norm": "pixel", "separate_batches": True},
    "image-image": {"drift": "image", "penalty_norm": "image"},
    "batch-image": {"drift": "batch", "penalty_norm": "image", "separate_batches": True},
    "image-pixel": {"drift": "image", "penalty_norm": "pixel"},
}
"""Every form of the drift and of the penalised norm."""


def batches(config: Config, number: int) -> Batch:
    """This process's share of batch `number`: noise of the number's own, in float64."""
    random = torch.Generator().manual_seed(number)
    n, side = config.batch, config.crop
    shapes = {
        "color": (n, 3, side, side),
        "line_art": (n, 1, side, side),
        "hint": (n, 4, side // 4, side // 4),
    }
    drawn = {k: torch.rand(s, generator=random, dtype=torch.float64) * 2 - 1 for k, s in shapes.items()}
    # Unlike halves, so that means of squares differ from squares of means.
    drawn["color"][n // 2 :] *= 0.1
    mine = distributed.share(n)
    return Batch(**{name: tensor[mine] for name, tensor in drawn.items()})


def two_steps(config: Config) -> dict[str, torch.Tensor]:
    """Terms of two steps, and both networks' gradients of the second, in float64."""
    torch.manual_seed(1)
    trainer = Trainer(config, Frozen(Perceptual().double().requires_grad_(False), None))
    for network in (trainer.generator, trainer.critic):
        network.double()
    told = {}
    for number in range(2):
        terms = trainer.step(lambda n: batches(config, n))
        told |= {f"{number}.{name}": value for name, value in terms.items()}
    for name, network in (("generator", trainer.generator), ("critic", trainer.critic)):
        told |= {f"{name}.{key}": p.grad for key, p in network.named_parameters()}
    return {name: value.contiguous() for name, value in told.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined(torch.device("cpu")):
        found = {
            f"{form}.{name}": value
            for form, changes in FORMS.items()
            for name, value in two_steps(make_config("tiny", {**SMALL, **changes})).items()
        }
        distributed.barrier()
        if distributed.is_main():
            save_file(found, sys.argv[1])
