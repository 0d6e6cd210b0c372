"""The critic's gradient with respect to its image, written out.

The critic is piecewise linear: where no activation changes its side, its gradient is a chain of transposed
convolutions, with the activations' slopes held fixed. Written out as that chain, the gradient penalty
(Gulrajani et al., 2017) needs an ordinary backward pass, where autograd would differentiate twice; the result
is the same, since the slopes' own derivatives are zero almost everywhere.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.networks import Activation, Block, Critic

Adjoint = Callable[[Tensor], Tensor]
"""Gradient with respect to a layer's result → with respect to its argument."""

SLOPE = 0.2
"""Of φ, below zero."""
_PHI = Activation()


def image_gradient(critic: Critic, image: Tensor, condition: Tensor) -> Tensor:
    """∇D(x) with respect to the image alone: (N, 3, H, W), as `image`; arguments as the critic's own.

    The result can be differentiated with respect to the critic's parameters, not with respect to `image`.
    """
    if critic.conditioned_late:
        seen, look = linearize(critic.look, image)
        score, judge = linearize(critic.judge, torch.cat([seen, condition], 1), seen.shape[1])
        return look(judge(torch.ones_like(score)))
    whole = [*critic.look, *critic.judge]
    score, adjoint = _chain(whole, torch.cat([image, condition], 1), image.shape[1])
    return adjoint(torch.ones_like(score))


def linearize(layer: nn.Module, x: Tensor, channels: int | None = None) -> tuple[Tensor, Adjoint]:
    """What a layer makes of `x`, without a graph, and the adjoint of its derivative there.

    With `channels`, which only a convolution without groups takes, the adjoint's result has the gradient
    with respect to so many of the first channels. Raises TypeError for a layer that the critic has not.
    """
    if isinstance(layer, nn.Sequential):
        return _chain([*layer], x, channels)
    if isinstance(layer, Block):
        return _block(layer, x)
    with torch.no_grad():
        y = layer(x)
    if isinstance(layer, nn.Conv2d):
        return y, partial(_transposed, layer, x.shape[2:], channels)
    if isinstance(layer, Activation):
        # Autograd's own formula; it can be differentiated with respect to its first argument.
        return y, lambda g: torch.ops.aten.leaky_relu_backward(g, x, SLOPE, False)
    if isinstance(layer, nn.Flatten):
        return y, lambda g: g.reshape(x.shape)
    if isinstance(layer, nn.Linear):
        return y, lambda g: g @ layer.weight
    raise TypeError(f"the adjoint of {type(layer).__name__} is not written; take penalty=autograd")


def _chain(layers: Sequence[nn.Module], x: Tensor, channels: int | None = None) -> tuple[Tensor, Adjoint]:
    adjoints = list[Adjoint]()
    for number, layer in enumerate(layers):
        x, adjoint = linearize(layer, x, None if number else channels)
        adjoints.append(adjoint)

    def back(g: Tensor) -> Tensor:
        for adjoint in reversed(adjoints):
            g = adjoint(g)
        return g

    return x, back


def _block(block: Block, x: Tensor) -> tuple[Tensor, Adjoint]:
    branch, back = _chain([block.reduce, _PHI, block.spatial, _PHI, block.expand], x)
    if not block.down:
        return x + branch, lambda g: g + back(g)
    skip = functional.avg_pool2d(x, 2)
    return skip + branch, lambda g: functional.interpolate(g, scale_factor=2.0) / 4 + back(g)


def _transposed(convolution: nn.Conv2d, size: Sequence[int], channels: int | None, g: Tensor) -> Tensor:
    """A convolution's adjoint. `size` is its argument's (H, W), which its result's does not tell."""
    weight = convolution.weight if channels is None else convolution.weight[:, :channels]
    padding = tuple(int(side) for side in convolution.padding)
    spare = tuple(
        size[i]
        - (g.shape[2 + i] - 1) * convolution.stride[i]
        + 2 * padding[i]
        - convolution.dilation[i] * (convolution.kernel_size[i] - 1)
        - 1
        for i in (0, 1)
    )
    return functional.conv_transpose2d(
        g, weight, None, convolution.stride, padding, spare, convolution.groups, convolution.dilation
    )
