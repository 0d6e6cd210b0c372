"""Every model that `lacbench colorize` takes, by name or by file."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lacbench.baselines import exported
from lacbench.baselines.floors import FLOORS, Floor
from lacbench.baselines.painting import Network, Paint, Painter, paint_with
from lacbench.baselines.tiles import Tiling
from lacbench.errors import InputError, MissingError
from lacbench.files import sha256_file
from lacbench.hints import Hint
from lacbench.images import Array

SIZE = 512
"""Shortest side of the outputs, in pixels, for models that do not say."""
PAINTSCHAINER = "paintschainer:"
"""What the path of PaintsChainer's networks may begin with."""


def open_model(model: Path, device: str = "cpu", tiling: Tiling | None = None) -> Painter:
    """The model of that path or name, on a device.

    Told by what a file holds, and by its suffix where that tells nothing: a training run's folder, a
    checkpoint, a checkpoint of the published code, a TorchScript file, an ONNX file, PaintsChainer's
    networks; or a floor's name.

    Raises InputError where it is none of them, IntegrityError for a file that is not whole, MissingError for
    a device or an extra that is not here.
    """
    if str(model) in FLOORS:  # `./grey` is a folder of that name
        hints: Literal["needed", "ignored"] = "ignored" if str(model) == "grey" else "needed"
        return Painter(str(model), SIZE, _each(FLOORS[str(model)]), hints=hints)
    chainer = str(model).startswith(PAINTSCHAINER)
    path = Path(str(model).removeprefix(PAINTSCHAINER))
    if not path.exists():
        raise _no_model(path)
    if chainer or _is_npz(path):
        from lacbench.baselines.paintschainer import open_paintschainer

        digest, paint = open_paintschainer(path, device)
        return Painter(digest, SIZE, _each(paint))
    file, network = _open_network(path, device)
    tiling = tiling or Tiling()
    paint_all = paint_with(network, tiling, str(path))
    return Painter(sha256_file(file), network.size, paint_all, network.weights, tiling.side)


def _open_network(path: Path, device: str) -> tuple[Path, Network]:
    """The file of a network, and the network."""
    if path.suffix == ".onnx" and path.is_file():
        if device not in ("cpu", "auto"):
            raise MissingError(f"{path} is an ONNX file and runs on the CPU only; use --device cpu")
        return path, exported.open_onnx(path)
    if exported.is_torchscript(path):
        if path.suffix != ".pt":  # other names promise numbers only
            raise InputError(
                f"{path} is a program, TorchScript; expected one to be called .pt; rename it if you trust it"
            )
        return path, exported.open_torchscript(path, device)
    from lacbench.baselines.alacgan import painter

    if path.is_file() and path.suffix not in painter.CHECKPOINTS:
        raise _no_model(path)
    return painter.checkpoint_of(path), painter.as_network(painter.load_trained(path), device)


def _no_model(path: Path) -> InputError:
    return InputError(
        f"{path} is no model: expected a training run's folder, a checkpoint, a TorchScript or ONNX file, "
        f"PaintsChainer's networks, or a floor: {', '.join(FLOORS)}"
    )


def _is_npz(path: Path) -> bool:
    """Whether a file is a zip archive of NumPy arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _each(paint: Floor) -> Paint:
    """A function that colours one picture, as one that colours several."""

    def paint_all(line_arts: Sequence[Array], hints: Sequence[Sequence[Hint]]) -> list[Array]:
        return [paint(art, given) for art, given in zip(line_arts, hints, strict=True)]

    return paint_all
