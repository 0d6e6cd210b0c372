"""Checkpoints: one safetensors file with networks, optimizers and what they were trained with. No pickles."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import lacbench
from lacbench.baselines.alacgan.config import Config, differing, parse_config
from lacbench.errors import InputError, IntegrityError, RecipeError
from lacbench.files import atomic, write_bytes

CHECKPOINT = "checkpoint.safetensors"
"""The newest checkpoint in a run's folder: the run's model."""
BEST = "best.safetensors"
"""The checkpoint with the lowest FID of all that were validated; its header has the figure."""
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
    validation: Mapping[str, Any] = field(default_factory=dict)
    """What `lacbench fid --json` says of this generator's outputs; of a run's best checkpoint alone."""


def save_checkpoint(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint atomically; the same content gives the same bytes. Raises OutputError."""
    told = {
        "format": FORMAT,
        "config": header.config.model_dump(mode="json"),
        "step": header.step,
        "data": header.data,
        "weights": dict(header.weights),
        "validation": dict(header.validation),
        "versions": {"lacbench": lacbench.__version__, "torch": torch.__version__},
    }
    write_tensors(path, tensors, told)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """Write tensors of any device as one safetensors file that tells of itself under KEY, atomically.

    The same content gives the same bytes. Raises OutputError.
    """
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
        config, step, weights = parse_config(told["config"]), int(told["step"]), dict(told["weights"])
        return Header(config, step, told["data"], weights, dict(told.get("validation", {})))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, RecipeError) as error:
        raise InputError(f"{path} is no checkpoint of this lacbench: {error}; train it again") from error


def check_same_run(header: Header, expected: Header, path: Path) -> None:
    """Raise InputError where a checkpoint's header is not of the run that is expected to go on from it."""
    one, other = (
        {**h.config.model_dump(), "data": h.data, "weights": dict(h.weights)} for h in (header, expected)
    )
    if names := differing(one, other):
        raise InputError(
            f"{path} is another run's, with another {', '.join(names)}; put this run's back, or begin anew "
            "with --no-resume"
        )


def load_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, under the rest of their names, on the CPU.

    Raises InputError where there is no such file, IntegrityError where it is cut short or no safetensors.
    """
    start = f"{prefix}."
    with _open(path) as file:
        names = [name for name in list(file.keys()) if name.startswith(start)]
        return {name.removeprefix(start): file.get_tensor(name) for name in names}


def link(checkpoint: Path, path: Path) -> None:
    """Have `path` be the same file as a checkpoint, atomically; a copy where the file system has no links."""
    with atomic(path) as temporary:
        temporary.unlink()
        try:
            os.link(checkpoint, temporary)
        except OSError:
            shutil.copyfile(checkpoint, temporary)


def copy_validated(checkpoint: Path, path: Path, validation: Mapping[str, Any]) -> None:
    """Copy a checkpoint, atomically, with what a validation found in its header."""
    header = replace(load_header(checkpoint), validation=validation)
    with _open(checkpoint) as file:
        save_checkpoint(path, header, {name: file.get_tensor(name) for name in list(file.keys())})


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network from a checkpoint's tensors; one without storage is given theirs, as float32.

    Raises InputError where names or shapes differ.
    """
    check_shapes(tensors, network.state_dict(), path)
    if any(parameter.is_meta for parameter in network.parameters()):
        # Copied: they are views of the file, which may change.
        plain = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
        network.load_state_dict(plain, assign=True)
    else:
        network.load_state_dict(dict(tensors))


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError where a checkpoint's tensors have other names or shapes than those expected."""
    for name in sorted(expected.keys() | tensors.keys()):
        got, want = (tuple(t[name].shape) if name in t else None for t in (tensors, expected))
        if got != want:
            raise InputError(
                f"{path} does not fit its own configuration: {name} has shape {got}, expected {want}; "
                "take the file as it was written"
            )


def adam_tensors(adam: torch.optim.Adam) -> dict[str, Tensor]:
    """The optimizer's state as `<parameter's number>.<moment's name>` → tensor."""
    state = adam.state_dict()["state"]
    return {f"{number}.{key}": value for number, values in state.items() for key, value in values.items()}


def fill_adam(adam: torch.optim.Adam, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill an optimizer from a checkpoint's tensors. Raises InputError where they do not fit."""
    groups = adam.state_dict()["param_groups"]
    keys = ("step", "exp_avg", "exp_avg_sq")
    parameters = [parameter for group in adam.param_groups for parameter in group["params"]]
    try:
        state: dict[int, Any] = {
            number: {key: tensors[f"{number}.{key}"] for key in keys} for number in groups[0]["params"]
        }
    except KeyError as error:
        raise InputError(f"{path} lacks the optimizer's {error}; take the file as it was written") from error
    number = torch.zeros(())
    expected = {
        f"{n}.{key}": number if key == "step" else parameter
        for n, parameter in enumerate(parameters)
        for key in keys
    }
    check_shapes({name: tensors[name] for name in expected}, expected, path)
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
