"""Pictures inside zip and tar archives, read where they lie: nothing is unpacked to disk.

An archive is a stranger's file. Entries with absolute names or `..`, two of one name, links, devices,
encrypted or overlapping ones are refused, and so is an entry that unpacks to more than a picture's file may
have.
"""

import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import category

from lacbench.errors import ImageError, InputError
from lacbench.images import MAX_BYTES

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""File names that are taken for archives; those of a tar that is compressed as a whole are then refused."""


@dataclass(frozen=True, order=True)
class Entry:
    """A file in an archive."""

    archive: Path
    """The archive."""
    name: str
    """Its name there."""
    start: int
    """Where its bytes lie in the archive; for a zip, where its local header does."""
    packed: int
    """Bytes it takes there."""
    size: int
    """Bytes it has."""
    method: int | None
    """Method of compression in a zip: 0 stored, 8 deflated; None in a tar."""
    crc: int = 0
    """CRC-32 of its bytes in a zip."""

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def read_bytes(self) -> bytes:
        """Its bytes. Raises ImageError where it is too large or damaged, InputError without the archive."""
        if (most := max(self.size, self.packed)) > MAX_BYTES:
            raise ImageError(f"{self} has {most:,} bytes; expected at most {MAX_BYTES:,}; leave it out")
        try:
            with self.archive.open("rb") as file:
                file.seek(self.start)
                if self.method is not None:
                    header = file.read(30)
                    if header[:4] != b"PK\x03\x04" or len(header) < 30:
                        raise ValueError("it has no header")
                    file.seek(sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28)), 1)
                return self._unpacked(file.read(self.packed))
        except OSError as error:
            raise InputError(f"{self.archive} cannot be read: {error.strerror or error}") from error
        except (ValueError, zlib.error) as error:
            raise ImageError(f"{self} is damaged: {error}; pack the archive again") from error

    def _unpacked(self, data: bytes) -> bytes:
        if self.method == zipfile.ZIP_DEFLATED:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size + 1)
        if len(data) != self.size:
            raise ValueError(f"it has other than the {self.size:,} bytes that the archive tells")
        if self.method is not None and zlib.crc32(data) != self.crc:
            raise ValueError("its checksum differs")
        return data


def is_archive(path: Path) -> bool:
    """Whether it is a file named as a zip or tar archive is."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def entries(archive: Path) -> list[Entry]:
    """The files in a zip or an uncompressed tar, hidden ones left out, in the archive's order.

    Raises InputError for anything else, and for an archive that holds what no set of pictures needs.
    """
    try:
        found = _of_zip(archive) if archive.suffix.lower() == ".zip" else _of_tar(archive)
    except InputError:
        raise
    except Exception as error:  # a damaged archive can raise anything in the libraries
        told = str(error) or type(error).__name__
        raise InputError(f"{archive} cannot be read as an archive: {told}; pack it again") from error
    names = set()
    for entry in found:
        if entry.name in names:
            raise _refusal(archive, entry.name, "has the name of another")
        if any(category(letter) == "Cc" for letter in entry.name):  # it would command a terminal
            raise _refusal(archive, entry.name, "has a name with control characters")
        names.add(entry.name)
        parts = PurePosixPath(entry.name).parts
        if entry.name.startswith("/") or ".." in parts or "\\" in entry.name:
            raise _refusal(archive, entry.name, "leads out of it")
    end = 0
    for entry in sorted(found, key=lambda entry: entry.start):
        if entry.start < end:
            raise _refusal(archive, entry.name, "overlaps another")
        end = entry.start + entry.packed
    return [entry for entry in found if not _is_hidden(entry.name)]


def _of_zip(archive: Path) -> list[Entry]:
    found = []
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.filename.endswith("/"):
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise _refusal(archive, info.filename, "is a link or a device")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refusal(archive, info.filename, "is encrypted, or packed otherwise than by deflate")
            told = (info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)
            found.append(Entry(archive, info.filename, *told))
    return found


def _of_tar(archive: Path) -> list[Entry]:
    if archive.suffix.lower() != ".tar":
        raise ValueError(
            "it is compressed as a whole, so that no picture in it can be read by itself; "
            "expected .zip or .tar"
        )
    found = []
    with tarfile.open(archive, "r:") as opened:
        for info in opened:
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise _refusal(archive, info.name, "is a link or a device")
            if info.size < 0:  # and the next header would be an earlier one, for ever
                raise _refusal(archive, info.name, "has fewer than no bytes")
            found.append(Entry(archive, info.name, info.offset_data, info.size, info.size, None))
    return found


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _refusal(archive: Path, name: str, what: str) -> InputError:
    return InputError(f"{archive} has an entry {name!r} that {what}; expected pictures only; pack it again")
