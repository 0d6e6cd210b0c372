"""Pictures → features, by the protocol `pytorch-fid`, the field's reference.

Pillow's `.convert("RGB")`, divided by 255, resized to 299 × 299 (bilinear, corners not aligned, no
antialiasing, no rounding), mapped to [−1, 1]; the Inception of 2015 with pytorch-fid's pooling; the 2,048
features of its last pool (Seitzer, pytorch-fid, 2020; Heusel et al., GANs Trained by a Two Time-Scale Update
Rule, NeurIPS 2017).
"""

import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from lacbench import images, weights
from lacbench.devices import choose_device
from lacbench.errors import ImageError, InputError
from lacbench.files import atomic, sha256_bytes, sha256_file, sha256_json
from lacbench.metrics.statistics import Features
from lacbench.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import Tensor, nn

PROTOCOL = "pytorch-fid"
"""Name of the protocol; numbers of different protocols are never compared."""
DIMENSIONS = 2048
"""Features of a picture."""
SIDE = 299
"""Pixels of the network's input, width and height."""
BATCH = 16
"""Pictures in one forward pass: larger ones are slower on a CPU; the features do not depend on it."""
CACHE_VERSION = 1
"""Counted up when the same pictures would give other features than before."""
SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File names that pytorch-fid takes for pictures, here in either case."""


class Reader(Protocol):
    """Decodes a file to uint8 (H, W, 3), RGB; raises ImageError."""

    __name__: str
    """Tells readers apart in the cache of features."""

    def __call__(self, path: Path, /) -> images.Array:
        """Read the picture."""
        ...


def read_rgb(path: Path) -> images.Array:
    """Read a picture as pytorch-fid does: Pillow's `.convert("RGB")`; transparency, EXIF and ICC are ignored.

    Returns uint8 (H, W, 3), RGB. Raises ImageError as `lacbench.images.read` does.
    """
    data = images.read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on palettes and sizes
            with Image.open(io.BytesIO(data), formats=(*images.FORMATS, "PPM")) as image:
                if image.width * image.height > images.MAX_PIXELS:
                    raise ValueError(f"more than {images.MAX_PIXELS:,} pixels")
                return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be decoded: {error}; replace it or leave it out") from error


@dataclass(frozen=True)
class Pictures:
    """Files to take features of, ordered by the SHA-256 of their bytes: their names change nothing."""

    paths: tuple[Path, ...]
    """The files."""
    sha256s: tuple[str, ...]
    """Hexadecimal SHA-256 of each file, ascending."""
    reader: Reader = read_rgb
    """How the files are decoded."""

    @classmethod
    def of(cls, paths: Iterable[Path], reader: Reader = read_rgb) -> "Pictures":
        """Hash the files and put them in order. Raises InputError for one that cannot be opened."""
        try:
            hashed = sorted((sha256_file(path), path) for path in paths)
        except OSError as error:
            raise InputError(
                f"{error.filename} cannot be opened ({error.strerror}); expected a picture; "
                "put it back, or leave it out"
            ) from error
        return cls(tuple(path for _, path in hashed), tuple(sha256 for sha256, _ in hashed), reader)

    @property
    def digest(self) -> str:
        """SHA-256 over the files' SHA-256s, sorted, one a line.

        In a shell: `sha256sum * | cut -c-64 | sort | sha256sum`.
        """
        return sha256_bytes("".join(f"{sha256}\n" for sha256 in self.sha256s).encode())


class Extractor:
    """The FID Inception with its weights, ready to take features."""

    def __init__(self, state: "Mapping[str, Tensor]", *, device: str = "cpu") -> None:
        """Hold the network on `device` (torch's name for it); `state` is `weights.load("inception")`.

        Raises MissingError without the extra [metrics], or when there is no such device.
        """
        weights.require_metrics()
        import torch

        self.device = choose_device(device)
        self._network = inception(state).to(memory_format=torch.channels_last).to(self.device)

    def features(
        self, paths: Iterable[Path], *, reader: Reader = read_rgb, progress: Progress | None = None
    ) -> Features:
        """Features (N, 2048) float32 of the pictures, in order.

        Each picture is resized by itself, so sizes may be mixed, and neither the batch nor the order matters.
        Raises InputError that names the files which cannot be read.
        """
        paths = list(paths)
        tracked = (progress or Silent()).track(paths, "features", total=len(paths))
        blocks, unreadable = [np.empty((0, DIMENSIONS), dtype=np.float32)], list[Path]()
        for batch in _batches(tracked):
            pictures, failed = _read(batch, reader)
            unreadable += failed
            if not unreadable:  # otherwise only the list of the unreadable is still wanted
                blocks.append(self._forward(pictures))
        _refuse(unreadable)
        return np.concatenate(blocks)

    def _forward(self, pictures: "list[Tensor]") -> Features:
        """Features (B, 2048) of prepared pictures, each (3, 299, 299)."""
        import torch

        batch = torch.stack(pictures).to(self.device).contiguous(memory_format=torch.channels_last)
        # TF32, cuDNN's default, would cost three decimal digits.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            features: Tensor = self._network(batch)
        return np.asarray(features.cpu().numpy(), dtype=np.float32)


def image_features(
    paths: Iterable[Path], *, reader: Reader = read_rgb, device: str = "cpu", progress: Progress | None = None
) -> Features:
    """Features (N, 2048) float32 of the pictures, in order, with the pretrained weights, fetched when needed.

    Raises what `weights.fetch` and `Extractor` raise.
    """
    state = weights.load("inception", progress=progress)
    return Extractor(state, device=device).features(paths, reader=reader, progress=progress)


def cached_features(pictures: Pictures, *, device: str = "cpu", progress: Progress | None = None) -> Features:
    """Like `image_features`, kept in the cache folder by the files' bytes, the weights and the protocol."""
    network = weights.digest("inception", progress=progress)
    key = [PROTOCOL, CACHE_VERSION, network, device, pictures.reader.__name__, *pictures.sha256s]
    path = weights.cache_folder() / "features" / f"{sha256_json(key)}.npz"
    stored = _stored(path, len(pictures.paths))
    if stored is not None:
        return stored
    features = image_features(pictures.paths, reader=pictures.reader, device=device, progress=progress)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features)
    return features


def inception(state: "Mapping[str, Tensor]") -> "nn.Module":
    """pytorch-fid's Inception with these weights, ending in its 2,048 features, for inference.

    Takes float (B, 3, 299, 299), RGB in [−1, 1]; returns (B, 2048). It is built from pytorch-fid's own blocks
    as its `fid_inception_v3` does, which cannot be called because it downloads; then every batch norm is
    folded into its convolution, which is faster and changes the features by rounding only.
    """
    from pytorch_fid import inception as reference
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    from torchvision.models.inception import BasicConv2d, inception_v3

    network: nn.Module = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    for name, channels, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{name}", reference.FIDInceptionA(channels, pool_features=pooled))
    for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{name}", reference.FIDInceptionC(768, channels_7x7=inner))
    network.Mixed_7b, network.Mixed_7c = reference.FIDInceptionE_1(1280), reference.FIDInceptionE_2(2048)
    network.dropout, network.fc = nn.Identity(), nn.Identity()
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    for module in [module for module in network.modules() if isinstance(module, BasicConv2d)]:
        module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    return network


def prepare(picture: images.Array) -> "Tensor":
    """uint8 (H, W, 3) RGB → the network's input, float32 (3, 299, 299) in [−1, 1]."""
    import torch
    from torch.nn.functional import interpolate

    scaled = torch.tensor(picture).permute(2, 0, 1)[None].float().div(255)
    return 2 * interpolate(scaled, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0] - 1


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    iterator = iter(paths)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _read(paths: Sequence[Path], reader: Reader) -> "tuple[list[Tensor], list[Path]]":
    """The prepared pictures, and the files that cannot be read."""
    pictures, unreadable = [], []
    for path in paths:
        try:
            pictures.append(prepare(reader(path)))
        except ImageError:
            unreadable.append(path)
    return pictures, unreadable


def _refuse(unreadable: Sequence[Path], shown: int = 5) -> None:
    if unreadable:
        more = f" and {len(unreadable) - shown} more" if len(unreadable) > shown else ""
        names = ", ".join(str(path) for path in unreadable[:shown])
        raise InputError(
            f"{len(unreadable)} of the pictures cannot be read: {names}{more}; expected PNG, JPEG or the "
            "like, whole; replace them or leave them out"
        )


def _stored(path: Path, n: int) -> Features | None:
    """Features kept by an earlier run; None where there are none that can be trusted."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            features: Features = arrays["features"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = features.shape == (n, DIMENSIONS) and features.dtype == np.float32
    return features if whole and np.isfinite(features).all() else None
