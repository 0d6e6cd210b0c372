"""Models in files that other programs write too: TorchScript and ONNX.

Both take `line_art` (N, 1, H, W) in [-1, 1] and `hint` (N, 4, H/4, W/4), as `Generator.forward`, and return
(N, 3, H, W) RGB in [-1, 1]; a local features network lies inside. An ONNX file is data for a fixed set of
operators. A TorchScript file is a program, though no Python and no pickle of objects: it can read and write
files, so open only those of people whose programs you would run.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lacbench.baselines.painting import Network
from lacbench.baselines.tiles import Floats
from lacbench.errors import InputError, MissingError

FORMAT = "lacbench.export/1"
"""Layout of what `lacbench export` writes."""
KEY = "lacbench"
"""Where a file keeps what it says of itself, as JSON: ONNX metadata of that name."""
EXTRA = "lacbench.json"
"""The same in a TorchScript file: an extra file of that name."""
OUTSIDE = "session.model_external_initializers_file_folder_path"
"""onnxruntime's name for the folder in which weights outside of an ONNX file are looked for."""
SIZE = 512
"""Shortest side, in pixels, that a model is taken to be made for when its file does not say."""


def open_onnx(path: Path) -> Network:
    """Open an ONNX file with onnxruntime, on the CPU.

    Raises InputError for what is none or takes other inputs, MissingError without the extra [export].
    """
    session = onnx_session(path)
    shapes = [given.shape for given in session.get_inputs()]
    channels = [shape[1] if len(shape) == 4 else None for shape in shapes]
    if channels != [1, 4]:
        raise InputError(
            f"{path} takes inputs of shapes {shapes}; expected line art (N, 1, H, W) and hint "
            "(N, 4, H/4, W/4); export it with `lacbench export`"
        )
    names = [given.name for given in session.get_inputs()]

    def run(line_art: Floats, hint: Floats) -> Floats:
        try:
            (colored, *_) = session.run(None, dict(zip(names, (line_art, hint), strict=True)))
        except Exception as error:  # onnxruntime's own errors have no common root
            raise _failed(path, line_art, error) from error
        return np.asarray(colored, np.float32)

    told = parse_told(session.get_modelmeta().custom_metadata_map.get(KEY, ""))
    return Network(run, int(told.get("size", SIZE)), told.get("weights", {}))


def open_torchscript(path: Path, device: str = "cpu") -> Network:
    """Open a TorchScript file on a device.

    Raises InputError for what is none, MissingError for a device that is not here.
    """
    from lacbench.baselines.alacgan.painter import runner

    module, told = load_torchscript(path)
    inner = runner(module, device)

    def run(line_art: Floats, hint: Floats) -> Floats:
        try:
            return np.asarray(inner(line_art, hint), np.float32)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise _failed(path, line_art, error) from error

    return Network(run, int(told.get("size", SIZE)), told.get("weights", {}))


def load_torchscript(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """The module in a TorchScript file, on the CPU, and what the file says of itself. Raises InputError."""
    import warnings

    import torch

    extra = {EXTRA: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch would rather have torch.export; files outlive that
            module = torch.jit.load(path, map_location="cpu", _extra_files=extra)
    except (RuntimeError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no TorchScript file that can be opened: {_line(error)}") from error
    return module.eval(), parse_told(extra[EXTRA])


def onnx_session(path: Path) -> Any:
    """An onnxruntime session on the CPU. Raises InputError, MissingError as `open_onnx`."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(
            f"{path} is opened with onnxruntime, which is not here; run: pip install 'lacbench[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        # Weights beside the file are looked for in an empty folder: the file's digest would not cover them,
        # and they could lie anywhere.
        with TemporaryDirectory() as nothing:
            options.add_session_config_entry(OUTSIDE, nothing)
            data = path.read_bytes()
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common root
        raise InputError(f"{path} is no ONNX model that can be opened: {_line(error)}") from error


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive: a zip file that holds code and constants."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name.split("/", 1)[-1] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return "constants.pkl" in parts and any(part.startswith("code/") for part in parts)


def parse_told(text: str | bytes) -> Mapping[str, Any]:
    """What an exported file says of itself, as far as it is of our form; empty for anything else."""
    try:
        told = json.loads(text or "null")
        fits = told["format"] == FORMAT and 16 <= int(told["size"]) <= 4096
        return told if fits and all(isinstance(v, str) for v in told["weights"].values()) else {}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}


def _failed(path: Path, line_art: Floats, error: Exception) -> InputError:
    height, width = line_art.shape[2:]
    return InputError(
        f"{path} does not colour a line art of {width} × {height} pixels: {_line(error)}; expected a model "
        "that takes line art (N, 1, H, W) and hint (N, 4, H/4, W/4), H and W multiples of 16"
    )


def _line(error: Exception) -> str:
    """The last line of what an error says: PyTorch tells a whole traceback of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]
