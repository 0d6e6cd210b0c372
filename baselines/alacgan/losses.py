"""The terms of the two losses (arXiv:1808.03240, section 3.3)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def content(fake: Tensor, real: Tensor) -> Tensor:
    """Content loss, mean ‖φ(ŷ) − φ(y)‖² over all values (equation 4).

    Takes two maps of perceptual features, (N, C, H, W) each; returns a scalar.
    """
    return functional.mse_loss(fake, real)


def wasserstein(fake: Tensor, real: Tensor) -> Tensor:
    """The critic's Wasserstein term, E[D(ŷ)] − E[D(y)] (equation 2), of scores (N, 1); a scalar."""
    return fake.mean() - real.mean()


def drift(
    real: Tensor, over: Literal["batch", "image"], mean: Callable[[Tensor], Tensor] = torch.mean
) -> Tensor:
    """Keeps the critic's scores (N, 1) of real images near zero; a scalar.

    `image` is E[D(y)²] (Karras et al., 2018, appendix A.1), `batch` the published code's E[D(y)]²: its
    `mean` is one that several processes take together.
    """
    return mean(real).square() if over == "batch" else real.square().mean()


def unit_norm(gradient: Tensor, norm: Literal["pixel", "image"]) -> Tensor:
    """E[(‖g‖ − 1)²] of gradients (N, 3, H, W); a scalar.

    `image` takes one norm an image, as Gulrajani et al. (2017); `pixel` one norm a pixel, over its three
    channels, as the published code.
    """
    norms = torch.linalg.vector_norm(gradient, dim=1 if norm == "pixel" else (1, 2, 3))
    return torch.as_tensor((norms - 1).square().mean())


def gradient_penalty(
    critic: Callable[[Tensor, Tensor], Tensor],
    fake: Tensor,
    real: Tensor,
    condition: Tensor,
    alpha: Tensor,
    norm: Literal["pixel", "image"],
) -> Tensor:
    """E[(‖∇D(x̂)‖ − 1)²] at x̂ = α y + (1 − α) ŷ (Gulrajani et al., 2017), by differentiating twice.

    Args:
        critic: images (N, 3, H, W) and their conditions → scores (N, 1).
        fake: ŷ, (N, 3, H, W) in [-1, 1], detached.
        real: y, the same shape.
        condition: what the critic is given beside the image.
        alpha: (N, 1, 1, 1) in [0, 1].
        norm: see `unit_norm`.

    Returns:
        A scalar whose gradient reaches the critic's parameters.
    """
    return unit_norm(autograd_gradient(critic, alpha * real + (1 - alpha) * fake, condition), norm)


def autograd_gradient(critic: Callable[[Tensor, Tensor], Tensor], image: Tensor, condition: Tensor) -> Tensor:
    """∇D(x), (N, 3, H, W), of any critic; `penalty.image_gradient` is the same of ours, and faster."""
    image = image.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(image, condition).sum(), image, create_graph=True)
    return gradient
