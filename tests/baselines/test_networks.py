"""The networks: parameter counts of the published model, shapes at any size, initial weights."""

import math

import pytest
import torch

from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.alacgan.frozen import LocalFeatures, Perceptual, VggLocalFeatures, freeze
from lacbench.baselines.alacgan.networks import (
    Block,
    Critic,
    Generator,
    count_parameters,
    initialize,
    make_critic,
    make_generator,
)

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("preset", "changes", "generator", "critic"),
    [
        ("official", {}, 21_936_003, 10_612_033),
        ("paper", {}, 22_111_363, 10_612_033),
        ("official", {"local_features": "none"}, 19_576_707, 8_255_873),
    ],
)
def test_parameter_counts(preset: str, changes: dict, generator: int, critic: int) -> None:
    config = make_config(preset, changes)
    with torch.device("meta"):
        assert count_parameters(make_generator(config)) == generator
        assert count_parameters(make_critic(config)) == critic


def test_parameter_counts_of_the_frozen_networks() -> None:
    with torch.device("meta"):
        assert count_parameters(LocalFeatures()) == 4_500_864
        assert count_parameters(Perceptual()) == 260_160


SMALL = {"width": 4, "groups": (2, 2, 2, 2), "dilations": ((1,), (2,), (4,), (1,))}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 48), (32, 112)])
def test_the_generator_keeps_any_size_that_is_a_multiple_of_16(height: int, width: int) -> None:
    generator = Generator(**SMALL)
    line_art, hint = torch.zeros(2, 1, height, width), torch.zeros(2, 4, height // 4, width // 4)
    local = torch.zeros(2, 512, height // 16, width // 16)
    colored = generator(line_art, hint, local)
    assert colored.shape == (2, 3, height, width)
    assert colored.abs().max() <= 1
    assert Generator(**SMALL, local_channels=0)(line_art, hint).shape == colored.shape


@pytest.mark.parametrize("crop", [64, 128])
def test_the_critic_judges_an_image_by_one_number(crop: int) -> None:
    image = torch.zeros(2, 3, crop, crop)
    assert Critic(8, 2, crop)(image, torch.zeros(2, 512, crop // 16, crop // 16)).shape == (2, 1)
    assert Critic(8, 2, crop, 0)(image, torch.zeros(2, 1, crop, crop)).shape == (2, 1)


@pytest.mark.parametrize("network", [LocalFeatures, VggLocalFeatures])
def test_local_features_have_512_channels_at_a_sixteenth(network: type) -> None:
    features = network()(torch.rand(1, 1, 64, 96) * 2 - 1)
    assert features.shape == (1, 512, 4, 6)
    assert features.min() >= 0


def test_a_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block, x = Block(8, 2, dilation=2), torch.randn(1, 8, 6, 6)
    inner = torch.nn.functional.leaky_relu(block.reduce(x), 0.2)
    inner = torch.nn.functional.leaky_relu(block.spatial(inner), 0.2)
    assert torch.equal(block(x), x + block.expand(inner))
    assert Block(8, 2, down=True)(x).shape == (1, 8, 3, 3)
    assert all(parameter.ndim == 4 for parameter in block.parameters())  # no biases


def test_hints_and_local_features_reach_the_output() -> None:
    torch.manual_seed(0)
    generator = Generator(**SMALL)
    line_art, hint, local = torch.zeros(1, 1, 32, 32), torch.zeros(1, 4, 8, 8), torch.zeros(1, 512, 2, 2)
    plain = generator(line_art, hint, local)
    hint[0, :, 3, 3] = 1
    assert not torch.equal(generator(line_art, hint, local), plain)
    assert not torch.equal(generator(line_art, torch.zeros_like(hint), local + 1), plain)


def test_initial_weights_ignore_groups_as_pytorch_0_4_did() -> None:
    block = Block(64, 32)
    initialize(block, torch.Generator().manual_seed(0))
    bound = 1 / math.sqrt(32 * 9)
    assert 0.9 * bound < block.spatial.weight.abs().max() <= bound
    again = Block(64, 32)
    initialize(again, torch.Generator().manual_seed(0))
    assert torch.equal(again.spatial.weight, block.spatial.weight)


def test_frozen_networks_learn_nothing_and_normalise_as_imagenet() -> None:
    state = {name: torch.zeros_like(value) for name, value in Perceptual().state_dict().items()}
    state["features.0.weight"][0, :, 1, 1] = torch.tensor([1.0, 10.0, 100.0])
    network = freeze(Perceptual(), {**state, "features.28.bias": torch.zeros(1)})
    assert not any(parameter.requires_grad for parameter in network.parameters())
    image = torch.tensor([0.2, -0.4, 0.9]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    first = network.features[0](((image + 1) / 2 - network.mean) / network.std)[0, 0, 4, 4]
    expected = (((image[0, :, 0, 0] + 1) / 2 - MEAN) / STD) @ torch.tensor([1.0, 10.0, 100.0])
    assert first.item() == pytest.approx(expected.item(), rel=1e-5)
