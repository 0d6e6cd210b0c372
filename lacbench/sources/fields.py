"""What strangers say of a picture, made into a candidate's fields: any JSON value may come, none raises."""

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from lacbench.records import Candidate
from lacbench.sources.base import as_text
from lacbench.text import one_line

RATINGS = ("general", "safe", "sensitive", "questionable", "explicit")
"""The ratings' words, from the tamest on."""
LETTERS = {"g": "general", "q": "questionable", "e": "explicit"}
"""Ratings' letters that mean one thing everywhere; `s` is `sensitive` to some sites, `safe` to others."""
NO_PICTURES = frozenset(
    {".mp4", ".webm", ".mkv", ".mov", ".avi", ".zip", ".rar", ".7z", ".swf", ".mp3", ".html"}
)
"""Suffixes of files that sites have beside still pictures."""
LONGEST = 200
"""Characters of a stranger's text that a person is shown."""


def whole(value: Any) -> int | None:
    """A whole number, also as text (tables with gaps write 3.0); None for all else and beyond 18 digits."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 10**15 else None
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    found = re.fullmatch(r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*", value)
    return int(found[1]) if found else None


def pixels(value: Any) -> int:
    """A width or height; 0 for what is none."""
    told = whole(value) or 0
    return told if 0 < told < 2**31 else 0


def words(value: Any) -> str:
    """One line of printable text; empty for what is no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = as_text(value) if isinstance(value, str) else str(whole(value) or "")
    return one_line(text)


def names(value: Any, *, escaped: bool = False) -> tuple[str, ...]:
    """A site's tags, sorted: out of one text that spaces part, or a list of texts or of named objects.

    Args:
        value: as it came.
        escaped: whether the site writes HTML entities into its tags.
    """
    if isinstance(value, list | tuple):
        parts = [words(item.get("name") if isinstance(item, dict) else item) for item in value]
    else:
        parts = words(value).split()
    plain = (html.unescape(part) if escaped else part for part in parts if part)
    return tuple(sorted({part.replace(" ", "_") for part in plain}))


def listed(value: Any) -> tuple[str, ...]:
    """Tags out of a table's cell, sorted: parted by commas where it has any, by spaces elsewhere."""
    if isinstance(value, str) and "," in value:
        return names([part.strip() for part in value.split(",")])
    return names(value)


def artists(value: Any) -> tuple[str, ...]:
    """Artists out of a table's cell: parted by commas or in a list; the spaces of a name become `_`."""
    parts = value.split(",") if isinstance(value, str) else value
    told = [words(part) for part in parts] if isinstance(parts, list | tuple) else []
    return tuple(name.replace(" ", "_") for name in told if name)


def digest(value: Any) -> str:
    """An MD5 in lower-case hexadecimal; empty for what has not its form."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else ""


def rating(value: Any, letters: Mapping[str, str] = LETTERS) -> str:
    """A rating's word, out of the word or its letter; empty for unknown ones."""
    text = words(value).lower()
    return text if text in RATINGS else letters.get(text, "")


def address(value: Any, base: str = "") -> str:
    """An http(s) address that can be asked as it stands; empty for what is none.

    Addresses with a user and password in them are none either.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable():
        return ""
    try:
        parts = urlsplit(urljoin(f"{base}/", text) if base else text)
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    if not plain or "@" in parts.netloc or not parts.netloc.isascii() or re.search(r"[\s\\]", parts.netloc):
        return ""
    try:
        return quote(parts.geturl(), safe="%/:=&?~#+!$,;'@()*[]|")
    except UnicodeEncodeError:
        return ""


def no_picture(url: str) -> str:
    """The suffix of an address that leads to no still picture; empty for all others."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return suffix if suffix in NO_PICTURES else ""


def with_source(origin: str, source: Any) -> str:
    """Where a picture comes from, and where the site says it was found, for people."""
    told = words(source)
    return f"{origin} (source {told[:LONGEST]}{'…' if len(told) > LONGEST else ''})" if told else origin


def told_of(candidate: Candidate, row: Mapping[str, Any]) -> Candidate:
    """The candidate with what a row of metadata says of it; columns that say nothing change nothing."""
    score = whole(row.get("score"))
    said = {
        "license": words(row.get("license")),
        "artist": " ".join(artists(row.get("artist"))),
        "page": address(row.get("page")),
        "rating": rating(row.get("rating")),
        "tags": listed(row.get("tags")),
        "md5": digest(row.get("md5")),
        "width": pixels(row.get("width")),
        "height": pixels(row.get("height")),
    }
    kept: dict[str, Any] = {name: value for name, value in said.items() if value}
    if score is not None:
        kept["score"] = score
    if pair := words(row.get("pair")):
        kept["pair"] = f"{candidate.source}/{pair}"
    return replace(candidate, **kept)
