"""Archives: the same pictures as in a folder, and nothing that a stranger's archive should not hold."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacbench.errors import ImageError, InputError
from lacbench.metrics import archives
from lacbench.metrics.archives import entries
from lacbench.metrics.decoding import read_rgb
from lacbench.metrics.sources import Pictures, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    random = np.random.default_rng(0)
    for i in range(4):
        pixels = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(made / f"{i}.{'png' if i else 'bmp'}")
    return made


def zipped(folder: Path, method: int) -> Path:
    path = folder.with_name(f"packed{method}.zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("__MACOSX/._1.png", b"x")
        archive.writestr("notes.txt", b"x")
        for file in folder.iterdir():
            archive.write(file, f"sub/{file.name}")
    return path


def tarred(folder: Path) -> Path:
    path = folder.with_name("packed.tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    return path


def pictures(source: Path) -> Pictures:
    found = find(source)
    assert isinstance(found, Pictures)
    return found


def test_an_archive_is_its_pictures(folder: Path) -> None:
    plain = pictures(folder)
    sources = [zipped(folder, zipfile.ZIP_STORED), zipped(folder, zipfile.ZIP_DEFLATED), tarred(folder)]
    for source in sources:
        packed = pictures(source)
        assert (packed.sha256s, packed.digest) == (plain.sha256s, plain.digest)
        for got, expected in zip(packed.paths, plain.paths, strict=True):
            np.testing.assert_array_equal(read_rgb(got), read_rgb(expected))


def with_zip(path: Path, name: str, data: bytes = b"x", mode: int = 0) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, data)
    return path


def with_tar(path: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(path, "w") as archive:
        archive.addfile(info)
    return path


def test_what_leads_out_is_refused(tmp_path: Path) -> None:
    for name in ("../a.png", "/a.png", "b/../../a.png", "..\\a.png"):
        for path in (with_zip(tmp_path / "a.zip", name), with_tar(tmp_path / "a.tar", name)):
            with pytest.raises(InputError, match=r"has an entry '.*' that leads out of it"):
                entries(path)
    links = [with_zip(tmp_path / "a.zip", "a.png", b"/etc/passwd", stat.S_IFLNK | 0o777)]
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
        links.append(with_tar(tmp_path / f"{number}.tar", "a.png", kind))
    for path in links:
        with pytest.raises(InputError, match=r"'a\.png' that is a link or a device"):
            entries(path)


def test_other_archives_are_refused_in_a_sentence(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"nothing")
    (tmp_path / "no.tar").write_bytes(b"nothing")
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    with_zip(tmp_path / "text.zip", "notes.txt")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a.png", b"x")
    cases = {
        "no.zip": "cannot be read as an archive: File is not a zip",
        "no.tar": "cannot be read as an archive",
        "whole.tar.gz": r"compressed as a whole.*expected \.zip or \.tar",
        "text.zip": r"text\.zip has no pictures, only other files",
        "empty.zip": r"empty\.zip has nothing in it",
        "lzma.zip": "packed otherwise than by deflate",
    }
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason):
            find(tmp_path / name)


def test_bombs_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 10_000)
    (honest,) = entries(with_zip(tmp_path / "a.zip", "a.png", bytes(20_000)))
    assert honest.packed < 100
    with pytest.raises(ImageError, match="20,000 bytes; expected at most 10,000"):
        honest.read_bytes()
    # One that tells of fewer bytes than it unpacks to, in both of its headers.
    data = (
        (tmp_path / "a.zip").read_bytes().replace((20_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    )
    (tmp_path / "b.zip").write_bytes(data)
    (lying,) = entries(tmp_path / "b.zip")
    with pytest.raises(ImageError, match="it has other than the 9 bytes that the archive tells"):
        lying.read_bytes()


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """A small file of many entries, each of the same large content, as Fifield's zip bomb has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(5_000))
        twin = zipfile.ZipInfo("b.png")
        for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
            setattr(twin, name, getattr(archive.filelist[0], name))
        archive.filelist.append(twin)
        archive.NameToInfo["b.png"] = twin
        archive._didModify = True  # type: ignore[attr-defined]
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="overlaps another"):
        entries(tmp_path / "a.zip")


def test_damage_is_told_of_the_entry(tmp_path: Path, folder: Path) -> None:
    path = zipped(folder, zipfile.ZIP_STORED)
    entry = next(entry for entry in entries(path) if entry.name.endswith("0.bmp"))
    data = bytearray(path.read_bytes())
    data[entry.start + 120] ^= 255
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"packed0\.zip:sub/0\.bmp is damaged: its checksum differs"):
        entry.read_bytes()
    found, left = pictures(path).readable()
    assert len(found.paths) == 3 and left == (f"{path}:sub/0.bmp",)
