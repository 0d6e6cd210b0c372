"""Files that are whole or not there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lacbench.errors import OutputError
from lacbench.files import (
    PART,
    atomic,
    make_folder,
    read_json,
    sha256_file,
    sha256_json,
    sweep,
    write_bytes,
    write_json,
)


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_sweep_spares_what_somebody_may_be_writing(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("young", 60)):
        file = tmp_path / f"a/.{name}.png.x{PART}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"half")
        os.utime(file, (time.time() - age,) * 2)
    with atomic(tmp_path / "a/b.png") as temporary:
        temporary.write_bytes(b"whole")
        sweep(tmp_path, 3600)
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == [f".young.png.x{PART}", "b.png"]
    sweep(tmp_path)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.png"]


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file/a", tmp_path / "file/b/c"):
        with pytest.raises(OutputError, match="is a file, not a folder: choose another"):
            write_bytes(path, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(OutputError, match="the disk is full"), _full():
        Path("/dev/full").write_bytes(b"x")


def _full():  # the errno a full disk gives, met while writing elsewhere
    from lacbench.files import output_errors

    return output_errors(Path("out"))


def test_a_read_only_file_system_is_one_sentence() -> None:
    if not Path("/sys/kernel").exists():
        pytest.skip("no /sys on this system")
    with pytest.raises(OutputError, match=r"cannot write /sys/lacbench: .*choose another"):
        make_folder(Path("/sys/lacbench"))


def test_json_round_trip_and_broken_state(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, "ä"]})
    assert read_json(tmp_path / "a.json") == {"b": [1, "ä"]}
    (tmp_path / "a.json").write_text('{"b": [1')
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "none") is None


def test_digests() -> None:
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1}) != sha256_json({"a": 1, "b": 2})
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_file(Path(os.devnull)) == empty


def test_kill_minus_nine_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    """A process that writes without pause is killed many times; what is there is always whole."""
    target = tmp_path / "a"
    code = (
        "import sys\nfrom pathlib import Path\nfrom lacbench.files import write_bytes\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    for letter in b'ab': write_bytes(Path(sys.argv[1]), bytes([letter]) * 300_000)"
    )
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while not target.exists():
                pass
            process.kill()
        assert target.read_bytes() in {b"a" * 300_000, b"b" * 300_000}
