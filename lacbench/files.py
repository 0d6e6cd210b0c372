"""Files that are whole or not there: atomic writes, and digests."""

import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lacbench.errors import OutputError

PART = ".lacbench-part"
"""Suffix of a file that is being written."""

_REFUSALS = {
    errno.ENOSPC: "the disk is full: free some room and run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some room and run the same command again",
    errno.EROFS: "the file system is read-only: choose another output folder",
    errno.EACCES: "this user may not write there: choose another output folder",
    errno.EPERM: "this user may not write there: choose another output folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder: choose another output folder",
    errno.EEXIST: "a part of its path is a file, not a folder: choose another output folder",
}
FULL_OR_READ_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Refusals that can only come of writing, wherever they are met."""


@contextmanager
def output_errors(path: Path, only: tuple[int, ...] | None = None) -> Iterator[None]:
    """Turn the system's refusals to write at `path` (`only`: of these kinds) into an OutputError."""
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        raise refusal(path, error) from error


def refusal(path: Path, error: OSError) -> OutputError:
    """The system's refusal to write at `path`, as a sentence with what to do."""
    reason = _REFUSALS.get(error.errno or 0, f"{error.strerror or error}: choose another output folder")
    return OutputError(f"cannot write {path}: {reason}")


def make_folder(path: Path) -> Path:
    """Make the folder and its parents, if they are not there; raise OutputError where that fails."""
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others who ask for the same out of a folder, until this process leaves it or dies.

    Raises OutputError where another one is in it. File systems that have no locks let everybody in.
    """
    with output_errors(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            told = "another process is at work there: wait for it, or choose another folder"
            raise OutputError(f"cannot write {folder}: {told}") from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically: a temporary name, fsync, rename. Raises OutputError."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically. Raises OutputError."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically. Raises OutputError."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON with sorted keys, in UTF-8: what `write_json` writes."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read a JSON file of our own state; None where there is none or a broken one: work is done again."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Lend a temporary path beside `path`; on success it is synced and renamed, else removed."""
    make_folder(path.parent)
    with output_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=PART, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _sync(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, idle: float = 0) -> None:
    """Remove what killed writers left below `folder`: temporary files of `atomic` that were never renamed.

    Where others may be writing, `idle` spares theirs: files that were written to in the last so many seconds.
    """
    for leftover in folder.rglob(f".*{PART}"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            if not idle or time.time() - leftover.stat().st_mtime > idle:
                leftover.unlink()


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def md5_bytes(data: bytes) -> str:
    """Hexadecimal MD5 of `data`: by it sites name files; it protects from nothing."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of the value's canonical JSON (sorted keys, no spaces): equal values, equal digests."""
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def sha256_lines(lines: Iterable[str]) -> str:
    """SHA-256 of many texts, each ended by a newline, without holding them all."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    value = os.umask(0o077)
    os.umask(value)
    return value
