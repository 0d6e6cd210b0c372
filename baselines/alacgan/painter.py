"""A trained generator, ready to colour whole line arts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lacbench import weights
from lacbench.baselines.alacgan.checkpoint import Header, fill, load_header, load_tensors
from lacbench.baselines.alacgan.frozen import VggLocalFeatures, freeze
from lacbench.baselines.alacgan.networks import make_generator
from lacbench.baselines.alacgan.trainer import CHECKPOINT
from lacbench.baselines.painting import Network, hint_map
from lacbench.baselines.tiles import Floats
from lacbench.devices import choose_device
from lacbench.errors import IntegrityError

__all__ = ["CHECKPOINT", "Colorizer", "Trained", "as_network", "hint_map", "load_trained"]


class Colorizer(nn.Module):
    """A generator and the local features network it was trained with: line art and hint → colour."""

    def __init__(self, generator: nn.Module, local: nn.Module | None) -> None:
        super().__init__()
        self.generator, self.local = generator, local

    def forward(self, line_art: Tensor, hint: Tensor) -> Tensor:
        """(N, 1, H, W) in [-1, 1] and (N, 4, H/4, W/4), see `Generator` → (N, 3, H, W) RGB in [-1, 1]."""
        local = None if self.local is None else self.local(line_art)
        return torch.as_tensor(self.generator(line_art, hint, local))


@dataclass(frozen=True)
class Trained:
    """A trained model, on the CPU."""

    colorizer: Colorizer
    """The networks, for inference."""
    size: int
    """Shortest side, in pixels, that it was trained at."""
    weights: Mapping[str, str]
    """SHA-256 of the frozen weights in it, by their name."""
    told: Mapping[str, Any]
    """What its file says of itself, as JSON: configuration, iterations, data."""


def load_trained(checkpoint: Path) -> Trained:
    """Load a checkpoint's generator, the averaged one where the run kept an average.

    Raises InputError, IntegrityError for what is no whole checkpoint, or for other frozen weights than it
    was trained with; FetchError where those cannot be had.
    """
    header = load_header(checkpoint)
    generator = make_generator(header.config)
    tensors = load_tensors(checkpoint, "ema") or load_tensors(checkpoint, "generator")
    fill(generator, tensors, checkpoint)
    colorizer = Colorizer(generator, _local_features(header, checkpoint))
    told = {"config": header.config.model_dump(mode="json"), "step": header.step, "data": header.data}
    used = {} if colorizer.local is None else dict(header.weights)
    return Trained(colorizer.eval().requires_grad_(False), header.config.size, used, told)


def _local_features(header: Header, checkpoint: Path) -> nn.Module | None:
    """The frozen network of local features that a checkpoint was trained with."""
    if header.config.local_features == "none":
        return None
    _check_weights(header.weights, checkpoint)
    return freeze(VggLocalFeatures(), weights.load("vgg16"))


def _check_weights(told: Mapping[str, str], checkpoint: Path) -> None:
    if told.get("vgg16", weights.digest("vgg16")) != weights.digest("vgg16"):
        raise IntegrityError(
            f"{checkpoint} was trained with other weights of vgg16: expected SHA-256 {told['vgg16']}, "
            f"got {weights.digest('vgg16')}; fetch those, or train again"
        )


def as_network(trained: Trained, device: str = "cpu") -> Network:
    """The model as a network on a device. Raises MissingError for a device that is not here."""
    return Network(runner(trained.colorizer, device), trained.size, trained.weights)


def runner(module: nn.Module, device: str) -> Any:
    """A function from NumPy arrays to NumPy arrays that runs a PyTorch module on a device."""
    place = choose_device(device)
    module = module.to(place)

    def run(*inputs: Floats) -> Floats:
        tensors = [torch.tensor(array).to(place) for array in inputs]
        # TF32, cuDNN's default, would make a GPU's colours other than a CPU's.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            result: Floats = module(*tensors).float().cpu().numpy()
        return result

    return run
