"""Pictures whose addresses a table names: CSV, JSON lines or Parquet."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from lacbench.errors import InputError
from lacbench.records import KEPT, SETS, Candidate, Set, Verdict
from lacbench.sources.base import Page, Source, Visit
from lacbench.sources.fields import address, digest, no_picture, told_of, words
from lacbench.sources.listing import PAGE, paged, position, within_limit
from lacbench.sources.rows import read_rows


class Urls(Source):
    """A table with a column `url`, and perhaps `set`, `key`, `license`, `artist`, `page`, `tags`, `rating`,
    `score`, `md5`, `width`, `height` and `pair`; other columns are ignored.

    Ratings are words: the letter `s` alone means one thing here and another there.
    """  # fmt: skip

    remote: ClassVar = True
    plain: ClassVar = True
    local_paths: ClassVar = ("file",)

    kind: Literal["urls"]
    file: Path
    """The table: .csv, .jsonl (both perhaps .gz, .xz or .zst) or .parquet."""
    set: Set | None = None
    """The set of rows that name none."""

    def sets(self) -> tuple[Set, ...]:
        """Both: rows may name their own."""
        return SETS

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the rows' pictures, in their order."""
        yield from within_limit(self, cursor, SETS, lambda place: paged(self._rows(visit), position(place)))

    def accepts(self, candidate: Candidate) -> Verdict:
        """Refuse what is no address that can be asked, and films and archives unseen."""
        if not candidate.url:
            return Verdict(False, "refused", "no http(s) address, or one with a user in it")
        suffix = no_picture(candidate.url)
        return Verdict(False, "unreadable", f"{suffix} is no still picture") if suffix else KEPT

    def stamp(self) -> str:
        """Changes with the table's file."""
        try:
            told = self.file.stat()
        except OSError as error:
            raise InputError(f"source {self.name}: {self.file} cannot be read: {error.strerror}") from error
        return json.dumps([self.model_dump_json(), told.st_size, told.st_mtime_ns])

    def plan(self) -> tuple[str, ...]:
        """Lists from a file; only its pictures' hosts are asked."""
        first = islice(read_rows(self.file), PAGE)
        hosts = Counter(urlsplit(address(row.get("url"))).netloc for _, row in first if row)
        named = ", ".join(host for host, _ in hosts.most_common(5) if host) or "no host"
        return (
            f"reads {self.file}, and fetches pictures from the addresses it names, anonymously",
            f"most of its first {PAGE} rows name {named}",
        )

    def _rows(self, visit: Visit) -> Iterator[tuple[int, Candidate]]:
        """The candidates with their rows' numbers; of rows with one key, the first."""
        seen: set[bytes] = set()
        repeats = number = 0
        try:
            for number, row in read_rows(self.file):
                candidate = self._candidate(number, row)
                short = hashlib.blake2b(candidate.key.encode(), digest_size=8).digest()
                if short in seen:
                    repeats += 1
                    continue
                seen.add(short)
                yield number, candidate
        finally:
            if repeats:
                visit.progress.say(f"source {self.name}: {repeats} rows repeat an earlier key, passed over")
        if not number:
            raise InputError(f"source {self.name}: {self.file} has no rows; put addresses there")

    def _candidate(self, number: int, row: Mapping[str, Any] | None) -> Candidate:
        if row is None or "url" not in row:
            got = "no object" if row is None else ", ".join(map(str, row))
            raise self._wrong(number, f"expected a column `url`, got {got}")
        name = words(row.get("set")) or self.set
        if name not in SETS:
            raise self._wrong(number, f"expected `set` to be {' or '.join(SETS)}, got {name!r}")
        if words(row.get("md5")) and not digest(row["md5"]):
            raise self._wrong(number, f"expected `md5` to be 32 hexadecimal digits, got {row['md5']!r}")
        url = address(row["url"])
        candidate = Candidate(
            source=self.name,
            # Never the address as it was written: what is refused may have a password in it.
            key=words(row.get("key")) or url or f"row {number}",
            set=name,
            origin=urlsplit(url).netloc or f"row {number} of {self.file.name}",
            license=self.license,
            url=url,
        )
        return told_of(candidate, row)

    def _wrong(self, number: int, what: str) -> InputError:
        return InputError(f"source {self.name}: row {number} of {self.file} does not hold: {what}; mend it")
