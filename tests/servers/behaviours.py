"""What can go wrong with a download: one function a behaviour, from a request to an answer.

`BEHAVIOURS` is the table; each function's docstring says what its URL does. "Twice" means that the first
two requests to a URL are answered badly and all later ones well: who tries again gets the picture.
"""

import math
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from email.message import Message
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from servers.pictures import Picture, picture

TWICE = 2
ENDLESS = 200 * 10**6
"""Bytes that `big` sends at most, and zeros that `gzip` inflates to."""
METADATA = "http://169.254.169.254/latest"
"""Where clouds tell a machine its secrets."""


@dataclass(frozen=True)
class Settings:
    """What a test may want shorter or longer."""

    retry_after: int = 1
    """Seconds that `throttle` asks for."""
    drip: float = 3.0
    """Seconds that `drip` takes."""
    stall: float = 60.0
    """Seconds that `stall` says nothing."""


@dataclass(frozen=True)
class Asked:
    """One request for a picture."""

    number: int
    path: str
    times: int
    """How many requests this URL has had, this one included."""
    headers: Message = field(default_factory=Message)
    settings: Settings = Settings()

    @property
    def bad_turn(self) -> bool:
        """Whether this is one of the first two requests."""
        return self.times <= TWICE

    @property
    def picture(self) -> Picture:
        """The picture as it should be."""
        return picture(self.number)


@dataclass(frozen=True)
class Answer:
    """What is sent back: headers, a body in pieces, and how the connection ends."""

    status: int
    headers: dict[str, str]
    pieces: Iterable[bytes] = ()
    ending: Literal["keep", "close", "reset", "stall"] = "keep"
    """Keep the connection; close it; reset it; or say nothing for a while, then close it."""


Behaviour = Callable[[Asked], Answer]


def filled(status: int, headers: dict[str, str], body: bytes = b"") -> Answer:
    """An answer whose Content-Length is true."""
    return Answer(status, {**headers, "Content-Length": str(len(body))}, (body,))


def moved(place: str) -> Answer:
    return filled(302, {"Location": place})


def described(told: Picture) -> dict[str, str]:
    return {
        "Content-Type": "image/png",
        "ETag": told.etag,
        "Last-Modified": told.modified,
        "Accept-Ranges": "bytes",
    }


def sent(asked: Asked, told: Picture) -> Answer:
    """The picture, or as much of it as the request's conditions ask for: 200, 206, 304 or 416."""
    headers = described(told)
    known = [tag.strip().removeprefix("W/") for tag in asked.headers.get("If-None-Match", "").split(",")]
    if told.etag in known or "*" in known:
        return Answer(304, headers)
    span = asked_span(asked.headers, told)
    if span is None:
        return filled(200, headers, told.data)
    if not span:
        return filled(416, {**headers, "Content-Range": f"bytes */{len(told.data)}"})
    return part(headers, told, span)


def part(headers: dict[str, str], told: Picture, span: range) -> Answer:
    content_range = f"bytes {span.start}-{span.stop - 1}/{len(told.data)}"
    return filled(206, {**headers, "Content-Range": content_range}, told.data[span.start : span.stop])


def asked_span(headers: Message, told: Picture) -> range | None:
    """The bytes that Range asks for, empty where there are none; None where the whole picture is due."""
    if headers.get("If-Range", told.etag) not in (told.etag, told.modified):
        return None
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("Range", ""))
    size = len(told.data)
    first, last = match.groups() if match else ("", "")
    if not (first or last) or (first and last and int(first) > int(last)):
        return None
    if not first:  # the last so many bytes
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1) if last else size)


def halved(answer: Answer, ending: Literal["close", "reset"] = "close") -> Answer:
    """The same headers, but the connection ends after half of the body."""
    body = b"".join(answer.pieces)
    return replace(answer, pieces=(body[: len(body) // 2],), ending=ending)


def ok(asked: Asked) -> Answer:
    """The picture; Range, If-Range and If-None-Match are honoured."""
    return sent(asked, asked.picture)


def reset(asked: Asked) -> Answer:
    """The connection is reset after half of the body; twice."""
    return halved(ok(asked), "reset") if asked.bad_turn else ok(asked)


def truncate(asked: Asked) -> Answer:
    """The connection closes cleanly after half of the body; twice."""
    return halved(ok(asked)) if asked.bad_turn else ok(asked)


def throttle(asked: Asked) -> Answer:
    """429 with Retry-After, in seconds for even numbers and as a date for odd ones; twice."""
    wait = asked.settings.retry_after
    # A date has whole seconds: rounded up, so that it never asks for less.
    date = formatdate(math.ceil(time.time() + wait), usegmt=True)
    told = date if asked.number % 2 else str(wait)
    return filled(429, {"Retry-After": told}, b"slower\n") if asked.bad_turn else ok(asked)


def busy(asked: Asked) -> Answer:
    """503 without Retry-After; twice."""
    return filled(503, {}, b"busy\n") if asked.bad_turn else ok(asked)


def error(asked: Asked) -> Answer:
    """500; twice."""
    return filled(500, {}, b"error\n") if asked.bad_turn else ok(asked)


def drip(asked: Asked) -> Answer:
    """A few bytes every 20 ms; twice."""
    answer = ok(asked)
    if not asked.bad_turn:
        return answer
    body = b"".join(answer.pieces)
    return replace(answer, pieces=slowly(body, max(1, round(asked.settings.drip / 0.02))))


def slowly(body: bytes, pieces: int) -> Iterator[bytes]:
    step = math.ceil(len(body) / pieces) or 1
    for start in range(0, len(body), step):
        time.sleep(0.02)
        yield body[start : start + step]


def stall(asked: Asked) -> Answer:
    """The headers, then nothing for a minute; twice."""
    return replace(ok(asked), pieces=(), ending="stall") if asked.bad_turn else ok(asked)


def hop(asked: Asked) -> Answer:
    """302 to the same number of `ok`."""
    return moved(f"/pictures/ok/{asked.number}.png")


def changed(asked: Asked) -> Answer:
    """The first answer is cut half way; from then on the picture is another one, with another ETag."""
    return halved(sent(asked, picture(asked.number, 1))) if asked.times == 1 else ok(asked)


def norange(asked: Asked) -> Answer:
    """The first answer is cut half way; from then on Range is ignored and the whole picture sent."""
    whole = filled(200, described(asked.picture), asked.picture.data)
    return halved(whole) if asked.times == 1 else whole


def wrongrange(asked: Asked) -> Answer:
    """The first answer is cut half way; the second is 206 with the bytes of another place, honestly named."""
    span = asked_span(asked.headers, asked.picture)
    if asked.times == 1:
        return halved(ok(asked))
    if asked.times == 2 and span:
        elsewhere = range(span.start // 2, span.stop)
        return part(described(asked.picture), asked.picture, elsewhere)
    return ok(asked)


def html(asked: Asked) -> Answer:
    """200 with an error page."""
    return filled(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sorry</title><p>Not now.\n")


def short(asked: Asked) -> Answer:
    """Content-Length is half of the body that is sent."""
    told = asked.picture
    headers = {**described(told), "Content-Length": str(len(told.data) // 2)}
    return Answer(200, headers, (told.data,), "close")


def long(asked: Asked) -> Answer:
    """Content-Length is 1000 more than the body that is sent; then the connection closes."""
    told = asked.picture
    headers = {**described(told), "Content-Length": str(len(told.data) + 1000)}
    return Answer(200, headers, (told.data,), "close")


def loop(asked: Asked) -> Answer:
    """302 to itself."""
    return moved(asked.path)


def private(asked: Asked) -> Answer:
    """302 to an address that only clouds answer, from inside."""
    return moved(METADATA)


def file(asked: Asked) -> Answer:
    """302 to a file of the client's machine."""
    return moved("file:///etc/passwd")


def gone(asked: Asked) -> Answer:
    """404."""
    return filled(404, {}, b"gone\n")


def taken(asked: Asked) -> Answer:
    """451: taken down."""
    return filled(451, {}, b"taken down\n")


def forbidden(asked: Asked) -> Answer:
    """403."""
    return filled(403, {}, b"forbidden\n")


def noai(asked: Asked) -> Answer:
    """The picture, with `X-Robots-Tag: noai`."""
    answer = ok(asked)
    return replace(answer, headers={**answer.headers, "X-Robots-Tag": "noai"})


def bomb(asked: Asked) -> Answer:
    """A whole PNG of a few bytes that claims 30000 × 30000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    png = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return filled(200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n" + png)


def gzip(asked: Asked) -> Answer:
    """A body of 200 KB, encoded so that it inflates to 200 MB of zeros."""
    return filled(200, {"Content-Type": "image/png", "Content-Encoding": "gzip"}, zeros())


@lru_cache(maxsize=1)
def zeros() -> bytes:
    """ENDLESS zeros, as gzip."""
    packer = zlib.compressobj(9, wbits=31)
    million = bytes(10**6)
    return b"".join(packer.compress(million) for _ in range(ENDLESS // 10**6)) + packer.flush()


def big(asked: Asked) -> Answer:
    """The picture, then zeros without end (200 MB) and without Content-Length."""
    headers = {"Content-Type": "image/png", "Connection": "close"}
    return Answer(200, headers, endless(asked.picture.data), "close")


def endless(start: bytes) -> Iterator[bytes]:
    yield start
    chunk = bytes(2**16)
    for _ in range(ENDLESS // len(chunk)):
        yield chunk


def empty(asked: Asked) -> Answer:
    """200 without a single byte."""
    return filled(200, {"Content-Type": "image/png"})


def svg(asked: Asked) -> Answer:
    """An SVG that reads a file of the client's machine, sent as image/png."""
    text = (
        '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300"><text y="20">&secret;</text></svg>'
    )
    return filled(200, {"Content-Type": "image/png"}, text.encode())


def table(*behaviours: Behaviour) -> dict[str, Behaviour]:
    return {behaviour.__name__: behaviour for behaviour in behaviours}


GOOD = table(
    ok, reset, truncate, throttle, busy, error, drip, stall, hop, changed, norange, wrongrange
)  # fmt: skip
"""Those where a client that tries again three times ends with the picture."""
BAD = table(
    html, short, long, loop, private, file, gone, taken, forbidden, noai, bomb, gzip, big, empty, svg
)  # fmt: skip
"""Those that must end without a picture, however often they are asked."""
BEHAVIOURS = GOOD | BAD
