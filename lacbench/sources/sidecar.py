"""What gallery-dl wrote of a picture, in the file beside it: the fields of any image board's extractor."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lacbench.records import Candidate
from lacbench.sources.fields import (
    LETTERS,
    address,
    artists,
    digest,
    names,
    pixels,
    rating,
    whole,
    with_source,
    words,
)

PAGES = {
    "danbooru": "https://danbooru.donmai.us/posts/{}",
    "gelbooru": "https://gelbooru.com/index.php?page=post&s=view&id={}",
    "safebooru": "https://safebooru.org/index.php?page=post&s=view&id={}",
    "yandere": "https://yande.re/post/show/{}",
    "konachan": "https://konachan.com/post/show/{}",
}
"""Pages of posts, by gallery-dl's name of the site (its `category`)."""
LARGEST = 2**24
"""Bytes of a sidecar; larger ones are none."""


def told_by_sidecar(candidate: Candidate) -> tuple[Candidate, bool]:
    """The candidate with what its sidecar says; and whether there is one that can be read."""
    post = _read(candidate.path.with_name(f"{candidate.path.name}.json"))
    if post is None:
        return candidate, False
    site, key, score = words(post.get("category")), whole(post.get("id")), whole(post.get("score"))
    origin = f"{site} post {key}" if site and key else candidate.origin
    # Danbooru's engine alone has `tag_string`, and there `s` is `sensitive`.
    letters = {**LETTERS, "s": "sensitive" if "tag_string" in post else "safe"}
    tagged = _first(post, "tag_string_artist", "tags_artist")
    by = names(tagged) if tagged else artists(post.get("artist"))
    page = PAGES.get(site, "").format(key) if key else ""
    return replace(
        candidate,
        origin=with_source(origin, post.get("source")),
        license=words(post.get("license")) or candidate.license,
        page=page or address(post.get("page_url")) or address(post.get("source")),
        artist=" ".join(by),
        rating=rating(post.get("rating"), letters),
        score=score,
        tags=names(_first(post, "tag_string", "tags"), escaped="tag_string" not in post),
        md5=digest(post.get("md5")) or digest(post.get("hash")),
        width=pixels(_first(post, "image_width", "width")),
        height=pixels(_first(post, "image_height", "height")),
    ), True


def _first(post: Mapping[str, Any], *keys: str) -> Any:
    """The first of the fields that says something."""
    return next((post[key] for key in keys if post.get(key)), None)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
