"""Which code took a score: a digest of lacbench's own sources."""

from functools import cache
from pathlib import Path

import lacbench
from lacbench.files import sha256_file, sha256_json

APART = frozenset({"cli", "dashboards", "baselines", "recipes"})
"""Packages that no figure hangs on; an installed lacbench has them inside, a checkout beside it."""


@cache
def code_digest() -> str:
    """SHA-256 over the library's *.py files and their paths: the same for a wheel and an editable install."""
    return digest_of(Path(lacbench.__file__).parent)


def digest_of(package: Path) -> str:
    """The digest of the sources in a package's folder; of those in APART nothing counts."""
    files = {file.relative_to(package): file for file in package.rglob("*.py")}
    return sha256_json(
        {path.as_posix(): sha256_file(file) for path, file in files.items() if path.parts[0] not in APART}
    )
