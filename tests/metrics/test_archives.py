"""Archives: the same pictures as in a folder, and nothing that a stranger's archive should not hold."""

import io
import os
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("a.png", b"x")
        archive.writestr("a.png", b"y")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a.png"))
    for name in ("a.zip", "a.tar"):
        with pytest.raises(InputError, match=r"'a\.png' that has the name of another"):
            entries(tmp_path / name)


def test_a_name_that_commands_the_terminal_is_refused(tmp_path: Path) -> None:
    for path in (with_zip(tmp_path / "a.zip", "\x1b[2J.png"), with_tar(tmp_path / "a.tar", "\x1b[2J.png")):
        with pytest.raises(InputError, match=r"entry '\\x1b\[2J\.png' that has a name with control char"):
            entries(path)
    entries(with_zip(tmp_path / "b.zip", "線画\u3000１.png"))


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A tar header of ours, with its checksum."""
    made = bytearray(512)
    for at, told in {
        0: name,
        100: b"0000644",
        124: size,
        148: b" " * 8,
        156: kind,
        257: b"ustar\x0000",
    }.items():
        made[at : at + len(told)] = told
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"g", b"S"])
@pytest.mark.parametrize("number", [-1, -512, -1024, 2**62, 2**80])
def test_tar_headers_that_lie_of_sizes_are_refused(tmp_path: Path, kind: bytes, number: int) -> None:
    size = (number % 256**12).to_bytes(12, "big") if number < 0 else b"\x80" + number.to_bytes(11, "big")
    whole = header(b"b.png", b"00000000005") + b"hello".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(whole + header(b"a.png", size, kind) + bytes(2048))
    try:
        found = entries(tmp_path / "a.tar")
    except InputError as error:
        assert "a.tar" in str(error)
        return
    assert number > 0
    with pytest.raises(ImageError):
        found[-1].read_bytes()


def test_a_name_that_is_empty_is_no_crash(tmp_path: Path) -> None:
    data = with_zip(tmp_path / "a.zip", "a").read_bytes()
    at = data.index(b"PK\x01\x02")
    changed = bytearray(data[: at + 46] + data[at + 47 :])
    changed[at + 28] = 0  # the name's length in the directory
    end = changed.index(b"PK\x05\x06")
    changed[end + 12 : end + 16] = (end - at).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(changed)
    with pytest.raises(InputError, match="has no pictures, only other files"):
        find(tmp_path / "a.zip")


PACKED = io.BytesIO()
with zipfile.ZipFile(PACKED, "w", zipfile.ZIP_DEFLATED) as made:
    for number in range(3):
        made.writestr(f"{number}.png", bytes(range(60)))
TARRED = io.BytesIO()
with tarfile.open(fileobj=TARRED, mode="w", format=tarfile.PAX_FORMAT) as made_tar:
    for number in range(3):
        long = tarfile.TarInfo("l" * 120 + f"/{number}é.png")
        long.size = 40
        made_tar.addfile(long, io.BytesIO(bytes(40)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    damage=st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=6),
    zip=st.booleans(),
)
def test_damaged_archives_are_refused_or_their_entries_are(
    tmp_path: Path, damage: list[tuple[int, int]], zip: bool
) -> None:
    data = bytearray((PACKED if zip else TARRED).getvalue())
    for place, value in damage:
        data[place % len(data)] = value
    path = tmp_path / ("a.zip" if zip else "a.tar")
    path.write_bytes(data)
    with suppress(InputError):
        for entry in entries(path):
            with suppress(ImageError):
                entry.read_bytes()


def test_pipes_and_devices_among_pictures_are_not_opened(tmp_path: Path, folder: Path) -> None:
    (folder / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"no files but pipes or devices \(zero\.png\); take them away"):
        find(folder)
    (folder / "zero.png").unlink()
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(InputError, match=r"pipe\.png"):
        find(folder)
    (folder / "pipe.png").unlink()
    (folder / "gone.png").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"gone\.png cannot be opened"):
        find(folder)
