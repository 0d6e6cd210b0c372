"""The digest of the code: the same wherever lacbench is installed, another for other code."""

import shutil
from pathlib import Path

import pytest

import lacbench
from lacbench.code import APART, code_digest, digest_of

PACKAGE = Path(lacbench.__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "lacbench", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "lacbench"


def test_a_wheel_has_the_digest_of_the_checkout(copy: Path) -> None:
    """A wheel has packages inside that a checkout has beside it, and files that are no code."""
    for name in APART:
        (copy / name).mkdir()
        (copy / name / "module.py").write_text("print()")
    (copy / "py.typed").write_text("changed")
    assert digest_of(copy) == code_digest() == digest_of(PACKAGE)


def test_other_code_has_another_digest(copy: Path) -> None:
    (copy / "metrics/kid.py").write_bytes((copy / "metrics/kid.py").read_bytes() + b"\n")
    changed = digest_of(copy)
    (copy / "metrics/kid.py").rename(copy / "metrics/kid2.py")
    assert len({changed, digest_of(copy), code_digest()}) == 3
