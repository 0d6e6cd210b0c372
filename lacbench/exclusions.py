"""Works that are taken out for good: a rebuild does not bring them back."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lacbench.errors import InputError
from lacbench.files import write_text
from lacbench.records import Candidate
from lacbench.sources.fields import address

FILE = "excluded.txt"
"""Where a data set remembers them."""

_POST = re.compile(r"/posts/\d+")
"""Path of a post's page on sites of the Danbooru engine."""
_FORMS = {"sha256": "[0-9a-f]{64}", "md5": "[0-9a-f]{32}", "id": ".+", "artist": ".+", "url": r"\S+"}


@dataclass(frozen=True)
class Exclusions:
    """Rules that name works; a work that one of them names is excluded."""

    id: frozenset[str] = frozenset()
    """Names within a source, or `source/name`."""
    md5: frozenset[str] = frozenset()
    """Of the file as the site has it."""
    sha256: frozenset[str] = frozenset()
    """Ids of stored pictures."""
    artist: frozenset[str] = frozenset()
    """One of the artist's names, in any case, `_` for spaces."""
    url: frozenset[str] = frozenset()
    """Of the file, or of the page that shows it."""

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return any((self.id, self.md5, self.sha256, self.artist, self.url))

    def __or__(self, other: "Exclusions") -> "Exclusions":
        """The rules of both."""
        return Exclusions(**{f.name: getattr(self, f.name) | getattr(other, f.name) for f in fields(self)})

    def names(self, candidate: Candidate, sha256: str = "", md5: str = "") -> str:
        """The first rule that names the work, as it is written; empty for none."""
        return next(iter(self.all_names(candidate, sha256, md5)), "")

    def all_names(self, candidate: Candidate, sha256: str = "", md5: str = "") -> list[str]:
        """All rules that name the work, as they are written.

        MD5s come first: once the file is gone, the ledger's note of the rule is all that is left of them.
        """
        if not self:
            return []
        named: dict[str, Iterable[str]] = {
            "md5": {candidate.md5, md5} - {""},
            "id": (candidate.key, f"{candidate.source}/{candidate.key}"),
            "artist": candidate.artist.casefold().split(),
            # Only where they are asked for: there may be millions of candidates.
            "url": (_comparable(place) for place in (candidate.url, candidate.page) if place and self.url),
            "sha256": {sha256} - {""},
        }
        return [
            f"{kind}: {value}"
            for kind, values in named.items()
            for value in sorted(set(values))
            if value in getattr(self, kind)
        ]

    def text(self) -> str:
        """The rules, one a line, sorted."""
        return "".join(
            f"{f.name}: {value}\n" for f in fields(self) for value in sorted(getattr(self, f.name))
        )


def parse_exclusions(text: str, name: str) -> Exclusions:
    """Read rules: a line is `kind: value` or a bare sha256, md5 or address; `#` starts a comment.

    Kinds are id, md5, sha256, artist and url. Raises InputError that names the line.
    """
    found: dict[str, set[str]] = {kind: set() for kind in _FORMS}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = re.sub(r"(^|\s)#.*", "", line).strip()
        if not stripped:
            continue
        kind, value = _rule(stripped)
        if kind not in _FORMS or not re.fullmatch(_FORMS[kind], value):
            raise InputError(
                f"{name}, line {number}: {stripped[:80]!r} names no work; expected `kind: value` with a "
                f"kind of {', '.join(_FORMS)}"
            )
        found[kind].add(value)
    settings: dict[str, Any] = {kind: frozenset(values) for kind, values in found.items()}
    return Exclusions(**settings)


def read_exclusions(file: Path) -> Exclusions:
    """Read a file of rules; see `parse_exclusions`. Raises InputError, also where it cannot be read."""
    try:
        return parse_exclusions(file.read_text("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read as a list of works: {error}; expected UTF-8 text with one a line"
        ) from error


def load_exclusions(folder: Path) -> Exclusions:
    """The rules that a data set remembers; none where it has no such file. Raises InputError."""
    return read_exclusions(folder / FILE) if (folder / FILE).is_file() else Exclusions()


def save_exclusions(folder: Path, rules: Exclusions) -> None:
    """Let a data set remember the rules. Raises OutputError."""
    write_text(folder / FILE, rules.text())


def _rule(line: str) -> tuple[str, str]:
    """Kind and value of a line; what a bare value is, its form tells."""
    for kind in ("sha256", "md5"):
        if re.fullmatch(_FORMS[kind], line.lower()):
            return kind, line.lower()
    if re.match(r"https?://", line, re.IGNORECASE):
        return "url", _comparable(line)
    kind, _, value = (part.strip() for part in line.partition(":"))
    if kind == "artist":
        return kind, "_".join(value.casefold().split())
    if kind == "url":
        return kind, _comparable(value)
    return kind, value.lower() if kind in ("sha256", "md5") else value


def _comparable(text: str) -> str:
    """An address as addresses are compared; other text as it is.

    A post's page is the same whichever search it was found by: Danbooru writes that into its query.
    """
    if not (whole := address(text)):
        return text
    parts = urlsplit(whole)
    query = "" if _POST.fullmatch(parts.path) else parts.query
    return urlunsplit(parts._replace(netloc=parts.netloc.lower(), query=query, fragment=""))
