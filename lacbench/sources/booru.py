"""What the three image-board engines share: a search, its limits, and a list that is followed by id."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Self
from urllib.parse import urlencode, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from lacbench.collect.credentials import find, variable
from lacbench.errors import FetchError, InputError, MissingError
from lacbench.records import KEPT, Candidate, Set, Verdict
from lacbench.sources.answers import UnreadableError, message_of, shown
from lacbench.sources.base import Answer, Page, Source, Visit
from lacbench.sources.fields import address, digest, no_picture, pixels, rating, whole, with_source
from lacbench.sources.listing import position, within_limit

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that a secret may go to in clear: it does not leave this machine."""


class Booru(Source):
    """An image board: posts found by tags, newest first, followed by their ids.

    Ids only grow, so posts that are added meanwhile come before the first page: they are not listed,
    and nothing is skipped or listed twice.
    """

    remote: ClassVar = True
    metatags: ClassVar[frozenset[str]]
    """Names before the colon of search terms that are no tags."""
    free: ClassVar[frozenset[str]] = frozenset()
    """Metatags that do not count against the limit on terms."""
    refused: ClassVar[frozenset[str]] = frozenset(
        {"order", "sort", "limit", "random", "ordfav", "ordpool", "ordfavgroup", "search"}
    )
    """Metatags that would break the list's order."""
    letters: ClassVar[Mapping[str, str]]
    """The site's letters for ratings, and their words."""
    known_ratings: ClassVar[tuple[str, ...]]
    """Ratings that the site knows, as words."""
    understood: ClassVar[frozenset[int]] = frozenset({401, 410, 422, 451, 500})
    """Statuses whose answer says what is wrong."""
    account_names: ClassVar[tuple[str, ...]]
    """What an account consists of; see `lacbench.collect.credentials`."""

    site: str
    """Address of the site, without a path."""
    set: Set
    """The set that its pictures are offered for."""
    tags: tuple[str, ...] = ()
    """Tags that a picture must all have, in the site's own names; metatags such as `width:>=512` too."""
    without: tuple[str, ...] = ()
    """Tags that a picture must not have."""
    ratings: tuple[str, ...] = ()
    """Ratings that a picture may have, as words; empty for any."""
    page_size: int = Field(default=100, ge=1, le=100)
    """Posts a question."""

    @field_validator("site")
    @classmethod
    def _plain_site(cls, site: str) -> str:
        try:
            parts = urlsplit(site)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good or not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+/?", site, re.IGNORECASE):
            raise ValueError("must be an address like https://danbooru.donmai.us: no path, user or query")
        return site.rstrip("/").lower()

    @field_validator("tags", "without")
    @classmethod
    def _plain_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            if not tag or not tag.isprintable() or " " in tag or "*" in tag or tag[0] in "-~":
                raise ValueError(
                    f"{tag!r} is no tag: write one in the site's own name, with underscores; "
                    "what must not be there goes under `without`"
                )
            if tag.lower() in ("or", "and") or _metatag(tag) in cls.refused:
                raise ValueError(f"{tag!r} would change the order of the list, which is followed by id")
        return tuple(tag if _metatag(tag) in cls.metatags else tag.lower() for tag in tags)

    @field_validator("ratings")
    @classmethod
    def _known_ratings(cls, ratings: tuple[str, ...]) -> tuple[str, ...]:
        for word in ratings:
            if word not in cls.known_ratings:
                raise ValueError(f"{word!r} is no rating here; known are {', '.join(cls.known_ratings)}")
        return ratings

    @model_validator(mode="after")
    def _metatags_fit(self) -> Self:
        for term in self.terms()[1]:
            if self._is_metatag(term):
                raise ValueError(
                    f"{term!r} lies beyond the {self.term_limit()} search terms that the site takes, and "
                    "only the site can tell it; name it first, or name the account that may ask more"
                )
        return self

    @property
    def host(self) -> str:
        """The site's host, with the port where it has one of its own."""
        return urlsplit(self.site).netloc

    @abstractmethod
    def term_limit(self) -> int | None:
        """How many terms a question may have; None for any number."""

    @abstractmethod
    def question(self, below: int | None) -> tuple[str, dict[str, str]]:
        """Address and parameters that ask for posts with ids below one; None: for the newest."""

    @abstractmethod
    def read(self, body: bytes) -> list[Any]:
        """An answer's posts, as they came. Raises UnreadableError."""

    @abstractmethod
    def candidate(self, post: Mapping[str, Any], key: int) -> Candidate:
        """A post as a candidate, whatever its fields hold; `_common` has what all boards share."""

    def _common(self, post: Mapping[str, Any], key: int, page: str, source: Any, hidden: bool) -> Candidate:
        """The post's fields that all boards name alike; hidden posts have no address."""
        return Candidate(
            source=self.name,
            key=str(key),
            set=self.set,
            origin=with_source(f"{self.host} post {key}", source),
            license=self.license,
            url="" if hidden else address(post.get("file_url"), self.site),
            page=f"{self.site}/{page}{key}",
            rating=rating(post.get("rating"), self.letters),
            score=whole(post.get("score")),
            md5=digest(post.get("md5")),
            width=pixels(post.get("width")),
            height=pixels(post.get("height")),
        )

    def identify(self, account: dict[str, SecretStr]) -> dict[str, Any]:
        """How `Web.ask` is told the account."""
        return {"secret": {name: value.get_secret_value() for name, value in account.items()}}

    def needs_account(self) -> bool:
        """Whether the site answers nobody without one, or the recipe counts on one."""
        return False

    def terms(self) -> tuple[list[str], list[str]]:
        """Search terms that the site is asked for, and those filtered here, in the recipe's order."""
        left = self.term_limit()
        asked, here = [], []
        for term in [*self._rating_asked(), *self.tags, *(f"-{tag}" for tag in self.without)]:
            if self._is_metatag(term) and _metatag(term) in self.free:
                asked.append(term)
            elif left is None or left > 0:
                asked.append(term)
                left = None if left is None else left - 1
            else:
                here.append(term)
        return asked, here

    def accepts(self, candidate: Candidate) -> Verdict:
        """Judge by what the site was not asked for: further tags, ratings, files that are no pictures."""
        if suffix := no_picture(candidate.url):
            return Verdict(False, "unreadable", f"{suffix} is no still picture")
        if self.ratings and candidate.rating not in self.ratings:
            return Verdict(False, "rating", candidate.rating or "the site gives none")
        # Tags that the site was asked for may be aliases of those it shows, so they are not looked for again.
        for term in self.terms()[1]:
            unwanted = term.startswith("-")
            if (term.removeprefix("-") in candidate.tags) == unwanted:
                tag = term.removeprefix("-")
                return Verdict(False, "tags", f"has {tag}" if unwanted else f"lacks {tag}")
        return KEPT

    def pages(self, cursor: str, visit: Visit) -> Iterator[Page]:
        """Offer the search's posts, newest first."""
        account = self.credentials()
        if said := self._said_of_limit():
            visit.progress.say(f"source {self.name}: {said}")
        yield from within_limit(self, cursor, (self.set,), lambda place: self._listed(place, visit, account))

    def stamp(self) -> str:
        """A finished list is kept as long as the same is asked."""
        return self.model_dump_json()

    def plan(self) -> tuple[str, ...]:
        """Whom it would ask what, as whom."""
        url, params = self.question(None)
        address = f"{url}?{urlencode(params)}"
        told = [f"asks {self.host} for up to {self.page_size} posts a question, first {address}"]
        told.append(f"search terms asked for: {' '.join(self.terms()[0]) or 'none, so all posts'}")
        told += [said] if (said := self._said_of_limit()) else []
        told += [f"takes ratings {', '.join(self.ratings)} only"] if self.ratings else []
        variables = ", ".join(variable(self.host, name) for name in self.account_names)
        if find(self.host, self.account_names):
            return (*told, f"as the account of {variables}")
        missing = "needs an account" if self.needs_account() else "anonymous, without an account"
        return (*told, f"{missing}: {variables} in the environment (or the keyring) would name one")

    def credentials(self) -> dict[str, SecretStr]:
        """The account to ask as; empty for none.

        Raises:
            MissingError: the site answers nobody without one, and none is set.
            InputError: it is set in part, or would go over the net in clear.
        """
        found = find(self.host, self.account_names)
        if not found and self.needs_account():
            raise MissingError(
                f"source {self.name}: {self.host} is to be asked with an account; set "
                f"{' and '.join(variable(self.host, name) for name in self.account_names)} in the environment"
            )
        if found and self.site.startswith("http:") and urlsplit(self.site).hostname not in LOCAL:
            raise InputError(f"source {self.name}: the account would go to {self.site} in clear; write https")
        return found or {}

    def _rating_asked(self) -> list[str]:
        """The one rating that is wanted, as the site's search has it; several are filtered here."""
        if len(self.ratings) != 1 or any(_metatag(tag) == "rating" for tag in self.tags):
            return []
        return [f"rating:{self.rating_term(self.ratings[0])}"]

    def rating_term(self, word: str) -> str:
        """A rating as the site's search has it: its letter."""
        return next(letter for letter, told in self.letters.items() if told == word)

    def _is_metatag(self, term: str) -> bool:
        return _metatag(term) in self.metatags

    def _said_of_limit(self) -> str:
        here = self.terms()[1]
        if not here:
            return ""
        return f"{self.host} takes {self.term_limit()} search terms; filtered here: {' '.join(here)}"

    def _listed(self, cursor: str, visit: Visit, account: dict[str, SecretStr]) -> Iterator[Page]:
        below = position(cursor) or None
        found = below is not None
        while posts := self._newer_first(self._ask(below, visit, account), below, visit):
            found, below = True, min(posts)
            yield Page(tuple(self.candidate(post, n) for n, post in posts.items()), str(below))
        if not found:
            asked = " ".join(self.terms()[0]) or "anything"
            raise InputError(
                f"source {self.name}: {self.host} has no posts for {asked}; check the tags' names there"
            )

    def _ask(self, below: int | None, visit: Visit, account: dict[str, SecretStr]) -> list[Any]:
        url, params = self.question(below)
        secret = self.identify(account) if account else {}
        answer = visit.web.ask(url, params, understood=self.understood, **secret)
        if answer.status >= 400:
            raise FetchError(
                f"{self.host} refused with HTTP {answer.status}: {self._complaint(answer, account)}"
            )
        try:
            return self.read(answer.body)
        except UnreadableError as error:
            said = shown(str(error), account)
            raise FetchError(
                f"{self.host} sent no list of posts but {said!r}; {self._advice(0, said)}"
            ) from None

    def _newer_first(self, posts: list[Any], below: int | None, visit: Visit) -> dict[int, Mapping[str, Any]]:
        """The posts below an id, by id, each once, in falling order."""
        numbered = [(number, post) for post in posts if (number := _number(post)) is not None]
        if len(numbered) < len(posts):
            visit.progress.say(
                f"source {self.name}: {len(posts) - len(numbered)} entries without an id passed over"
            )
        ids = [number for number, _ in numbered]
        if any(later > earlier for earlier, later in pairwise(ids)):
            raise FetchError(
                f"{self.host} does not list its posts newest first, so its list cannot be followed without "
                "gaps; take tags that do not change the order"
            )
        new = {number: post for number, post in reversed(numbered) if below is None or number < below}
        if numbered and not new:
            visit.progress.say(
                f"source {self.name}: {self.host} gives the same posts again; the list ends here"
            )
        return dict(sorted(new.items(), reverse=True))

    def _complaint(self, answer: Answer, account: dict[str, SecretStr]) -> str:
        """What the site says is wrong, and what to do about it, in a sentence's end."""
        said = shown(message_of(answer.body), account)
        return f"{said or 'no reason given'}; {self._advice(answer.status, said)}"

    def _advice(self, status: int, said: str) -> str:
        variables = " and ".join(variable(self.host, name) for name in self.account_names)
        if status == 401 or "authent" in said.lower():
            return f"check {variables}"
        if status == 422:
            return "name fewer `tags` first, or the `account` that may ask more"
        if status == 410:
            return "the site lists no further; narrow the search by more tags"
        if status == 451:
            return "the site may not show this; take it out of the search"
        if status == 500:
            return "the search asks too much of the site; name rarer tags first"
        return "check that `site` is an address of this kind of site, and run again"


def _metatag(term: str) -> str:
    name, colon, _ = term.removeprefix("-").partition(":")
    return name.lower() if colon else ""


def _number(post: Any) -> int | None:
    """A post's id; None for what is no post."""
    told = whole(post.get("id")) if isinstance(post, dict) else None
    return told if told is not None and told > 0 else None
