"""Export: a trained generator, its local features network inside, as one ONNX or TorchScript file."""

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

import lacbench
from lacbench.baselines import exported
from lacbench.baselines.alacgan.painter import Colorizer, Trained, checkpoint_of, load_trained
from lacbench.baselines.painting import Network
from lacbench.errors import InputError, IntegrityError, MissingError
from lacbench.files import atomic, sha256_file

TOLERANCE: Final = 1e-4
"""An export whose colours, in [-1, 1], differ by more than this from the model's is refused."""
SIZES: Final = ((1, 64, 96), (2, 160, 112))
"""Pictures, height and width that exports are checked at: none is the one that they are traced at."""
EXAMPLE: Final = (2, 48, 80)
"""The same that they are traced at."""


@dataclass(frozen=True)
class Exported:
    """What an export made."""

    file: Path
    """The file."""
    difference: float
    """Largest difference from the model's colours that was met, in [-1, 1]."""


def export(model: Path, file: Path) -> Exported:
    """Write a model that `load_trained` takes as ONNX (`.onnx`) or TorchScript (`.pt`), and check the file.

    Height and width are dynamic, multiples of 16, and so is the number of pictures. The file says what it was
    made of: configuration, digests and versions. It is run at two sizes against the model, and kept only
    where no colour differs by more than TOLERANCE.

    Raises InputError for another suffix, or as `load_trained`; IntegrityError where it differs; MissingError
    without the extra [export]; OutputError where it cannot be written.
    """
    kinds: Mapping[str, tuple[Writer, Callable[[Path], Network]]] = {
        ".onnx": (_write_onnx, exported.open_onnx),
        ".pt": (_write_torchscript, exported.open_torchscript),
    }
    if file.suffix not in kinds:
        raise InputError(f"{file} names no format: expected a name that ends in .onnx or .pt")
    write, reopen = kinds[file.suffix]
    trained = load_trained(model)
    with atomic(file) as temporary:
        write(trained.colorizer, temporary, json.dumps(_told(trained, checkpoint_of(model)), sort_keys=True))
        difference = _difference(trained.colorizer, reopen(temporary))
        if not difference <= TOLERANCE:
            raise IntegrityError(
                f"{file} was not written: its colours would differ by {difference:.2g} from the model's, "
                f"expected at most {TOLERANCE:g}; export to the other format, .onnx or .pt"
            )
    return Exported(file, difference)


Writer = Callable[[Colorizer, Path, str], None]
"""Writes a model to a path, with a text that says what it is."""


def _told(trained: Trained, checkpoint: Path) -> dict[str, Any]:
    """What the file says of itself."""
    return {
        "format": exported.FORMAT,
        "size": trained.size,
        "checkpoint": sha256_file(checkpoint),
        "weights": dict(trained.weights),
        "versions": {"lacbench": lacbench.__version__, "torch": torch.__version__},
        **trained.told,
    }


def _write_onnx(colorizer: Colorizer, path: Path, told: str) -> None:
    try:
        version("onnxscript")
        version("onnxruntime")
    except PackageNotFoundError as error:
        raise MissingError(
            f"{error.args[0]} is not here, and ONNX is not written without it; run: "
            "pip install 'lacbench[export]'"
        ) from error
    pictures, rows, columns = (torch.export.Dim(n, min=1, max=2**16) for n in ("n", "rows", "columns"))
    shapes = [{0: pictures, 2: k * rows, 3: k * columns} for k in (16, 4)]
    with _quietly():
        program = torch.onnx.export(
            colorizer, inputs(*EXAMPLE), dynamo=True, dynamic_shapes=tuple(shapes), verbose=False,
            input_names=["line_art", "hint"], output_names=["color"],
        )  # fmt: skip
    assert program is not None  # None is for the exporter of old
    for node in program.model.graph:
        node.metadata_props.clear()  # source lines, with paths of this machine
    program.model.metadata_props[exported.KEY] = told
    program.save(path, external_data=False)


def _write_torchscript(colorizer: Colorizer, path: Path, told: str) -> None:
    whole = io.BytesIO()
    with _quietly():
        traced = torch.jit.trace(colorizer, inputs(*EXAMPLE), check_trace=False)
        torch.jit.save(traced, whole, _extra_files={exported.EXTRA: told})
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as stripped:
        for part in archive.infolist():
            if not part.filename.endswith(".debug_pkl"):  # source lines, with paths of this machine
                stripped.writestr(part, archive.read(part))


def _difference(colorizer: Colorizer, network: Network) -> float:
    """The largest difference of the colours at SIZES."""
    differences = []
    for size in SIZES:
        given = inputs(*size)
        with torch.inference_mode():
            expected = colorizer(*given)
        got = torch.from_numpy(network.run(*(tensor.numpy() for tensor in given)))
        same = got.shape == expected.shape
        differences.append(float((got - expected).abs().max()) if same else float("inf"))
    return float(torch.tensor(differences).max())  # unlike Python's, it hands on what is not a number


def inputs(pictures: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A made-up line art (N, 1, H, W) in [-1, 1] and hint (N, 4, H/4, W/4), always the same."""
    random = torch.Generator().manual_seed(0)
    line_art = torch.rand(pictures, 1, height, width, generator=random) * 2 - 1
    mask = (torch.rand(pictures, 1, height // 4, width // 4, generator=random) < 0.1).float()
    colors = torch.rand(pictures, 3, height // 4, width // 4, generator=random) * 2 - 1
    return line_art, torch.cat([colors * mask, mask], 1)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporters' own remarks off the terminal: what counts is checked on what was written."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
