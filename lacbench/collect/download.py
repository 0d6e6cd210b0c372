"""One file: asked for, hashed while it streams into a `.part` file, resumed where it broke off, checked.

A finished part is complete and synced, but not in the store yet: the caller notes what it is, then moves it.
"""

import base64
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from lacbench.collect.client import NETWORK, PASSING, THROTTLED, Client, told
from lacbench.collect.guard import RefusedError
from lacbench.collect.pace import retry_after
from lacbench.collect.robots import Robots, says_noai
from lacbench.errors import FetchError, ImageError, LacbenchError, MissingError
from lacbench.files import md5_bytes, output_errors, sha256_bytes, write_bytes
from lacbench.store import prepared

GONE = {401: "forbidden", 403: "forbidden", 404: "missing", 410: "missing", 451: "taken-down"}
"""The ledger's word for statuses that will not pass."""
PART_NAME = (
    r"[0-9a-f]{64}\.\d{1,18}\.([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?\.(part|rendered)"
)
"""Names of parts, and of pictures that were rendered from them."""
LONGEST_VALIDATOR = 100
"""Bytes of an ETag or date that a part's name has room for."""
WRONG_CONTENT_TRIES = 2
"""How often a file is asked for whose bytes are not what they should be."""


@dataclass(frozen=True)
class Job:
    """A file that is wanted."""

    url: str
    """Where it is."""
    md5: str = ""
    """Hexadecimal MD5 that its bytes must have; empty for unknown."""
    plain: bool = False
    """Whether the address came from a plain list, where robots.txt speaks, and from no documented API."""
    validator: str = ""
    """ETag or date of the copy that we have; a site that has the same yet sends nothing."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a part to be stored, or a reason."""

    job: Job
    """What was wanted."""
    reason: str = ""
    """Why there is no file: the ledger's word; empty for a file."""
    detail: str = ""
    """The same for people."""
    part: Path | None = None
    """The complete file."""
    sha256: str = ""
    """Of the complete file."""
    format: str = ""
    """Container, as Pillow names it."""
    md5: str = ""
    """Of the file as it came."""
    validator: str = ""
    """The site's ETag, or else its Last-Modified."""
    unchanged: bool = False
    """The site has the same file that we have already."""


class RobotsError(Exception):
    """A host's robots.txt does not want an address fetched."""


class TryAgainError(Exception):
    """An attempt failed in a way that may pass; `weight` says how much of the attempts it used up."""

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        weight: float = 1.0,
        pause: float | None = None,
        throttled: bool = False,
    ) -> None:
        """`pause`: seconds that the host asked us to wait; `throttled`: it asked for a slower pace."""
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.weight = reason, detail, weight
        self.pause, self.throttled = pause, throttled


class Downloader:
    """Attempts to get files; safe to use from several threads, one job in one thread at a time."""

    def __init__(self, client: Client, parts: Path) -> None:
        """`parts`: the folder of unfinished files."""
        self._client, self._parts = client, parts
        self._leftovers = find_parts(parts)
        self._robots = Robots(client)
        self.stopped = False
        """Whether running attempts are to end soon."""

    def stop(self) -> None:
        """Let running attempts end with their next piece; what is here of their files stays."""
        self.stopped = True

    def attempt(self, job: Job) -> Outcome:
        """One attempt, going on from what an earlier one left.

        Raises:
            TryAgainError: it failed in a way that may pass.
            OutputError: the part cannot be written.
        """
        try:
            self._check_robots(job, job.url)
            return self._get(job)
        except RobotsError:
            return Outcome(job, "robots", "the host's robots.txt does not want it fetched")
        except RefusedError as error:
            return Outcome(job, "refused", str(error))
        except (httpx.InvalidURL, UnicodeError) as error:
            return Outcome(job, "refused", f"the address cannot be read: {error}")
        except FetchError as error:
            return Outcome(job, "failed", str(error))
        except NETWORK as error:
            raise TryAgainError("failed", told(error)) from error
        except (LacbenchError, TryAgainError):
            raise
        except Exception as error:  # one answer out of the ordinary must not end the whole build
            raise TryAgainError(
                "failed", f"an answer that no client knows ({type(error).__name__})"
            ) from error

    def _check_robots(self, job: Job, url: str) -> None:
        """Raise RobotsError where the rules of the address's host do not want a plain job fetched."""
        if job.plain and self._client.spec.robots and not self._robots.allows(url):
            raise RobotsError(url)

    def _get(self, job: Job) -> Outcome:
        part = Part(self._parts, job.url, self._leftovers)
        if part.is_whole():  # killed between the last byte and the note of it
            return self._finish(job, part)
        headers = _headers(job, part)
        leap = partial(self._check_robots, job)
        with self._client.open(job.url, headers, allows=leap) as response:
            if (ended := self._verdict(job, part, response)) is not None:
                return ended
            with output_errors(part.path):
                self._save(part, response)
        return self._finish(job, part)

    def _verdict(self, job: Job, part: "Part", response: httpx.Response) -> Outcome | None:
        """What the status line and headers alone decide; None to read the body."""
        status, headers = response.status_code, response.headers
        if says_noai(headers.get_list("x-robots-tag")):
            part.forget()
            return Outcome(job, "noai", "the site says that nothing may learn from it")
        if status == 304 and job.validator:
            return Outcome(job, unchanged=True)
        if status in PASSING:
            throttled = status in THROTTLED
            pause = retry_after(headers.get("retry-after"))
            raise TryAgainError(
                "failed",
                f"HTTP {status}",
                weight=1 / 3 if throttled else 1.0,
                pause=pause,
                throttled=throttled,
            )
        if status == 416 or (status == 206 and not (part.size and part.continues(headers))):
            part.forget()
            raise TryAgainError("failed", "the site does not continue where the file broke off")
        if status not in (200, 206):
            return Outcome(job, GONE.get(status, "missing"), f"HTTP {status}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            return Outcome(job, "corrupt", f"sent as {headers['content-encoding']}, asked for as it is")
        if (size := part.announced(response)) > self._client.spec.max_bytes:
            part.forget()
            return Outcome(
                job, "oversized", f"{size:,} bytes, at most {self._client.spec.max_bytes:,} are taken"
            )
        return None

    def _save(self, part: "Part", response: httpx.Response) -> None:
        """Stream the body to the part; raises TryAgainError or httpx.HTTPError where it breaks off."""
        deadline = time.monotonic() + self._client.spec.deadline
        with part.writing(response) as write:
            for chunk in response.iter_raw():  # as it comes: pieces of a size would hold some back
                write(chunk)
                self._client.count(response.request.url, size=len(chunk))
                if part.size > self._client.spec.max_bytes:
                    raise TryAgainError(
                        "oversized", f"more than {self._client.spec.max_bytes:,} bytes", weight=1e9
                    )
                if self.stopped:
                    raise TryAgainError("failed", "stopped")
                if time.monotonic() > deadline:
                    raise TryAgainError("failed", f"not whole after {self._client.spec.deadline:g} s")

    def _finish(self, job: Job, part: "Part") -> Outcome:
        """Check a complete part: its MD5, its size, its type from its bytes."""
        if part.length and part.size != part.length:
            raise TryAgainError("failed", f"{part.size:,} of {part.length:,} bytes came")
        with output_errors(part.path):
            data = part.read()
        got = md5_bytes(data)
        if job.md5 and got != job.md5:
            part.forget()
            detail = f"MD5 {got}, the site states {job.md5}"
            raise TryAgainError("corrupt", detail, weight=self._client.spec.attempts / WRONG_CONTENT_TRIES)
        try:
            content, kind = prepared(data, _name(job.url))
        except (ImageError, MissingError) as error:
            part.forget()
            if data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
                weight = self._client.spec.attempts / WRONG_CONTENT_TRIES
                raise TryAgainError("unreadable", "a web page, no picture", weight=weight) from error
            return Outcome(job, "unreadable", str(error))
        complete = part.path
        if content is not data:
            # Beside the part, which stays as it came until the rendering is noted.
            complete = part.path.with_suffix(".rendered")
            write_bytes(complete, content)
        return Outcome(
            job,
            part=complete,
            sha256=sha256_bytes(content),
            format=kind,
            md5=got,
            validator=part.validator,
        )


class Part:
    """An unfinished file. Its name says all that is needed to go on: `<digest>.<length>.<validator>.part`.

    The digest is that of the address, so that no address reaches the file system; the validator, in base64,
    is what names this version of the file. Name and content are there together or not at all.
    """

    def __init__(self, folder: Path, url: str, leftovers: dict[str, str]) -> None:
        """The part of an address; `leftovers`: names of the parts in the folder, by digest."""
        self._folder, self._leftovers = folder, leftovers
        self._digest = sha256_bytes(url.encode("utf-8", "surrogatepass"))
        self.size = 0
        """Bytes that are here."""
        self.length = 0
        """Bytes of the whole; 0 where the site did not say."""
        self.validator = ""
        """Strong ETag, or date, that names this version of the file; empty for none."""
        if name := leftovers.get(self._digest):
            _, length, validator, _ = name.split(".")
            self.length = int(length)
            self.validator = base64.urlsafe_b64decode(validator).decode("ascii", "replace")
            self.size = self.path.stat().st_size if self.path.is_file() else 0

    @property
    def path(self) -> Path:
        """Where it lies."""
        validator = base64.urlsafe_b64encode(self.validator.encode()).decode()
        return self._folder / f"{self._digest}.{self.length}.{validator}.part"

    def is_whole(self) -> bool:
        """Whether all announced bytes are here."""
        return self.size == self.length > 0

    def continues(self, headers: httpx.Headers) -> bool:
        """Whether a 206 answer starts where the part ends, in a file of the same length."""
        found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("content-range", ""))
        if not found or int(found[1]) != self.size:
            return False
        return found[2] == "*" or self.length in (0, int(found[2]))

    def announced(self, response: httpx.Response) -> int:
        """Bytes that the whole file will have, by the headers; 0 for unknown."""
        length = response.headers.get("content-length", "")
        rest = int(length) if re.fullmatch(r"\d{1,18}", length) else 0
        return self.size + rest if response.status_code == 206 else rest

    @contextmanager
    def writing(self, response: httpx.Response) -> Iterator[Any]:
        """Lend a function that appends to the part; a 200 answer starts it anew."""
        if response.status_code == 200:
            self.forget()
            self.length, self.validator = self.announced(response), _validator(response.headers)
            self.path.unlink(missing_ok=True)  # whatever somebody put there
            self._leftovers[self._digest] = self.path.name
        # A link that somebody put there is not followed.
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        with os.fdopen(handle, "ab", buffering=0) as file:

            def write(chunk: bytes) -> None:
                file.write(chunk)
                self.size += len(chunk)

            yield write

    def forget(self) -> None:
        """Take away what is here: it will not become the file."""
        if self._leftovers.pop(self._digest, None):
            self.path.unlink(missing_ok=True)
        self.size, self.length, self.validator = 0, 0, ""

    def read(self) -> bytes:
        """Bring the part onto the disk, and read it back."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            return file.read()


def find_parts(folder: Path) -> dict[str, str]:
    """Names of the parts that earlier runs left, by digest; what is no part of ours is not touched."""
    names = (file.name for file in folder.iterdir() if file.is_file() and not file.is_symlink())
    return {
        name.partition(".")[0]: name
        for name in names
        if re.fullmatch(PART_NAME, name) and name.endswith(".part")
    }


def _headers(job: Job, part: Part) -> dict[str, str]:
    """As it is, without compression: hashes and ranges are of the file's own bytes."""
    headers = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
    if part.size and part.validator:
        return {**headers, "Range": f"bytes={part.size}-", "If-Range": part.validator}
    part.forget()
    if job.validator:
        name = "If-None-Match" if job.validator.endswith('"') else "If-Modified-Since"
        return {**headers, name: job.validator}
    return headers


def _validator(headers: httpx.Headers) -> str:
    """A strong ETag, else the date; a weak ETag does not promise the same bytes (RFC 9110, 13.1.5).

    One too long for the name of a file is none: the file is then fetched from the start.
    """
    etag = str(headers.get("etag", ""))
    found = etag if etag.startswith('"') else str(headers.get("last-modified", ""))
    return found if re.fullmatch(rf"[ -~]{{1,{LONGEST_VALIDATOR}}}", found) else ""


def _name(url: str) -> str:
    """An address's last part, for people: without its query, which may hold a token."""
    return urlsplit(url).path.rpartition("/")[2][:80] or "the picture"
