"""Gelbooru, safebooru.org, and other sites with the interface `dapi` 0.2."""

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree

from pydantic import Field

from lacbench.records import Candidate
from lacbench.sources.answers import UnreadableError, message_of, parse_json
from lacbench.sources.booru import Booru
from lacbench.sources.fields import digest, names

METATAGS = "rating score width height user md5 parent source fav pool title updated"
"""Names of the search's terms that are no tags."""


class Gelbooru(Booru):
    """Posts of a dapi site, followed by `id:<N` from the start.

    Its pages (`pid`) end at a depth of about 20,000 posts and shift when posts are added; ids do neither,
    and the default order is by falling id. Some posts name no `file_url`: it is not made up from `directory`
    and `image`, since files lie on other hosts than the site. The interface does not tell artists from other
    tags.
    """

    metatags: ClassVar = frozenset(METATAGS.split())
    refused: ClassVar = Booru.refused | {"id"}
    letters: ClassVar = {"g": "general", "s": "safe", "q": "questionable", "e": "explicit"}
    known_ratings: ClassVar = ("general", "safe", "sensitive", "questionable", "explicit")
    account_names: ClassVar = ("api_key", "user_id")

    kind: Literal["gelbooru"]
    site: str = "https://gelbooru.com"
    """Address of the site, without a path."""
    page_size: int = Field(default=100, ge=1, le=1000)
    """Posts a question: at most 100 at most sites, 1,000 at safebooru.org."""

    def term_limit(self) -> None:
        """None that is known."""
        return

    def question(self, below: int | None) -> tuple[str, dict[str, str]]:
        """The documented listing of posts."""
        terms = self.terms()[0] + ([f"id:<{below}"] if below else [])
        fixed = {"page": "dapi", "s": "post", "q": "index", "json": "1"}
        return f"{self.site}/index.php", {**fixed, "tags": " ".join(terms), "limit": str(self.page_size)}

    def read(self, body: bytes) -> list[Any]:
        """JSON, or the XML that some sites and all their errors come in."""
        text = body.strip()
        if not text:  # how some say that there are none
            return []
        if text.startswith((b"<", b"\xef\xbb\xbf<")):
            return _read_xml(text)
        told = parse_json(text)
        if isinstance(told, dict) and (
            "post" in told or ("@attributes" in told and told.get("success") is not False)
        ):
            told = told.get("post") or []
            told = [told] if isinstance(told, dict) else told
        if not isinstance(told, list):
            raise UnreadableError(message_of(body))
        return told

    def candidate(self, post: Mapping[str, Any], key: int) -> Candidate:
        """A post; deleted ones have no address."""
        hidden = post.get("status") == "deleted"
        source = post.get("source")
        source = html.unescape(source) if isinstance(source, str) else ""
        common = self._common(post, key, "index.php?page=post&s=view&id=", source, hidden)
        tags = names(post.get("tags"), escaped=True)
        return replace(common, tags=tags, md5=common.md5 or digest(post.get("hash")))

    def needs_account(self) -> bool:
        """Gelbooru itself answers nobody without one."""
        return (urlsplit(self.site).hostname or "").removeprefix("www.") == "gelbooru.com"

    def rating_term(self, word: str) -> str:
        """The word itself."""
        return word


def _read_xml(body: bytes) -> list[Any]:
    """The posts of `<posts>`, whose fields are attributes or elements.

    Entities, by which a small document grows huge or reads files, can only be declared in a DOCTYPE:
    documents with one are refused. Text, unlike bytes, has one reading, so none hides in another encoding.
    """
    try:
        text = body.decode("utf-8-sig")
        if "<!doctype" in text.lower():
            raise UnreadableError(text)
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ValueError, ElementTree.ParseError):
        raise UnreadableError(body.decode("utf-8", "replace")) from None
    if root.tag != "posts":
        raise UnreadableError(root.get("reason") or "".join(root.itertext()) or text)
    return [{**post.attrib, **{field.tag: field.text for field in post}} for post in root.iter("post")]
