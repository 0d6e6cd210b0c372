"""Danbooru2017 to Danbooru2021: metadata as lines of JSON, beside a tree of pictures."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from lacbench.errors import InputError
from lacbench.records import Candidate, Set
from lacbench.sources.base import Page, Source, Visit
from lacbench.sources.fields import digest, names, no_picture, pixels, rating, whole, with_source
from lacbench.sources.listing import paged, position, within_limit
from lacbench.sources.rows import COMPRESSED, json_lines

LETTERS = {"s": "safe", "q": "questionable", "e": "explicit"}
"""The site's ratings while the dumps were made."""
ARTIST = 1
"""Category of tags that name artists."""
MOST = 2**30
"""Ids beyond it are none of the site's."""


class Dump(Source):
    """Posts of a dump whose tags match; all others are not even offered, since a dump has millions.

    Matching posts whose picture is not on this disk are offered without a file, and so are those of
    artists who asked the site to take their pictures down.
    """

    local_paths: ClassVar = ("metadata", "images")

    kind: Literal["dump"]
    metadata: Path
    """A file of JSON lines, perhaps compressed (.gz, .xz, .zst), or a folder of them."""
    images: Path
    """The folder that has `original/` or `512px/`."""
    set: Set
    """The set that its pictures are offered for."""
    tags: tuple[str, ...] = ()
    """Tags that a picture must all have."""
    without: tuple[str, ...] = ()
    """Tags that a picture must not have."""
    ratings: tuple[Literal["safe", "questionable", "explicit"], ...] = ()
    """Ratings that a picture may have; empty for any."""
    size: Literal["original", "512px"] = "original"
    """Which pictures: as they were posted, or made small, square and JPEG."""

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the matching posts, in the order of the files' names and lines."""
        yield from within_limit(
            self, cursor, (self.set,), lambda place: paged(self._posts(visit), position(place))
        )

    def stamp(self) -> str:
        """Changes with the table, the metadata and the folders that the pictures lie in."""
        tree = [p for p in sorted((self.images / self.size).glob("*")) if p.is_dir()]
        told = [(p.name, s.st_size, s.st_mtime_ns) for p in (*self._files(), *tree) if (s := p.stat())]
        return json.dumps([self.model_dump_json(), told])

    def plan(self) -> tuple[str, ...]:
        """Reads this machine's files only."""
        wanted = " ".join([*self.tags, *(f"-{tag}" for tag in self.without)]) or "any tags"
        return (f"reads {self.metadata} for posts with {wanted}, and {self.images / self.size}; asks nobody",)

    def _posts(self, visit: Visit) -> Iterator[tuple[int, Candidate]]:
        """The matching posts with their lines' numbers, each post once."""
        seen = _Ids()
        number = broken = repeats = found = 0
        try:
            for file in self._files():
                for _, post in json_lines(file):
                    number += 1
                    key = whole(post.get("id")) if post else None
                    if post is None or key is None or not 0 < key < MOST:
                        broken += 1
                    elif not self._wants(post):
                        continue
                    elif seen.add(key):
                        found += 1
                        yield number, self._candidate(post, key)
                    else:
                        repeats += 1
        finally:  # also when there is enough, and nobody asks for the rest
            if broken or repeats:
                visit.progress.say(
                    f"source {self.name}: {broken} broken lines and {repeats} repeated posts passed over, "
                    f"of {number} lines"
                )
        if not found:
            raise InputError(
                f"source {self.name}: none of the {number} lines of {self.metadata} is a post with these "
                "tags and ratings; mend the search, or name another file"
            )

    def _wants(self, post: Mapping[str, Any]) -> bool:
        """Whether the post matches; millions are asked, so their tags are taken as they stand."""
        told = post.get("tags")
        found = [t.get("name") for t in told if isinstance(t, dict)] if isinstance(told, list) else []
        tags = {name for name in found if isinstance(name, str)}
        return (
            tags.issuperset(self.tags)
            and tags.isdisjoint(self.without)
            and (not self.ratings or rating(post.get("rating"), LETTERS) in self.ratings)
        )

    def _candidate(self, post: Mapping[str, Any], key: int) -> Candidate:
        path, trouble = self._picture(post, key)
        origin = with_source(f"Danbooru dump post {key}{trouble}", post.get("source"))
        tags = post.get("tags") if isinstance(post.get("tags"), list) else []
        artists = [t for t in tags or () if isinstance(t, dict) and whole(t.get("category")) == ARTIST]
        told = self.size == "original"  # size and digest are the original's
        return Candidate(
            source=self.name,
            key=str(key),
            set=self.set,
            origin=origin,
            license=self.license,
            path=path,
            page=f"https://danbooru.donmai.us/posts/{key}",
            artist=" ".join(names(artists)),
            rating=rating(post.get("rating"), LETTERS),
            score=whole(post.get("score")),
            tags=names(tags),
            md5=digest(post.get("md5")) if told else "",
            width=pixels(post.get("image_width")) if told else 0,
            height=pixels(post.get("image_height")) if told else 0,
        )

    def _picture(self, post: Mapping[str, Any], key: int) -> tuple[Path, str]:
        """The post's file, or none and why."""
        if post.get("is_banned") is True:
            return Path(), ", taken down"
        given = str(post.get("file_ext")).lower()
        suffix = given if re.fullmatch("[a-z0-9]{1,5}", given) else ""
        if no_picture(f"x.{suffix}"):
            return Path(), f", a .{suffix} file"
        name = f"{key}.{'jpg' if self.size == '512px' else suffix}"
        path = self.images / self.size / f"{key % 1000:04}" / name
        return (path, "") if path.is_file() else (Path(), ", not on this disk")

    def _files(self) -> list[Path]:
        """The metadata's files, by name."""
        if self.metadata.is_file():
            return [self.metadata]
        kinds = {f"{kind}{packed}" for kind in (".json", ".jsonl") for packed in ("", *COMPRESSED)}
        found = [p for p in sorted(self.metadata.rglob("*")) if p.is_file() and p.name.endswith(tuple(kinds))]
        if not found:
            raise InputError(
                f"source {self.name}: {self.metadata} is no file of metadata, nor a folder of .json files; "
                "name the dump's `metadata`"
            )
        return found


class _Ids:
    """A set of ids in one bit each: millions take a megabyte."""

    def __init__(self) -> None:
        self.bits = bytearray()

    def add(self, number: int) -> bool:
        """Whether it is new."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self.bits):
            self.bits.extend(bytes(place + 4096 - len(self.bits)))
        new = not self.bits[place] & bit
        self.bits[place] |= bit
        return new
