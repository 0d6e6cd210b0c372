"""Moebooru: yande.re, konachan, and other sites of the engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from lacbench.records import Candidate
from lacbench.sources.answers import UnreadableError, message_of, parse_json
from lacbench.sources.booru import Booru
from lacbench.sources.fields import names

ARTIST = "_artist"
"""Where `read` puts the artists, whom the interface names beside the posts."""

METATAGS = "rating user vote width height score mpixels date md5 source parent pool ext holds pending shown"
"""Names of the search's terms that are no tags."""


class Moebooru(Booru):
    """Posts of a Moebooru site, followed by `id:<N` from the start: its pages shift, and end at 5,000."""

    metatags: ClassVar = frozenset(METATAGS.split())
    refused: ClassVar = Booru.refused | {"id"}
    letters: ClassVar = {"s": "safe", "q": "questionable", "e": "explicit"}
    known_ratings: ClassVar = tuple(letters.values())
    account_names: ClassVar = ("login", "password_hash")

    kind: Literal["moebooru"]
    site: str = "https://yande.re"
    """Address of the site, without a path."""

    def term_limit(self) -> int:
        """Six, one of which the list needs to go on."""
        return 5

    def question(self, below: int | None) -> tuple[str, dict[str, str]]:
        """The documented listing of posts, with the types of their tags."""
        terms = self.terms()[0] + ([f"id:<{below}"] if below else [])
        types = {"api_version": "2", "include_tags": "1"}
        return f"{self.site}/post.json", {"tags": " ".join(terms), "limit": str(self.page_size), **types}

    def read(self, body: bytes) -> list[Any]:
        """A JSON list, or an object of posts and their tags' types."""
        told = parse_json(body)
        types: Mapping[str, Any] = {}
        if isinstance(told, dict) and isinstance(told.get("posts"), list):
            types = told["tags"] if isinstance(told.get("tags"), dict) else {}
            told = told["posts"]
        if not isinstance(told, list):
            raise UnreadableError(message_of(body))
        return [_with_artist(post, types) for post in told]

    def candidate(self, post: Mapping[str, Any], key: int) -> Candidate:
        """A post; deleted ones have no address."""
        hidden = post.get("status") == "deleted"
        return replace(
            self._common(post, key, "post/show/", post.get("source"), hidden),
            artist=" ".join(names(post.get(ARTIST))),
            tags=names(post.get("tags")),
        )


def _with_artist(post: Any, types: Mapping[str, Any]) -> Any:
    if not isinstance(post, dict):
        return post
    return {**post, ARTIST: [tag for tag in names(post.get("tags")) if types.get(tag) == "artist"]}
