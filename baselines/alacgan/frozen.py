"""The networks that are not trained: they look at line art (local features) and at colour (content loss)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.config import Config
from lacbench.errors import MissingError
from lacbench.progress import Progress, Silent

I2V_MEAN = (164.76139251, 167.47864617, 181.13838569)
"""What Illustration2Vec subtracts from its input, BGR in 0–255."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
P: Final = 0
"""A 2×2 max-pool in a list of layers' channels."""


def _plain(layers: Sequence[int], inputs: int = 3) -> nn.Sequential:
    """3×3 convolutions with ReLU, and max-pools in ceil mode, as Caffe has them."""
    modules: list[nn.Module] = []
    for channels in layers:
        if channels == P:
            modules.append(nn.MaxPool2d(2, ceil_mode=True))
        else:
            modules += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = channels
    return nn.Sequential(*modules)


class LocalFeatures(nn.Module):
    """The local features network: Illustration2Vec (tag version) up to its 6th convolution's ReLU."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = _plain((64, P, 128, P, 256, 256, P, 512, 512))
        self.register_buffer("mean", torch.tensor(I2V_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, line_art: Tensor) -> Tensor:
        """Line art (N, 1, H, W) in [-1, 1] → (N, 512, H/16, W/16), not negative."""
        grey = (functional.avg_pool2d(line_art, 2) + 1) * 127.5
        return torch.as_tensor(self.features(grey - self.mean))


class Vgg(nn.Module):
    """VGG16 for ImageNet, up to some layer, under torchvision's names. Takes RGB in [-1, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[int]) -> None:
        super().__init__()
        self.features = _plain(layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [-1, 1] → the last layer's (N, C, H', W'), not negative."""
        return torch.as_tensor(self.features(((image + 1) / 2 - self.mean) / self.std))


class Perceptual(Vgg):
    """What the content loss compares: VGG16 up to its 4th convolution's ReLU, relu2_2 (128 channels, H/2)."""

    def __init__(self) -> None:
        super().__init__((64, 64, P, 128, 128))


class VggLocalFeatures(Vgg):
    """Local features from VGG16 up to relu4_2, for those who have no Illustration2Vec."""

    def __init__(self) -> None:
        super().__init__((64, 64, P, 128, 128, P, 256, 256, 256, P, 512, 512))

    def forward(self, image: Tensor) -> Tensor:
        """Line art (N, 1, H, W) in [-1, 1] → (N, 512, H/16, W/16), not negative."""
        return super().forward(functional.avg_pool2d(image, 2).expand(-1, 3, -1, -1))


@dataclass(frozen=True)
class Frozen:
    """The networks that are not trained."""

    perceptual: nn.Module
    """Colour (N, 3, H, W) in [-1, 1] → the features that the content loss compares."""
    local_features: nn.Module | None
    """Line art (N, 1, H, W) in [-1, 1] → (N, 512, H/16, W/16); None for a model without."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the weights, by their name."""


def load_frozen(config: Config, progress: Progress | None = None) -> Frozen:
    """The frozen networks of a configuration, with their pretrained weights, on the CPU.

    Raises MissingError where the weights cannot be had at all, FetchError where they cannot be fetched now.
    """
    from lacbench import weights  # here, so that networks can be made where nothing can be fetched

    if config.local_features == "illustration2vec":
        raise MissingError(
            "Illustration2Vec's local features cannot be had yet; take VGG16's: --set local_features=vgg16"
        )
    state = weights.load("vgg16", progress=progress or Silent())
    local = VggLocalFeatures() if config.local_features == "vgg16" else None
    return Frozen(
        perceptual=freeze(Perceptual(), state),
        local_features=freeze(local, state) if local else None,
        digests={"vgg16": weights.digest("vgg16")},
    )


def freeze(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Fill a network from `state`, which may hold more, and take its parameters out of training."""
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return network.requires_grad_(False).eval()
