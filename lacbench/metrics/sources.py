"""What a set of pictures can be: a folder, an archive, a data set, a file of statistics."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_bytes, sha256_file
from lacbench.metrics.archives import Entry, entries, is_archive
from lacbench.metrics.decoding import SUFFIXES, Reader, read_on_white, read_rgb
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset


@dataclass(frozen=True)
class Pictures:
    """Files to take features of, ordered by the SHA-256 of their bytes: their names change nothing."""

    paths: tuple[Path | Entry, ...]
    """The files, or entries of archives."""
    sha256s: tuple[str, ...]
    """Hexadecimal SHA-256 of each file, ascending."""
    reader: Reader = read_rgb
    """How the files are decoded."""

    @classmethod
    def of(cls, paths: Iterable[Path | Entry], reader: Reader = read_rgb) -> "Pictures":
        """Hash the files and put them in order. Raises InputError for one that cannot be opened."""
        try:
            hashed = sorted(
                ((_sha256(path), path) for path in paths), key=lambda pair: (pair[0], str(pair[1]))
            )
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

    def readable(self, progress: Progress | None = None) -> "tuple[Pictures, tuple[str, ...]]":
        """Those that can be decoded, and the names of the others; each is decoded to find out."""
        kept, left = list[int](), list[str]()
        for at in (progress or Silent()).track(range(len(self.paths)), "decoding", total=len(self.paths)):
            try:
                self.reader(self.paths[at])
                kept.append(at)
            except ImageError:
                left.append(str(self.paths[at]))
        paths, sha256s = tuple(self.paths[at] for at in kept), tuple(self.sha256s[at] for at in kept)
        return Pictures(paths, sha256s, self.reader), tuple(sorted(left))


def find(source: Path | Dataset) -> Pictures | Path:
    """The pictures that `source` stands for, or the statistics file that it is; raises as `fid` does."""
    if isinstance(source, Dataset):
        pictures = Pictures.of((source.file(member) for member in source.illustrations), read_on_white)
    elif (source / "illustrations.parquet").is_file():
        from lacbench.manifest import load_dataset

        return find(load_dataset(source))
    elif source.is_dir():
        pictures = Pictures.of(_flat(source))
    elif is_archive(source):
        pictures = Pictures.of(_packed(source))
    elif source.is_file() and source.suffix == ".npz":
        return source
    else:
        raise InputError(
            f"{source} is {'a file' if source.exists() else 'not there'}; expected a folder of pictures, "
            "a zip or tar archive of them, a data set, or a .npz of statistics; check the path"
        )
    two_or_more(pictures, source)
    return pictures


def two_or_more(pictures: Pictures, source: Path | Dataset) -> None:
    """Raise InputError unless `source` has at least two pictures."""
    if len(pictures.paths) < 2:
        where = source.folder if isinstance(source, Dataset) else source
        raise InputError(
            f"{where} has too few pictures: got {len(pictures.paths)}, expected two or more, since one "
            "has no covariance; add some"
        )


def _flat(folder: Path) -> list[Path]:
    """The pictures of a folder; subfolders are refused, since half a set would be scored in silence."""
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    subfolders = [entry.name for entry in entries if entry.is_dir()]
    pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    odd = [entry.name for entry in pictures if entry.exists() and not entry.is_file()]
    if odd and not subfolders:
        raise InputError(
            f"{folder} has pictures that are no files but pipes or devices ({', '.join(odd[:3])}); "
            "take them away"
        )
    if subfolders:
        raise InputError(
            f"{folder} has subfolders ({', '.join(subfolders[:3])}{' …' * (len(subfolders) > 3)}); expected "
            "the pictures in one flat folder; name that one, or move them"
        )
    if not pictures:
        raise InputError(
            f"{folder} has {'no pictures, only other files' if entries else 'nothing in it'}; expected "
            f"{', '.join(sorted(SUFFIXES))}; check the path"
        )
    return pictures


def _packed(archive: Path) -> list[Entry]:
    """The pictures of an archive, in whatever folder of it they lie."""
    found = entries(archive)
    pictures = [entry for entry in found if Path(entry.name).suffix.lower() in SUFFIXES]
    if not pictures:
        raise InputError(
            f"{archive} has {'no pictures, only other files' if found else 'nothing in it'}; expected "
            f"{', '.join(sorted(SUFFIXES))}; check the path"
        )
    return pictures


def _sha256(path: Path | Entry) -> str:
    """SHA-256 of the bytes; of what an entry's place and name are, where it is damaged, to be named later."""
    if isinstance(path, Path):
        return sha256_file(path)
    try:
        return sha256_bytes(path.read_bytes())
    except ImageError as error:
        return sha256_bytes(str(error).encode())
