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
from lacbench.errors import RecipeError

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


ROWS = {
    "penalty_norm": ("pixel", "image"),
    "drift": ("batch", "image"),
    "hint_image": ("independent", "aligned"),
    "separate_batches": (True, False),
    "initialization": ("pytorch-0.4", "pytorch-0.4"),
}
"""Where the published code and the paper disagree: the key, the code's value, the paper's."""


@pytest.mark.parametrize("key", ROWS)
def test_each_disagreement_is_one_key(key: str) -> None:
    code, paper = ROWS[key]
    assert (getattr(make_config("official"), key), getattr(make_config("paper"), key)) == (code, paper)
    changed = make_config("official", {key: paper})
    assert changed == make_config("official").model_copy(update={key: paper})


def test_presets_differ_in_these_and_in_the_blocks() -> None:
    official, paper = make_config("official"), make_config("paper")
    both = [config.model_dump() for config in (official, paper)]
    differing = {name for name in both[0] if both[0][name] != both[1][name]}
    assert differing == {*ROWS, "dilations"} - {"initialization"}
    assert [len(stage) for stage in official.dilations] == [20, 8, 8, 5]
    assert [len(stage) for stage in paper.dilations] == [20, 10, 10, 5]


@pytest.mark.parametrize("preset", ["official", "paper"])
def test_ablations_are_one_key_each(preset: str) -> None:
    assert make_config(preset).adversarial
    assert not make_config(preset, {"adversarial": False}).adversarial
    assert make_config(preset, {"local_features": "none"}).local_features == "none"


@pytest.mark.parametrize("name", ["i2v", "features.pth", ".safetensors", 3])
def test_local_features_have_a_name_or_a_file(name: object) -> None:
    with pytest.raises(RecipeError, match="local_features: "):
        make_config("official", {"local_features": name})
    assert make_config("official", {"local_features": "a/b.safetensors"}).local_features == "a/b.safetensors"


def test_parameter_counts_of_the_frozen_networks() -> None:
    with torch.device("meta"):
        assert count_parameters(LocalFeatures()) == 4_500_864
        assert count_parameters(Perceptual()) == 260_160


SMALL = {"width": 4, "groups": (2, 2, 2, 2), "dilations": ((1,), (2,), (4,), (1,))}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 48), (32, 112)])
def test_the_generator_keeps_any_size_that_is_a_multiple_of_16(height: int, width: int) -> None:
    assert LocalFeatures()(torch.zeros(1, 1, height, width)).shape == (1, 512, height // 16, width // 16)
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


def test_initial_weights_may_be_todays() -> None:
    block = Block(64, 32)
    initialize(block, torch.Generator().manual_seed(0), "pytorch")
    todays = torch.nn.Conv2d(32, 32, 3, groups=32).weight  # uniform, by PyTorch itself
    bound = 1 / math.sqrt(9)
    assert 0.9 * bound < todays.abs().max() <= bound
    assert 0.9 * bound < block.spatial.weight.abs().max() <= bound
    assert 0.9 / 8 < block.reduce.weight.abs().max() <= 1 / 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_computes_what_a_cpu_does() -> None:
    torch.manual_seed(0)
    generator, critic = Generator(**SMALL), Critic(8, 2, 64)
    line_art, hint, local = torch.randn(1, 1, 64, 64), torch.randn(1, 4, 16, 16), torch.randn(1, 512, 4, 4)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        colored = generator(line_art, hint, local)
        score = critic(colored, local)
        on_gpu = [tensor.cuda() for tensor in (line_art, hint, local)]
        torch.testing.assert_close(generator.cuda()(*on_gpu).cpu(), colored, atol=1e-4, rtol=1e-3)
        judged = critic.cuda()(colored.cuda(), on_gpu[2])
        torch.testing.assert_close(judged.cpu(), score, atol=1e-4, rtol=1e-3)


def test_frozen_networks_learn_nothing_and_normalise_as_imagenet() -> None:
    state = {name: torch.zeros_like(value) for name, value in Perceptual().state_dict().items()}
    state["features.0.weight"][0, :, 1, 1] = torch.tensor([1.0, 10.0, 100.0])
    network = freeze(Perceptual(), {**state, "features.28.bias": torch.zeros(1)})
    assert not any(parameter.requires_grad for parameter in network.parameters())
    image = torch.tensor([0.2, -0.4, 0.9]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    first = network.features[0](((image + 1) / 2 - network.mean) / network.std)[0, 0, 4, 4]
    expected = (((image[0, :, 0, 0] + 1) / 2 - MEAN) / STD) @ torch.tensor([1.0, 10.0, 100.0])
    assert first.item() == pytest.approx(expected.item(), rel=1e-5)
