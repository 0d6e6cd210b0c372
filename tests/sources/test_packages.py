"""Source kind `packages`: real clients where they are, hostile archives, and clients that are not there."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from lacbench.errors import FetchError, InputError, MissingError
from lacbench.images import decode
from lacbench.sources import packages
from lacbench.sources.packages import Packages, unpack
from lacbench.store import keep

from made import offered

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


def tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, link
            archive.addfile(info, io.BytesIO(data))
    return io.BytesIO(stream.getvalue())


def unpacked(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_only_what_the_globs_name_is_unpacked(tmp_path: Path) -> None:
    stream = tar(("./usr/a.png", b"1"), ("./usr/b.txt", b"2"), ("./usr/deep/er/c.png", b"3"))
    unpack(stream, tmp_path / "t", ["**/*.png"])
    assert unpacked(tmp_path / "t") == {"usr/a.png": b"1", "usr/deep/er/c.png": b"3"}


@pytest.mark.parametrize("name", ["../up.png", "a/../../up.png"])
def test_paths_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FetchError, match="does not unpack"):
        unpack(tar((name, b"x")), tmp_path / "in/t", ["**/*.png", "*.png"])
    assert list(tmp_path.rglob("*.png")) == []


def test_absolute_paths_land_inside(tmp_path: Path) -> None:
    unpack(tar((f"{tmp_path}/abs.png", b"x")), tmp_path / "t", ["**/*.png"])
    assert not (tmp_path / "abs.png").exists()
    assert list(unpacked(tmp_path / "t").values()) == [b"x"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    unpack(tar(("a.png", b""), kind=kind, link="/etc/passwd"), tmp_path / "t", ["*.png"])
    assert list((tmp_path / "t").iterdir()) == []


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_TOTAL", 10)
    with pytest.raises(FetchError, match="goes beyond what a package may unpack to"):
        unpack(tar(("a.png", bytes(6)), ("b.png", bytes(6))), tmp_path / "t", ["*.png"])
    monkeypatch.setattr(packages, "MAX_FILES", 1)
    with pytest.raises(FetchError, match="goes beyond"):
        unpack(tar(("a.png", b""), ("b.png", b"")), tmp_path / "u", ["*.png"])


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_truncated_archive_is_one_sentence(tmp_path: Path, cut: int) -> None:
    whole = tar(("a.png", bytes(range(256)) * 40)).getvalue()
    with pytest.raises(FetchError, match="does not unpack"):
        unpack(io.BytesIO(whole[:cut]), tmp_path / "t", ["*.png"])


def spec(client: str, package: str, glob: str, **more: object) -> Packages:
    return Packages.model_validate(
        {
            "name": "s",
            "kind": "packages",
            "client": client,
            "packages": (package,),
            "linearts": (glob,),
            **more,
        }
    )


@pytest.mark.parametrize(("client", "program"), [("apt", "apt-get"), ("npm", "npm")])
def test_a_missing_client_is_one_sentence(
    client: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=f"^{program} is not on this machine"):
        offered(spec(client, "x", "*"), tmp_path)


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get here")
def test_no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    with pytest.raises(FetchError, match=r"apt-get knows none of tuxpaint-data: .*; check the network"):
        offered(spec("apt", "tuxpaint-data", "*"), tmp_path)


CASES = {
    "apt-get": spec("apt", "no-such-package-at-all | tuxpaint-data", "**/starters/elephant.svg"),
    "npm": spec(
        "npm", "openmoji", "package/black/svg/1F418.svg", illustrations=["package/color/svg/1F418.svg"]
    ),
}


@pytest.mark.network
@pytest.mark.parametrize("client", CASES)
def test_a_real_package_is_fetched_unpacked_and_found_again(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which(client):
        pytest.skip(f"no {client} here")
    source = CASES[client]
    try:
        found = offered(source, tmp_path)
    except FetchError as error:
        pytest.skip(f"no package registry here: {error}")
    _, path, _ = keep(found[-1].path, found[-1].key, tmp_path)
    assert 512 <= min(decode((tmp_path / path).read_bytes()).shape[:2]) <= 513
    assert found[-1].origin.split()[0] in {"apt:", "npm:"}
    assert len((tmp_path / found[-1].license_file).read_text()) > 500
    # A second run asks nobody: it works with the client's program gone.
    monkeypatch.setenv("PATH", str(tmp_path))
    before = {c.key: c.path.stat().st_mtime_ns for c in found}
    again = offered(source, tmp_path)
    assert {c.key: c.path.stat().st_mtime_ns for c in again} == before


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("npm"), reason="no npm here")
def test_globs_that_name_nothing(tmp_path: Path) -> None:
    try:
        with pytest.raises(InputError, match="openmoji hold none of nothing"):
            offered(spec("npm", "openmoji", "nothing/*"), tmp_path)
    except FetchError as error:
        pytest.skip(f"no package registry here: {error}")
