"""One HTTP client for everything: who we are, what we refuse, how patient we are, what was asked of whom."""

import base64
import html
import json
import logging
import math
import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote, quote_plus, urlsplit

import httpcore
import httpx

import lacbench
from lacbench.collect.connections import Connections
from lacbench.collect.guard import Guard, RefusedError, check_url, public, set_deadline
from lacbench.collect.pace import Lane, backoff, retry_after
from lacbench.errors import FetchError
from lacbench.recipe import CollectSpec
from lacbench.sources.base import Answer

REDIRECTS = 5
"""Redirects followed before an address counts as one that leads nowhere."""
MAX_ANSWER = 32 * 2**20
"""Bytes of an API's answer; longer ones are refused."""
THROTTLED = frozenset({421, 429, 503})
"""Statuses by which a host asks for a slower pace (421: Moebooru's)."""
PASSING = THROTTLED | {408, 425, 500, 502, 504, 520, 522, 524}
"""Statuses of troubles that pass."""
PIECE = 2**20
"""Bytes that a compressed answer is inflated to at a time."""
NETWORK = (httpx.HTTPError, httpx.StreamError, httpcore.ProtocolError)
"""The network's troubles."""
NOISY = (
    "httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "hpack.hpack",
    "hpack.table", "h2.connection",
)  # fmt: skip
"""Loggers that write whole addresses and headers."""
SHORTEST_SECRET = 6
"""Characters; what is shorter would be found by chance in any answer."""

Kind = Literal["questions", "files"]
"""What is asked of a host: its API or robots.txt, or a file."""


@dataclass
class Tally:
    """What was asked of one host since the tally was taken last."""

    requests: int = 0
    """Requests that got as far as a status, or failed on the way."""
    bytes: int = 0
    """Bytes of bodies that arrived."""
    statuses: Counter[str] = field(default_factory=Counter)
    """How many of each status; `failed` where none came."""


class Client:
    """A polite `Web`: paced by host, guarded, silent about secrets, honest about itself."""

    def __init__(self, spec: CollectSpec) -> None:
        """Prepare; nothing is asked yet."""
        self.spec = spec
        contact = f"; {spec.contact}" if spec.contact else ""
        self.agent = f"lacbench/{lacbench.__version__} (data set builder{contact})"
        self._http = httpx.Client(
            transport=Connections(Guard(spec.allow_hosts)),
            headers={"User-Agent": self.agent},
            timeout=httpx.Timeout(spec.timeout, pool=None),
            follow_redirects=False,
            trust_env=False,
        )
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._lanes: dict[tuple[str, Kind], Lane] = {}
        self._tallies: dict[str, Tally] = {}
        self._totals: Counter[str] = Counter()
        self._lock = threading.Lock()
        _hush_loggers()

    def __enter__(self) -> Self:
        """Use the client."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close its connections."""
        self._http.close()

    def lane(self, url: str, kind: Kind) -> Lane:
        """The lane of the address's host. Raises ValueError for an address without one."""
        host = urlsplit(url).netloc.rpartition("@")[2].lower()
        with self._lock:
            if (host, kind) not in self._lanes:
                told = self.spec.hosts.get(host) or self.spec.hosts.get(host.rpartition(":")[0])
                rate = (told and told.requests_per_second) or self.spec.requests_per_second
                at_once = (told and told.downloads_at_once) or self.spec.downloads_at_once
                self._lanes[host, kind] = Lane(gap=1 / rate) if kind == "questions" else Lane(at_once)
            return self._lanes[host, kind]

    def ask(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        secret: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        understood: frozenset[int] = frozenset(),
        patience: float = math.inf,
    ) -> Answer:
        """GET an address of a documented API; see `Web.ask`. Waits at most `patience` seconds in all."""
        query = {**(params or {}), **(secret or {})}
        target = httpx.URL(url, params=query) if query else httpx.URL(url)
        lane, trouble = self.lane(url, "questions"), ""
        until = time.monotonic() + patience
        for attempt in range(1, self.spec.attempts + 1):
            if not lane.wait(until):
                trouble = trouble or f"it asks for more patience than {patience:g} s"
                break
            try:
                answer = self._answer(target, login, [*(secret or {}).values(), *(login or ())])
            except NETWORK as error:
                trouble = told(error)  # never the library's own text: it may repeat what was sent
                lane.complaint(backoff(attempt))
                continue
            except (ValueError, zlib.error) as error:
                trouble = f"it does not speak HTTP as it should ({type(error).__name__})"
                break
            finally:
                lane.end()
            if answer.status < 400 or answer.status in understood:
                lane.thanks()
                return answer
            # With an account in use nothing of the answer is shown: it may repeat what was sent in any form.
            excerpt = "" if secret or login else f": {_excerpt(answer.body)}"
            trouble = f"HTTP {answer.status}{excerpt}"
            if answer.status not in PASSING:
                break
            lane.complaint(retry_after(answer.headers.get("retry-after")) or backoff(attempt))
        raise FetchError(
            f"{public(url)} gave no answer that can be used: {trouble}; "
            "run the same command again later, or mend the recipe's source"
        )

    def _answer(self, url: httpx.URL, login: tuple[str, str] | None, secrets: Iterable[str]) -> Answer:
        auth = httpx.BasicAuth(*login) if login else None
        with self.open(url, {"Accept-Encoding": "gzip"}, auth) as response:
            body = bytearray()
            for piece in _inflated(response):
                body += piece
                if len(body) > MAX_ANSWER:
                    raise FetchError(f"{public(url)} answers with more than {MAX_ANSWER >> 20} MB; not read")
            return Answer(response.status_code, response.headers, _blotted(bytes(body), secrets))

    @contextmanager
    def open(
        self,
        url: str | httpx.URL,
        headers: Mapping[str, str],
        auth: httpx.BasicAuth | None = None,
        allows: Callable[[str], None] = lambda _: None,
    ) -> Iterator[httpx.Response]:
        """One GET, redirects followed and each looked at; the body is not read yet. Waits for no lane.

        All of it, the body included, must be over within the recipe's deadline.

        Args:
            url: what is asked for.
            headers: beside who we are.
            auth: an account's.
            allows: is asked of every other host that a redirect leads to; raises where it may not be asked.

        Raises:
            RefusedError: an address that must not be asked.
            httpx.HTTPError: the network's troubles.
        """
        target = httpx.URL(url)
        set_deadline(self.spec.deadline)
        for _ in range(REDIRECTS + 1):
            check_url(target)
            request = self._http.build_request("GET", target, headers=headers)
            try:
                response = self._http.send(request, stream=True, auth=auth)
            except httpx.HTTPError:
                self.count(target, "failed")
                raise
            self.count(target, str(response.status_code))
            try:
                if not response.has_redirect_location:
                    yield response
                    return
                following = target.join(response.headers["location"])
            except httpx.InvalidURL as error:
                raise RefusedError(f"{public(target)} leads to an address that cannot be read") from error
            finally:
                response.close()
            if (following.scheme, following.netloc) != (target.scheme, target.netloc):
                auth = None  # credentials are for the host, and the encryption, that they were given for
            if following.netloc != target.netloc:
                self._check_leap(target, following)
                allows(str(following))
            target = following
        raise RefusedError(f"{public(url)} leads on more than {REDIRECTS} times")

    def _check_leap(self, start: httpx.URL, end: httpx.URL) -> None:
        """Raise RefusedError where a host of the internet leads to one that may be private."""
        allowed = {host.lower() for host in self.spec.allow_hosts}
        if end.host.lower() in allowed and start.host.lower() not in allowed:
            raise RefusedError(f"{public(start)} leads to {end.host}, which only the recipe may ask for")

    def count(self, url: httpx.URL, status: str = "", size: int = 0) -> None:
        """Add a request, or bytes that came, to the host's tally."""
        with self._lock:
            tally = self._tallies.setdefault(url.netloc.decode("ascii", "replace"), Tally())
            tally.bytes += size
            if status:
                tally.requests += 1
                self._totals[url.netloc.decode("ascii", "replace")] += 1
                tally.statuses[status] += 1

    def totals(self) -> dict[str, int]:
        """How many requests were made to each host, by this client."""
        with self._lock:
            return dict(self._totals)

    def take_tallies(self) -> dict[str, Tally]:
        """What was asked of each host since the last call."""
        with self._lock:
            taken, self._tallies = self._tallies, {}
            return taken


def now() -> str:
    """This moment in UTC, to the second, as ISO 8601."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(error: Exception) -> str:
    """A network's trouble for people and for the ledger: its kind, without what differs from run to run."""
    kinds = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ConnectError: "no connection",
        httpx.TimeoutException: "the site fell silent",
        httpx.RemoteProtocolError: "the site broke off",
        httpx.NetworkError: "the connection broke",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    """The body in pieces of bounded size: one layer of gzip at most, since layers multiply."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from response.iter_raw()
        return
    if encoding != "gzip":
        raise ValueError(f"sent as {encoding[:40]}, asked for as gzip")
    inflate = zlib.decompressobj(wbits=31)
    for chunk in response.iter_raw():
        rest = chunk
        while rest:
            yield inflate.decompress(rest, PIECE)
            rest = inflate.unconsumed_tail


def _blotted(body: bytes, secrets: Iterable[str]) -> bytes:
    """The body with every secret blotted out, should a site repeat one: no error can show it then."""
    values = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    basic = base64.b64encode(":".join(secrets).encode()).decode()
    for value in [*values, basic]:
        escaped = json.dumps(value)[1:-1]
        quoted = {quote(value), quote(value, safe=""), quote_plus(value)}
        lower = {re.sub("%..", lambda found: found[0].lower(), form) for form in quoted}
        for form in {value, escaped, escaped.replace("/", "\\/"), html.escape(value), *quoted, *lower}:
            body = body.replace(form.encode(), b"***") if form else body
    return body


def _excerpt(body: bytes) -> str:
    """The first line of an answer, for people: printable and short."""
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    return "".join(c for c in text if c.isprintable())[:200] or "an empty answer"


def _hush_loggers() -> None:
    """Keep addresses with secrets out of whatever log the caller keeps: these libraries log whole ones."""
    for name in NOISY:
        logging.getLogger(name).addFilter(_silence)


def _silence(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
