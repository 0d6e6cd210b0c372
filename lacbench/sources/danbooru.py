"""Danbooru, and any other site of its engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from lacbench.records import Candidate
from lacbench.sources.answers import UnreadableError, message_of, parse_json
from lacbench.sources.booru import Booru
from lacbench.sources.fields import names, pixels

ONLY = (
    "id,md5,rating,score,image_width,image_height,tag_string,tag_string_artist,source,"
    "is_deleted,is_banned,file_url"
)
"""Fields that are asked for: a tenth of all that the site would send."""
FREE = "rating status id md5 width height filetype filesize score date mpixels ratio parent"
"""Names of the search's terms that are no tags, and that the site's limit leaves out."""
COUNTED = (
    " user approver fav favcount pool source age has is tagcount gentags arttags copytags chartags metatags"
    " pixiv pixiv_id embedded commentary upvotes downvotes"
)
"""Names of those that it counts."""
TERMS = {"anonymous": 2, "member": 2, "gold": 6, "platinum": 6, "builder": 6}
"""Search terms that each level of account may ask for at least."""


class Danbooru(Booru):
    """Posts of a Danbooru site, in pages of 200, by `page=b<ID>`: the only way that has no end."""

    free: ClassVar = frozenset(FREE.split())
    metatags: ClassVar = frozenset((FREE + COUNTED).split())
    letters: ClassVar = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"}
    known_ratings: ClassVar = tuple(letters.values())
    account_names: ClassVar = ("login", "api_key")

    kind: Literal["danbooru"]
    site: str = "https://danbooru.donmai.us"
    """Address of the site, without a path."""
    account: Literal["anonymous", "member", "gold", "platinum", "builder"] = "anonymous"
    """Level of the account that asks: it decides how many search terms the site takes."""
    page_size: int = Field(default=200, ge=1, le=200)
    """Posts a question."""

    def term_limit(self) -> int:
        """Two; six for accounts that support the site."""
        return TERMS[self.account]

    def question(self, below: int | None) -> tuple[str, dict[str, str]]:
        """The documented listing of posts."""
        page = {"page": f"b{below}"} if below else {}
        terms = " ".join(self.terms()[0])
        return f"{self.site}/posts.json", {"tags": terms, "limit": str(self.page_size), "only": ONLY, **page}

    def read(self, body: bytes) -> list[Any]:
        """A JSON list."""
        told = parse_json(body)
        if not isinstance(told, list):
            raise UnreadableError(message_of(body))
        return told

    def candidate(self, post: Mapping[str, Any], key: int) -> Candidate:
        """A post; deleted and banned ones, and those that hide their file, have no address."""
        hidden = post.get("is_deleted") is True or post.get("is_banned") is True
        return replace(
            self._common(post, key, "posts/", post.get("source"), hidden),
            artist=" ".join(names(post.get("tag_string_artist"))),
            tags=names(post.get("tag_string")),
            width=pixels(post.get("image_width")),
            height=pixels(post.get("image_height")),
        )

    def identify(self, account: dict[str, SecretStr]) -> dict[str, Any]:
        """By HTTP Basic."""
        return {"login": (account["login"].get_secret_value(), account["api_key"].get_secret_value())}

    def needs_account(self) -> bool:
        """Whether the recipe counts on one."""
        return self.account != "anonymous"
