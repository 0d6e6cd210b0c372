"""Checkpoints: one safetensors file with networks, optimizers and what they were trained with. No pickles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import lacbench
from lacbench.baselines.alacgan.config import Config, parse_config
from lacbench.errors import InputError, IntegrityError, RecipeError
from lacbench.files import write_bytes

FORMAT = "lacbench.alacgan/1"
"""Layout of the checkpoints; another one is refused, not guessed at."""
KEY = "lacbench"
"""The one metadata key: with several, safetensors writes them in an order of its own, and bytes differ."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself."""

    config: Config
    """The run's configuration."""
    step: int
    """Iterations done."""
    data: str
    """SHA-256 of what was trained on; see `lacbench.baselines.alacgan.data.data_digest`."""
    weights: Mapping[str, str]
    """SHA-256 of the frozen networks' weights, by their name."""


def save_checkpoint(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint atomically; the same content gives the same bytes. Raises OutputError."""
    told = {
        "format": FORMAT,
        "config": header.config.model_dump(mode="json"),
        "step": header.step,
        "data": header.data,
        "weights": dict(header.weights),
        "versions": {"lacbench": lacbench.__version__, "torch": torch.__version__},
    }
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, {KEY: json.dumps(told, sort_keys=True)}))


def load_header(path: Path) -> Header:
    """What a checkpoint says of itself; its tensors are not read. Raises as `load_tensors`."""
    with _open(path) as file:
        text = (file.metadata() or {}).get(KEY)
    try:
        told = json.loads(text or "null")
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']}, expected {FORMAT}")
        return Header(parse_config(told["config"]), int(told["step"]), told["data"], dict(told["weights"]))
    except (ValueError, TypeError, KeyError, RecipeError) as error:
        raise InputError(f"{path} is no checkpoint of this lacbench: {error}; train it again") from error


def load_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, under the rest of their names, on the CPU.

    Raises InputError where there is no such file, IntegrityError where it is cut short or no safetensors.
    """
    start = f"{prefix}."
    with _open(path) as file:
        names = [name for name in list(file.keys()) if name.startswith(start)]
        return {name.removeprefix(start): file.get_tensor(name) for name in names}


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network from a checkpoint's tensors. Raises InputError where names or shapes differ."""
    expected = network.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        got, want = (tuple(t[name].shape) if name in t else None for t in (tensors, expected))
        if got != want:
            raise InputError(
                f"{path} does not fit its own configuration: {name} has shape {got}, expected {want}; "
                "take the file as it was written"
            )
    network.load_state_dict(dict(tensors))


def adam_tensors(adam: torch.optim.Adam) -> dict[str, Tensor]:
    """The optimizer's state as `<parameter's number>.<moment's name>` → tensor."""
    state = adam.state_dict()["state"]
    return {f"{number}.{key}": value for number, values in state.items() for key, value in values.items()}


def fill_adam(adam: torch.optim.Adam, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill an optimizer from a checkpoint's tensors. Raises InputError where they are not all there."""
    groups = adam.state_dict()["param_groups"]
    keys = ("step", "exp_avg", "exp_avg_sq")
    try:
        state: dict[int, Any] = {
            number: {key: tensors[f"{number}.{key}"] for key in keys} for number in groups[0]["params"]
        }
    except KeyError as error:
        raise InputError(f"{path} lacks the optimizer's {error}; take the file as it was written") from error
    adam.load_state_dict({"state": state, "param_groups": groups})


def _open(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} is not there; make it with `lacbench train`")
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise IntegrityError(
            f"{path} is not a whole checkpoint: {error}; copy it again, or train again with --no-resume"
        ) from error
