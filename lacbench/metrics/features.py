"""Pictures → features (N, D), by a protocol (protocols.py), on an engine (networks.py)."""

import contextlib
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from itertools import repeat as repeated
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from lacbench import weights
from lacbench.devices import cores
from lacbench.errors import ImageError, InputError
from lacbench.files import atomic, sha256_json
from lacbench.metrics.archives import Entry
from lacbench.metrics.decoding import Reader, read_rgb
from lacbench.metrics.networks import ENGINES, start
from lacbench.metrics.protocols import PROTOCOLS, FeatureProtocol, Levels
from lacbench.metrics.shares import ALONE, Share
from lacbench.metrics.sources import Pictures
from lacbench.metrics.statistics import Features, blocks
from lacbench.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

DEFAULT = PROTOCOLS["pytorch-fid"]
"""The protocol unless another is asked for."""
BATCH = 16
"""Pictures in one forward pass: larger ones are slower on a CPU; Inception's features do not depend on it."""
CACHE_VERSION = 2
"""Counted up when the files in the cache change their form."""
DIGEST = 32
"""Bytes of the SHA-256 that ends a file of features."""


class Extractor:
    """A protocol's network with its weights, ready to take features."""

    def __init__(
        self,
        state: "Mapping[str, Tensor]",
        *,
        protocol: FeatureProtocol = DEFAULT,
        engine: str = ENGINES[0],
        device: str = "cpu",
        workers: int = 0,
    ) -> None:
        """Hold the network on `device` (torch's name for it); `state` is `weights.load(protocol.weights)`.

        Files are decoded by `workers` threads; 0 is one a core. Raises MissingError without the extra
        [metrics], or when there is no such device, and what `networks.start` raises.
        """
        weights.require_metrics()
        self.protocol, self._workers = protocol, workers or cores()
        self._forward = start(
            protocol.build, state, engine=engine, device=device, precision=protocol.precision
        )

    def features(
        self,
        paths: Iterable[Path | Entry],
        *,
        reader: Reader = read_rgb,
        randoms: Iterable[np.random.Generator] | None = None,
        progress: Progress | None = None,
    ) -> Features:
        """Features (N, D) float32 of the pictures, in order.

        Each picture is resized by itself, so sizes may be mixed, and neither the batch, the order nor the
        workers matter; of a vision transformer, but for rounding. `randoms` are the pictures' random numbers,
        for protocols that draw. Raises InputError that names the files which cannot be read.
        """
        blocks = self.blocks(paths, reader=reader, randoms=randoms, progress=progress)
        return np.concatenate([np.empty((0, self.protocol.dimensions), dtype=np.float32), *blocks])

    def of_decoded(self, pictures: Sequence[Levels]) -> Features:
        """Features (N, D) float32 of decoded pictures, (H, W, 3) RGB in 0–255 each, in order.

        They are those of files with the same pixels, to the bit. Raises ImageError as the protocol does.
        """
        import torch

        def ready(picture: Levels) -> "Tensor":
            return self.protocol.prepare(picture, np.random.default_rng(0))  # of which nothing is drawn

        parts = [np.empty((0, self.protocol.dimensions), dtype=np.float32)]
        with ThreadPoolExecutor(self._workers) as pool:
            for top in range(0, len(pictures), BATCH):
                parts.append(self._forward(torch.stack([*pool.map(ready, pictures[top : top + BATCH])])))
        return np.concatenate(parts)

    def blocks(
        self,
        paths: Iterable[Path | Entry],
        *,
        reader: Reader = read_rgb,
        randoms: Iterable[np.random.Generator] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Features]:
        """As `features`, in blocks (≤ 16, D), holding a few batches of pictures at a time."""
        import torch

        paths = list(paths)
        randoms = randoms or repeated(np.random.default_rng(0), len(paths))  # of which nothing is drawn

        def read(path: Path | Entry, random: np.random.Generator) -> "Tensor | Path | Entry":
            try:
                return self.protocol.prepare(reader(path), random)
            except ImageError:
                return path

        unreadable = list[Path | Entry]()
        tracked = (progress or Silent()).track(paths, "features", total=len(paths))
        with ThreadPoolExecutor(self._workers) as pool:
            jobs = (pool.submit(read, *job) for job in zip(tracked, randoms, strict=True))
            for batch in _ahead(jobs, BATCH):
                unreadable += [one for one in batch if isinstance(one, Path | Entry)]
                if not unreadable:  # otherwise only the list of the unreadable is still wanted
                    yield self._forward(torch.stack([one for one in batch if isinstance(one, torch.Tensor)]))
        _refuse(unreadable)


def cached_features(
    pictures: Pictures,
    *,
    protocol: FeatureProtocol = DEFAULT,
    repeat: int = 0,
    engine: str = ENGINES[0],
    device: str = "cpu",
    share: Share = ALONE,
    progress: Progress | None = None,
) -> Features:
    """Features (N · passes, D) float32 by the protocol, in the pictures' order, one pass after the other.

    They lie in a file of the cache folder, named by the files' bytes, the weights, the protocol, the engine,
    device and repeat, and are mapped from there: memory does not grow with N. Of several processes each takes
    its `share`; all but the first return no more than that. Raises what `weights.fetch`, `Extractor` and
    `Share.wait` raise.
    """
    key = features_key(pictures, protocol, repeat, engine, device, progress)
    path = weights.cache_folder() / "features" / f"{key}.npy"
    n = len(pictures.paths)
    if not _is_whole(path, (protocol.passes * n, protocol.dimensions)):
        own = path if share.world == 1 else share.file(path)
        part = share.of(n)
        mine = Pictures(pictures.paths[part], pictures.sha256s[part], pictures.reader)
        shape = protocol.passes * len(mine.paths), protocol.dimensions
        if not (own != path and _is_whole(own, shape)):
            _take(own, mine, protocol, repeat, engine, share.place(device), progress)
        if share.rank:
            return _mapped(own)
        if own != path:
            _put_together(path, n, protocol, share)
    return _mapped(path)


def kept_features(
    pictures: Pictures, *, protocol: FeatureProtocol = DEFAULT, device: str = "cpu"
) -> Features | None:
    """What `cached_features` left on Torch; None where it left nothing: no weights are fetched, no network
    runs."""
    if not weights.is_cached(protocol.weights):
        return None
    key = features_key(pictures, protocol, 0, ENGINES[0], device)
    path = weights.cache_folder() / "features" / f"{key}.npy"
    shape = protocol.passes * len(pictures.paths), protocol.dimensions
    return _mapped(path) if _is_whole(path, shape) else None


def _take(
    path: Path,
    pictures: Pictures,
    protocol: FeatureProtocol,
    repeat: int,
    engine: str,
    device: str,
    progress: Progress | None,
) -> None:
    """Write the features of pictures to a file."""
    state = weights.load(protocol.weights, progress=progress)
    extractor = Extractor(state, protocol=protocol, engine=engine, device=device)
    with atomic(path) as temporary, temporary.open("wb") as file:
        writer = FeatureWriter(file, protocol.passes * len(pictures.paths), protocol.dimensions)
        for at in range(protocol.passes):
            for block in extractor.blocks(
                pictures.paths,
                reader=pictures.reader,
                randoms=map(protocol.generator, pictures.sha256s, repeated(repeat), repeated(at)),
                progress=progress,
            ):
                writer.write(block.tobytes())
        file.write(writer.digest.digest())


def _put_together(path: Path, n: int, protocol: FeatureProtocol, share: Share) -> None:
    """Write the features of `n` pictures from every process's share, and take the shares away."""
    files, counts = [], []
    for rank in range(share.world):
        part = share.of(n, rank)
        files.append(share.file(path, rank))
        counts.append(part.stop - part.start)
        shape = protocol.passes * counts[-1], protocol.dimensions
        share.wait(files[-1], partial(_is_whole, shape=shape))
    with atomic(path) as temporary, temporary.open("wb") as file:
        writer = FeatureWriter(file, protocol.passes * n, protocol.dimensions)
        for at in range(protocol.passes):
            for part_file, count in zip(files, counts, strict=True):
                for block in blocks(_mapped(part_file)[at * count : (at + 1) * count]):
                    writer.write(block.tobytes())
        file.write(writer.digest.digest())
    for part_file in files:
        part_file.unlink()


def _mapped(path: Path) -> Features:
    features: Features = np.load(path, mmap_mode="r", allow_pickle=False)
    return features


def features_key(
    pictures: Pictures,
    protocol: FeatureProtocol,
    repeat: int,
    engine: str,
    device: str,
    progress: Progress | None = None,
) -> str:
    """What features depend on, as one SHA-256; the weights are fetched when needed."""
    told = [protocol.name, protocol.version, repeat, weights.digest(protocol.weights, progress=progress)]
    return sha256_json([CACHE_VERSION, *told, engine, device, pictures.reader.__name__, *pictures.sha256s])


class FeatureWriter:
    """Writes the features' array file, and keeps its SHA-256."""

    def __init__(self, file: IO[bytes], n: int, dimensions: int = DEFAULT.dimensions) -> None:
        self.file, self.digest = file, hashlib.sha256()
        header = {"descr": "<f4", "fortran_order": False, "shape": (n, dimensions)}
        np.lib.format.write_array_header_1_0(self, header)

    def write(self, data: bytes) -> None:
        """Append the array's next bytes; its header is written already."""
        self.file.write(data)
        self.digest.update(data)


def _is_whole(path: Path, shape: tuple[int, int]) -> bool:
    """Whether features kept by an earlier run are there and can be trusted."""
    with contextlib.suppress(OSError, ValueError, EOFError), path.open("rb") as file:
        left, digest = path.stat().st_size - DIGEST, hashlib.sha256()
        while left > 0 and (data := file.read(min(left, 2**20))):
            digest.update(data)
            left -= len(data)
        features = _mapped(path)
        whole = features.shape == shape and features.dtype == np.float32
        return whole and file.read() == digest.digest()
    return False


def _ahead(jobs: "Iterator[Future[T]]", size: int) -> Iterator[list[T]]:
    """Results of the jobs in order, in lists of `size`; the next two lists are worked on meanwhile."""
    waiting = deque(islice(jobs, 3 * size))
    while waiting:
        done = [waiting.popleft().result() for _ in range(min(size, len(waiting)))]
        waiting.extend(islice(jobs, size))
        yield done


def _refuse(unreadable: Sequence[Path | Entry], shown: int = 5) -> None:
    if unreadable:
        more = f" and {len(unreadable) - shown} more" if len(unreadable) > shown else ""
        names = ", ".join(str(path) for path in unreadable[:shown])
        raise InputError(
            f"{len(unreadable)} of the pictures cannot be read: {names}{more}; expected PNG, JPEG or the "
            "like, whole; replace them or leave them out (`lacbench fid --skip-unreadable`)"
        )
