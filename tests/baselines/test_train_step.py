"""The step as published (benchmarks/train_step.py) has our gradients."""

import pytest
import torch

from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.alacgan.data import mixing
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.step import Trainer

from distributed_step import FORMS, SMALL, batches
from train_step import published_step


@pytest.mark.parametrize("form", FORMS)
def test_the_published_step_has_our_gradients(form: str) -> None:
    config = make_config("tiny", {**SMALL, **FORMS[form], "pixel_weight": 0.0, "separate_batches": True})
    torch.manual_seed(1)
    frozen = Frozen(Perceptual().double().requires_grad_(False), None)
    ours, theirs = Trainer(config, frozen), Trainer(config, frozen)
    for trainer in (ours, theirs):
        trainer.generator.double()
        trainer.critic.double()
    got = ours.step(lambda number: batches(config, number))
    for adam in theirs.adams.values():
        adam.param_groups[0]["lr"] = config.learning_rate
    expected = published_step(theirs, [batches(config, number) for number in (0, 1)], mixing(config, 0))
    assert got.keys() - {"pixel"} == expected.keys()
    for name, value in expected.items():
        assert got[name].item() == pytest.approx(value.item(), rel=1e-12)
    for one, other in ((ours.generator, theirs.generator), (ours.critic, theirs.critic)):
        for (name, mine), its in zip(one.named_parameters(), other.parameters(), strict=True):
            assert (mine.grad - its.grad).norm() <= 1e-10 * its.grad.norm().clamp_min(1e-12), name
