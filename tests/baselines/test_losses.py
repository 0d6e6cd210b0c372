"""The loss terms against closed forms."""

import pytest
import torch

from lacbench.baselines.alacgan.losses import content, drift, gradient_penalty, wasserstein


def linear(image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """A critic whose gradient is the condition everywhere."""
    return (image * condition).sum(dim=(1, 2, 3))[:, None]


def test_content_is_the_mean_square() -> None:
    assert content(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])).item() == 2.5


def test_wasserstein_and_the_two_drifts() -> None:
    fake, real = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [-1.0]])
    assert wasserstein(fake, real).item() == 0.5
    assert drift(real, "batch").item() == 1.0
    assert drift(real, "image").item() == 5.0


@pytest.mark.parametrize("norm", ["image", "pixel"])
def test_the_penalty_of_a_linear_critic_is_its_closed_form(norm: str) -> None:
    torch.manual_seed(0)
    fake, real, weight = (torch.randn(2, 3, 4, 5, dtype=torch.float64) for _ in range(3))
    alpha = torch.rand(2, 1, 1, 1, dtype=torch.float64)
    norms = weight.square().sum(dim=1 if norm == "pixel" else (1, 2, 3)).sqrt()
    expected = (norms - 1).square().mean()
    penalty = gradient_penalty(linear, fake, real, weight, alpha, norm)
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_penalty_reaches_the_critics_parameters_twice_differentiated() -> None:
    """D(x) = w·x²/2 has the gradient w·x, so d/dw of (|w·x| − 1)² is 2 (|w·x| − 1) |x| for w > 0."""
    weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    x = torch.full((1, 1, 1, 1), 2.0, dtype=torch.float64)

    def critic(image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return (weight * image.square() / 2).sum(dim=(1, 2, 3))[:, None]

    gradient_penalty(critic, x, x, x, torch.ones_like(x), "image").backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(2 * (6 - 1) * 2, rel=1e-12)


def test_the_penalty_is_taken_between_fake_and_real() -> None:
    seen = []

    def critic(image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        seen.append(image.detach())
        return linear(image, condition)

    fake, real = torch.zeros(2, 3, 1, 1), torch.ones(2, 3, 1, 1)
    gradient_penalty(critic, fake, real, real, torch.tensor([0.25, 1.0]).view(2, 1, 1, 1), "image")
    assert seen[0][:, 0, 0, 0].tolist() == [0.25, 1.0]
