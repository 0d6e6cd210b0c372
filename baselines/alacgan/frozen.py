"""The networks that are not trained: they look at line art (local features) and at colour (content loss)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan.checkpoint import KEY, Header, write_tensors
from lacbench.baselines.alacgan.config import Config
from lacbench.errors import InputError, IntegrityError
from lacbench.files import sha256_file
from lacbench.progress import Progress

I2V_MEAN = (164.76139251, 167.47864617, 181.13838569)
"""What Illustration2Vec subtracts from its input, BGR in 0–255."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FORMAT: Final = "lacbench.local-features/1"
"""Layout of the files with local features of one's own."""
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

    Raises FetchError where weights cannot be fetched now, and what `load_local` raises.
    """
    from lacbench import weights  # here, so that networks can be made where nothing can be fetched

    local, digests = load_local(config.local_features, progress=progress)  # first: it may be a file not there
    state = weights.load("vgg16", progress=progress)
    digests = {"vgg16": weights.digest("vgg16"), **digests}
    return Frozen(freeze(Perceptual(), state), local, digests)


def load_local(
    name: str, *, beside: Path | None = None, progress: Progress | None = None
) -> tuple[nn.Module | None, dict[str, str]]:
    """A local features network, frozen, on the CPU, and the SHA-256 of its weights by their name.

    Args:
        name: what `Config.local_features` takes; for `none` there is no network, and nothing is digested.
        beside: a folder where a file of one's own is looked for if it is not at its path.
        progress: who listens.

    Raises:
        InputError: the file is not there, or holds no local features.
        IntegrityError: the file is cut short.
        FetchError: weights cannot be fetched now.
    """
    from lacbench import weights

    if name == "none":
        return None, {}
    if name.endswith(".safetensors"):
        path = Path(name)
        if beside and not path.is_file():
            path = beside / path.name
        return freeze(LocalFeatures(), _read_local_features(path)), {path.name: sha256_file(path)}
    network = VggLocalFeatures() if name == "vgg16" else LocalFeatures()
    return freeze(network, weights.load(name, progress=progress)), {name: weights.digest(name)}


def load_local_of(header: Header, checkpoint: Path) -> nn.Module | None:
    """The local features network that a checkpoint was trained with; None for a model without.

    A file of one's own is looked for beside the checkpoint too. Raises what `load_local` raises, and
    IntegrityError where the weights that are here are others than those it was trained with.
    """
    local, digests = load_local(header.config.local_features, beside=checkpoint.parent)
    for name, got in digests.items():
        told = header.weights.get(name, got)
        if told != got:
            raise IntegrityError(
                f"{checkpoint} was trained with other weights of {name}: expected SHA-256 {told}, got {got}; "
                "bring those, or train again"
            )
    return local


def save_local_features(path: Path, network: LocalFeatures, told: Mapping[str, Any]) -> None:
    """Write a local features network of one's own, for `Config.local_features`; `told` says how it was made.

    A safetensors file: the tensors of `LocalFeatures`, and JSON under the metadata key `lacbench`, whose
    `format` is FORMAT. The network sees line art in one way: halved, 0 to 255, less Illustration2Vec's mean.
    """
    write_tensors(path, network.state_dict(), {**told, "format": FORMAT})


def _read_local_features(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `save_local_features` wrote, checked."""
    if not path.is_file():
        raise InputError(f"the local features {path} are not there; bring the file, or choose others")
    try:
        with safe_open(path, framework="pt") as file:
            told = (file.metadata() or {}).get(KEY, "")
            state = {name: file.get_tensor(name) for name in list(file.keys())}
    except SafetensorError as error:
        raise IntegrityError(f"{path} is no whole safetensors file: {error}; copy it again") from error
    expected = {name: tuple(tensor.shape) for name, tensor in LocalFeatures().state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differing = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if differing or not _is_ours(told):
        what = (
            f"{differing[0]} has shape {got.get(differing[0])}" if differing else f"it tells of no {FORMAT}"
        )
        raise InputError(
            f"{path} holds no local features: {what}, expected what `save_local_features` of "
            "lacbench.baselines.alacgan.frozen writes; choose another file"
        )
    return state


def _is_ours(told: str) -> bool:
    try:
        return bool(json.loads(told)["format"] == FORMAT)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def freeze(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Fill a network from `state`, which may hold more, and take its parameters out of training."""
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return network.requires_grad_(False).eval()
