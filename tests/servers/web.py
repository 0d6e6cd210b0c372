"""A small honest client of `Web`: asks once, waits for nobody."""

import base64
from collections.abc import Mapping
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from lacbench.errors import FetchError
from lacbench.sources.base import Answer


class PlainWeb:
    """Asks by urllib."""

    def ask(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        secret: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        understood: frozenset[int] = frozenset(),
    ) -> Answer:
        request = Request(f"{url}?{urlencode({**(params or {}), **(secret or {})})}")
        if login:
            request.add_header(
                "Authorization", f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
            )
        try:
            with urlopen(request, timeout=10) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except HTTPError as error:
            with error:
                if error.code in understood:
                    return Answer(error.code, dict(error.headers), error.read())
            raise FetchError(f"{url} answered {error.code}; run again") from error


class Scripted:
    """Answers what it is told to, whatever is asked."""

    def __init__(self, *bodies: bytes, status: int = 200) -> None:
        self.bodies, self.status, self.asked = list(bodies), status, []

    def ask(self, url: str, params: Mapping[str, str] | None = None, **told: object) -> Answer:
        self.asked.append((url, dict(params or {}), told))
        return Answer(self.status, {}, self.bodies.pop(0) if self.bodies else b"[]")
