"""LPIPS v0.1, the learned perceptual distance of two pictures.

Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018. Both pictures
go through a network that was trained to classify; at five depths the features are scaled to length 1 and
their squared differences weighted by channels as people judged, averaged over the picture, and added up.
"""

from typing import TYPE_CHECKING, Literal

from lacbench import weights
from lacbench.devices import choose_device
from lacbench.images import Array
from lacbench.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

Network = Literal["alexnet", "vgg16"]
TAPS = {"alexnet": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29)}
"""The layers of torchvision's `features` whose outputs are compared: the last ReLU of each resolution, and in
AlexNet those between."""
LINEAR = {"alexnet": "lpips-alex", "vgg16": "lpips-vgg"}
"""The weights of the channels."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Pictures in [−1, 1] become (x − SHIFT) / SCALE: ImageNet's standardization."""
TINY = 1e-10
"""Added to a feature's length before it is divided by."""


class Lpips:
    """LPIPS with its weights, ready to compare pictures."""

    def __init__(self, network: Network, *, device: str = "cpu", progress: Progress | None = None) -> None:
        """Hold `network` on `device` (torch's name for it); weights are fetched when needed.

        Raises what `weights.fetch` and `choose_device` raise.
        """
        weights.require_metrics()
        import torch
        from torchvision import models

        self.device = choose_device(device)
        self.digests = {name: weights.digest(name, progress=progress) for name in (network, LINEAR[network])}
        """SHA-256 of the weights, by their name."""
        with torch.device("meta"):  # nothing is drawn at random for a classifier that is not used
            layers = getattr(models, network)(weights=None).features
        state = {k.removeprefix("features."): v for k, v in weights.load(network).items()}
        layers.load_state_dict(state, assign=True)
        self._layers = layers[: TAPS[network][-1] + 1].eval().requires_grad_(False).to(self.device)
        self._taps = TAPS[network]
        linear = weights.load(LINEAR[network])
        self._linear = [linear[f"lin{i}"].to(self.device)[:, None, None] for i in range(len(self._taps))]

    def distance(self, a: Array, b: Array) -> float:
        """LPIPS of two pictures of one size, uint8 (H, W, 3) RGB each: 0 for equal ones, seldom above 1."""
        import torch

        # TF32, cuDNN's default, would cost three decimal digits.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            value = torch.zeros((), device=self.device)
            for features, linear in zip(self._features(a, b), self._linear, strict=True):
                first, second = features / (features.square().sum(dim=1, keepdim=True).sqrt() + TINY)
                value += (linear * (first - second).square()).sum(dim=0).mean()
        return float(value)

    def _features(self, a: Array, b: Array) -> "list[Tensor]":
        """Features (2, C, h, w) of both pictures at each of the five depths."""
        import torch

        batch = torch.stack([torch.tensor(picture, device=self.device) for picture in (a, b)])
        shift, scale = (torch.tensor(c, device=self.device)[:, None, None] for c in (SHIFT, SCALE))
        current = ((batch.permute(0, 3, 1, 2).float() / 127.5 - 1) - shift) / scale
        found = []
        for place, layer in enumerate(self._layers):
            current = layer(current)
            if place in self._taps:
                found.append(current)
        return found
