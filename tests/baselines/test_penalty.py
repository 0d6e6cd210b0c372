"""The gradient written out, against autograd differentiating twice."""

import pytest
import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan.losses import gradient_penalty, unit_norm
from lacbench.baselines.alacgan.networks import Critic, initialize
from lacbench.baselines.alacgan.penalty import image_gradient, linearize


def made(crop: int, local: int, dtype: torch.dtype, width: int = 8) -> tuple[Critic, list[Tensor]]:
    """A critic, and ŷ, y, the condition and α."""
    random = torch.Generator().manual_seed(crop + local)
    critic = Critic(width, 2, crop, local)
    initialize(critic, random)
    shape = (2, local, crop // 16, crop // 16) if local else (2, 1, crop, crop)
    given = [torch.randn(2, 3, crop, crop, generator=random) for _ in range(2)]
    given += [torch.rand(shape, generator=random), torch.rand(2, 1, 1, 1, generator=random)]
    return critic.to(dtype), [tensor.to(dtype) for tensor in given]


def both(crop: int, local: int, norm: str, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Value and parameters' gradients, by autograd and written out."""
    critic, (fake, real, condition, alpha) = made(crop, local, dtype)
    parameters = list(critic.parameters())
    told = []
    for penalty in (
        gradient_penalty(critic, fake, real, condition, alpha, norm),
        unit_norm(image_gradient(critic, alpha * real + (1 - alpha) * fake, condition), norm),
    ):
        found = torch.autograd.grad(penalty, parameters, allow_unused=True)
        told.append([penalty.detach(), *(torch.zeros(1, dtype=dtype) if g is None else g for g in found)])
    return told[0], told[1]


def apart(one: Tensor, other: Tensor) -> float:
    """Relative difference; 0 of two zeros."""
    return float((one - other).norm() / one.norm().clamp_min(1e-300))


@pytest.mark.parametrize("norm", ["pixel", "image"])
@pytest.mark.parametrize(("crop", "local"), [(64, 512), (64, 0), (128, 512), (128, 0), (256, 512)])
def test_it_is_autograds_to_the_last_digits_in_float64(crop: int, local: int, norm: str) -> None:
    expected, got = both(crop, local, norm, torch.float64)
    assert len(expected) > 20
    assert sum(bool(g.norm()) for g in expected[1:]) == len(expected) - 2  # all but the last bias
    assert max(map(apart, expected, got)) <= 1e-12


@pytest.mark.parametrize("norm", ["pixel", "image"])
@pytest.mark.parametrize("local", [512, 0])
def test_it_is_autograds_to_rounding_in_float32(local: int, norm: str) -> None:
    expected, got = both(128, local, norm, torch.float32)
    assert max(map(apart, expected, got)) <= 1e-4


@pytest.mark.parametrize("local", [512, 0])
def test_it_is_a_finite_difference(local: int) -> None:
    """Along a direction the critic changes by the gradient's product with it: an oracle without autograd."""
    critic, (image, direction, condition, _) = made(64, local, torch.float64)
    with torch.no_grad():
        gradient = image_gradient(critic, image, condition)
        step = 1e-6 * direction
        change = critic(image + step, condition) - critic(image - step, condition)
    expected = (gradient * 2 * step).sum(dim=(1, 2, 3))
    assert torch.allclose(change[:, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("size", [7, 8, 9])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 4, stride=2, padding=1),
        nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
        nn.Conv2d(4, 4, 3, stride=3, groups=4),
    ],
)
def test_any_convolution_has_its_adjoint(layer: nn.Conv2d, size: int) -> None:
    x = torch.randn(2, 4, size, size, requires_grad=True)
    y, adjoint = linearize(layer, x)
    g = torch.randn_like(y)
    assert torch.equal(y, layer(x))
    assert torch.allclose(adjoint(g), torch.autograd.grad(layer(x), x, g)[0], atol=1e-5)


def test_a_layer_that_is_not_written_out_is_refused() -> None:
    with pytest.raises(TypeError, match="the adjoint of Tanh is not written; take penalty=autograd"):
        linearize(nn.Tanh(), torch.zeros(1))
