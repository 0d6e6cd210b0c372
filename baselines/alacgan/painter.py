"""A trained generator, ready to colour whole line arts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, fill, load_header, load_tensors
from lacbench.baselines.alacgan.frozen import load_local, load_local_of
from lacbench.baselines.alacgan.official import load_official
from lacbench.baselines.painting import Network, hint_map
from lacbench.baselines.tiles import Floats
from lacbench.baselines.trainers import trainer_of
from lacbench.devices import choose_device
from lacbench.errors import InputError

__all__ = ["CHECKPOINT", "Colorizer", "Trained", "as_network", "checkpoint_of", "hint_map", "load_trained"]

OFFICIAL = (".pth", ".pt", ".pkl", ".ckpt", ".bin")
"""How the names of files end that the published code, or PyTorch, writes."""
CHECKPOINTS = (".safetensors", *OFFICIAL)
"""How the names of checkpoints end, ours first."""
OFFICIAL_SIZE = 512
"""Shortest side, in pixels, that the published code trains at."""


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


def load_trained(model: Path) -> Trained:
    """Load a run's folder, a checkpoint, or a checkpoint of the published code (see `load_official`).

    Of a run that kept an average of its generator, the average is taken.

    Raises InputError for what is none of them, IntegrityError for a file that is cut short, or for other
    frozen weights than it was trained with; FetchError where those cannot be had.
    """
    file = checkpoint_of(model)
    if file.suffix in OFFICIAL:
        return _load_official(file)
    header = load_header(file)
    generator = trainer_of(header.config).make_generator(header.config)
    fill(generator, load_tensors(file, "ema") or load_tensors(file, "generator"), file)
    colorizer = Colorizer(generator, load_local_of(header, file))
    told = {"config": header.config.model_dump(mode="json"), "step": header.step, "data": header.data}
    local = Path(header.config.local_features).name
    digests = {name: sha256 for name, sha256 in header.weights.items() if name == local}
    return Trained(colorizer.eval().requires_grad_(False), header.config.size, digests, told)


def checkpoint_of(model: Path) -> Path:
    """The checkpoint of a run's folder, or the file itself. Raises InputError for a file of another kind."""
    file = model / CHECKPOINT if model.is_dir() else model
    if file.suffix not in CHECKPOINTS:
        raise InputError(
            f"{file} is no checkpoint: expected one of ours or of the published code, whose names end in "
            f"{', '.join(CHECKPOINTS)}"
        )
    return file


def _load_official(file: Path) -> Trained:
    generator, _ = load_official(file)
    with_local = generator.decode4.fuse.in_channels > generator.encode4.out_channels
    local, digests = load_local("illustration2vec" if with_local else "none")
    return Trained(Colorizer(generator, local).eval().requires_grad_(False), OFFICIAL_SIZE, digests, {})


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
