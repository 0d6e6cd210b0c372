"""Art out of software packages, fetched by the system's own clients and never installed.

Debian archives come by `apt-get download` with private lists and cache (no root, no earlier update), npm
packages by `npm pack`. The clients check signatures and integrity; we unpack regular files only.
"""

import fnmatch
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from pydantic import Field, field_validator

from lacbench.errors import FetchError, InputError, MissingError, OutputError
from lacbench.files import make_folder, output_errors, read_json, write_bytes, write_json
from lacbench.images import MAX_BYTES
from lacbench.records import Candidate
from lacbench.sources.base import Globbed, Page, Tree, Visit, chosen, limited

TIMEOUT = 300
"""Seconds that one call of a client may take."""
LISTS_AGE = 24 * 3600
"""Seconds after which a client's lists are fetched again."""
TEMPORARY = "tmp-"
"""Start of the names of folders that are being unpacked to."""
MIN_FREE = 256 * 2**20
"""Bytes that must be free before anything is fetched."""
MAX_FILES, MAX_TOTAL = 50_000, 2 * 2**30
"""Files and bytes that one package may unpack to."""
LICENSES = ("*/doc/*/copyright", "package/LICEN[SC]E*", "package/package.json")
"""Names that hold a package's licence text."""


@dataclass(frozen=True)
class Package:
    """One package, unpacked."""

    name: str
    """As the client knows it."""
    version: str
    """As the client names it."""
    root: Path
    """Where its chosen files lie."""


class Packages(Globbed):
    """Packages of one client; only files that the recipe's globs name are unpacked."""

    kind: Literal["packages"]
    client: Literal["apt", "npm"]
    """The package client that fetches."""
    packages: tuple[str, ...] = Field(min_length=1)
    """Names; `a | b` takes the first that the client knows."""
    versions: dict[str, str] = Field(default={})
    """Exact versions by package name; of others the client's latest is taken."""

    @field_validator("packages")
    @classmethod
    def _names(cls, packages: tuple[str, ...]) -> tuple[str, ...]:
        for name in (name.strip() for names in packages for name in names.split("|")):
            if not re.fullmatch(r"(@[\w-][\w.-]*/)?[A-Za-z0-9][\w.+-]*", name):
                raise ValueError(f"{name!r} is no package name")
        return packages

    @field_validator("versions")
    @classmethod
    def _exact(cls, versions: dict[str, str]) -> dict[str, str]:
        for version in versions.values():
            if not re.fullmatch(r"(\d+:)?[0-9A-Za-z][\w.+~-]*", version):
                raise ValueError(f"{version!r} is no version of a package")
        return versions

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the packages' pictures, all on one page."""
        found: list[Candidate] = []
        for names in visit.progress.track(self.packages, f"{self.client}: {self.name}"):
            package = self._unpacked([n.strip() for n in names.split("|")], visit.folder / "work")
            found += chosen(self, _tree(self, package, visit.folder))
        if not found:
            raise InputError(
                f"source {self.name}: {', '.join(self.packages)} hold none of "
                f"{', '.join(self.illustrations + self.linearts)}; mend the recipe's globs"
            )
        yield Page(tuple(limited(self, found)))

    def plan(self) -> tuple[str, ...]:
        """The client asks its registry; packages that lie here already are not asked for."""
        return (f"lets {self.client} download {', '.join(self.packages)} from its registry, once",)

    def _unpacked(self, names: list[str], state: Path) -> Package:
        """Fetch and unpack the first name the client knows; a second run finds it done, and asks nobody."""
        work = state / self.name
        globs = list(self.illustrations + self.linearts + LICENSES)
        for name in names:
            done = read_json(work / f"{_file_name(name)}.json")
            wanted = self.versions.get(name, done and done["version"])
            if (
                done
                and (done["globs"], done["version"]) == (globs, wanted)
                and (work / _file_name(name)).is_dir()
            ):
                return Package(name, done["version"], work / _file_name(name))
        _check_room(make_folder(state))
        for leftover in work.glob(f"{TEMPORARY}*"):  # of a killed run
            shutil.rmtree(leftover, ignore_errors=True)
        client: Client = {"apt": Apt, "npm": Npm}[self.client](state / ".clients")
        exact = {client.exact(name, self.versions.get(name, "")): name for name in names}
        asked_for = client.known(list(exact))
        name = exact[asked_for]
        with (
            output_errors(make_folder(work)),
            tempfile.TemporaryDirectory(dir=work, prefix=TEMPORARY) as folder,
        ):
            archive, version = client.download(asked_for, Path(folder))
            with client.open(archive) as stream:
                unpack(stream, Path(folder) / "tree", globs)
            unpacked = work / _file_name(name)
            shutil.rmtree(unpacked, ignore_errors=True)
            (Path(folder) / "tree").replace(unpacked)
        write_json(work / f"{_file_name(name)}.json", {"version": version, "globs": globs})
        return Package(name, version, unpacked)


class Client:
    """A package client: knows names, downloads archives, opens them as a tar stream."""

    program: str
    """Its command."""
    versioned: str
    """What parts a package's name from its version, where one is asked for."""

    def __init__(self, state: Path) -> None:
        self.state = state
        if shutil.which(self.program) is None:
            raise MissingError(f"{self.program} is not on this machine; install it to have its packages")

    def exact(self, name: str, version: str) -> str:
        """How the client is asked for a package of a version; empty: the latest."""
        return f"{name}{self.versioned}{version}" if version else name

    def known(self, names: list[str]) -> str:
        """The first of the names that the registry has; FetchError names them all."""
        raise NotImplementedError

    def download(self, name: str, folder: Path) -> tuple[Path, str]:
        """Download a package's archive into `folder`; returns its path and version."""
        raise NotImplementedError

    @contextmanager
    def open(self, archive: Path) -> Iterator[IO[bytes]]:
        """The archive's files as a tar stream, perhaps compressed."""
        raise NotImplementedError
        yield

    def run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the client's program (or the one named first); never raises on its exit status."""
        try:
            return subprocess.run(
                arguments,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise FetchError(
                f"{arguments[0]} gave no answer in {TIMEOUT} s; check the network and run again"
            ) from error


class Apt(Client):
    """Debian's client, with lists and cache of its own, so that it needs neither root nor an update."""

    program = "apt-get"
    versioned = "="

    def known(self, names: list[str]) -> str:
        """The first of the names that the lists have; the lists are fetched once."""
        said = self._update()
        for name in names:
            if self.run("apt-cache", *self._options(), "show", "--no-all-versions", name).returncode == 0:
                return name
        raise FetchError(f"apt-get knows none of {', '.join(names)}: {_complaint(said)}; check the network")

    def download(self, name: str, folder: Path) -> tuple[Path, str]:
        """Run `apt-get download`, which verifies the archive against the signed lists."""
        done = self.run("apt-get", *self._options(), "download", name, folder=folder)
        archives = list(folder.glob("*.deb"))
        if done.returncode or len(archives) != 1:
            raise FetchError(f"apt-get could not download {name}: {_complaint(done.stderr)}; run again")
        version = self.run("dpkg-deb", "--field", str(archives[0]), "Version").stdout.strip()
        return archives[0], version

    @contextmanager
    def open(self, archive: Path) -> Iterator[IO[bytes]]:
        """The files as `dpkg-deb --fsys-tarfile` gives them."""
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield process.stdout
            process.stdout.read()
        if process.returncode:
            raise FetchError(f"{archive.name} is no whole Debian archive; run again")

    def _update(self) -> str:
        """Fetch the lists, once a day; returns what the client complained of."""
        marker = self.state / "updated"
        if marker.is_file() and time.time() - marker.stat().st_mtime < LISTS_AGE:
            return ""
        for part in ("lists/partial", "cache/archives/partial"):
            make_folder(self.state / part)
        done = self.run("apt-get", *self._options(), "-o", "APT::Update::Error-Mode=any", "update")
        if done.returncode == 0:
            write_bytes(marker, b"")
        return done.stderr

    def _options(self) -> list[str]:
        state = self.state.resolve()
        settings = {
            "Dir::State::Lists": f"{state}/lists",
            "Dir::Cache": f"{state}/cache",
            "APT::Sandbox::User": "root",  # the private folders need not be readable by the user _apt
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


class Npm(Client):
    """npm's client; `npm pack` fetches an archive and runs none of its scripts."""

    program = "npm"
    versioned = "@"

    def known(self, names: list[str]) -> str:
        """The first of the names that the registry has."""
        for name in names:
            if (done := self.run("npm", "view", name, "version", *self._options())).returncode == 0:
                return name
        raise FetchError(
            f"npm knows none of {', '.join(names)}: {_complaint(done.stderr)}; check the network"
        )

    def download(self, name: str, folder: Path) -> tuple[Path, str]:
        """Run `npm pack`, which checks the archive's integrity."""
        done = self.run("npm", "pack", name, "--json", "--ignore-scripts", *self._options(), folder=folder)
        archives = list(folder.glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise FetchError(f"npm could not pack {name}: {_complaint(done.stderr)}; run again")
        entries = json.loads(done.stdout)
        entry = entries[0] if isinstance(entries, list) else next(iter(entries.values()))
        return archives[0], str(entry["version"])

    @contextmanager
    def open(self, archive: Path) -> Iterator[IO[bytes]]:
        """The gzipped tar itself."""
        with archive.open("rb") as stream:
            yield stream

    def _options(self) -> list[str]:
        cache = str((self.state / "npm").resolve())
        return [
            "--cache",
            cache,
            "--no-update-notifier",
            "--fetch-retries=2",
            "--fetch-retry-mintimeout=2000",
        ]


def unpack(stream: IO[bytes], folder: Path, globs: list[str]) -> None:
    """Unpack a tar stream's regular files that a glob may name: no links, no paths outside, no bombs.

    Raises FetchError for a broken stream or one beyond MAX_FILES, MAX_TOTAL or MAX_BYTES a file.
    """
    # fnmatch lets `*` cross folders, so this is wider than the globs, which choose again afterwards.
    patterns = [glob.replace("**/", "*") for glob in globs]
    files = total = 0
    make_folder(folder)
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isfile() or not any(fnmatch.fnmatch(str(name), p) for p in patterns):
                    continue
                files, total = files + 1, total + member.size
                if files > MAX_FILES or total > MAX_TOTAL or member.size > MAX_BYTES:
                    raise FetchError(f"{member.name} goes beyond what a package may unpack to; not unpacked")
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise FetchError(f"the package does not unpack: {error}; run again") from error


def _tree(source: Packages, package: Package, out: Path) -> Tree:
    """The package as a tree, its licence text copied beside the data set's manifests."""
    globs = [glob.replace("*/doc", "**/doc") for glob in LICENSES]
    texts = sorted(p for glob in globs for p in package.root.glob(glob) if p.is_file())
    license_file = ""
    if texts:
        license_file = f"licenses/{_file_name(package.name)}.txt"
        write_bytes(out / license_file, b"\n\n".join(p.read_bytes() for p in texts))
    origin = f"{source.client}: {package.name} {package.version}"
    return Tree(package.root, f"{package.name}/", origin, license_file)


def _file_name(package: str) -> str:
    """The package's name as the name of a file: `@scope/name` has a slash."""
    return package.replace("/", "--")


def _check_room(folder: Path) -> None:
    """Raise OutputError on a disk that is nearly full: there, apt-get hangs instead of failing."""
    if (free := shutil.disk_usage(folder).free) < MIN_FREE:
        raise OutputError(
            f"{folder} has {free >> 20} MB free, expected at least {MIN_FREE >> 20} to fetch packages to; "
            "free some room and run the same command again"
        )


def _complaint(text: str) -> str:
    """The client's first error line; its last line where none is marked as an error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return next((line for line in lines if line.startswith(("E:", "npm error"))), lines[-1])
