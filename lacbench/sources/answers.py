"""Answers that are no list of posts: what they say, and how much of it may be shown."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from lacbench.text import one_line

EXCERPT = 80
"""Characters of a stranger's answer that an error shows."""


class UnreadableError(Exception):
    """An answer that is no list of posts; its text is what came."""


def parse_json(body: bytes) -> Any:
    """An answer's JSON. Raises UnreadableError with what came."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError(body.decode("utf-8", "replace")) from None


def shown(text: str, account: Mapping[str, SecretStr]) -> str:
    """The start of a stranger's text that may be shown: printable, short, and nobody's secret in it."""
    for value in sorted((v.get_secret_value() for v in account.values()), key=len, reverse=True):
        for form in {value, quote(value), quote(value, safe=""), quote_plus(value)}:
            text = text.replace(form, "…")
    return one_line(text)[:EXCERPT]


def message_of(body: bytes) -> str:
    """The reason that an error's JSON gives; the body's text where it is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    if isinstance(told, dict):
        told = next((told[k] for k in ("message", "reason", "error") if isinstance(told.get(k), str)), told)
    return told if isinstance(told, str) else json.dumps(told)
