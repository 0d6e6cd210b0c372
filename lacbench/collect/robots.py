"""robots.txt, for pictures that come by plain addresses (RFC 9309)."""

import re
import threading
from urllib.parse import urlsplit

from protego import Protego

from lacbench.collect.client import Client
from lacbench.errors import FetchError

AGENT = "lacbench"
"""The name that a robots.txt may address us by."""
VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
"""Rules of X-Robots-Tag that have a value after a colon."""
MAX_ROBOTS = 512 * 1024
"""Bytes of a robots.txt that are read, as RFC 9309 asks at least for."""
PATIENCE = 60.0
"""Seconds that a host may let us wait for its robots.txt; then it counts as not to be had."""
CLIENT_ERRORS = frozenset(range(400, 500)) - {408, 425, 429, 421}
"""Answers that mean there is no robots.txt: everything is allowed."""


class Robots:
    """The rules of every host, each asked for once."""

    def __init__(self, client: Client) -> None:
        """`client`: the way to the hosts."""
        self._client = client
        self._rules: dict[str, Protego | FetchError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def allows(self, url: str) -> bool:
        """Whether the host's robots.txt lets us fetch the address; sets the lane to its Crawl-delay.

        Raises FetchError where the file cannot be had: then nothing of the host may be fetched.
        """
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
        with self._lock:
            lock = self._locks.setdefault(root, threading.Lock())
        with lock:
            if root not in self._rules:
                try:
                    self._rules[root] = self._read(root)
                except FetchError as error:  # once a run: a host that is down is not asked for every file
                    self._rules[root] = error
        rules = self._rules[root]
        if isinstance(rules, FetchError):
            raise rules
        return bool(rules.can_fetch(url, AGENT))

    def _read(self, root: str) -> Protego:
        answer = self._client.ask(f"{root}/robots.txt", understood=CLIENT_ERRORS, patience=PATIENCE)
        text = answer.body[:MAX_ROBOTS].decode("utf-8", "replace") if answer.status < 400 else ""
        rules = Protego.parse(text)
        if delay := rules.crawl_delay(AGENT):
            self._client.lane(root, "files").slow_to(float(delay))
        return rules


def says_noai(values: list[str]) -> bool:
    """Whether X-Robots-Tag headers forbid learning from the file, for everybody or for us by name.

    A value is `rule, rule` or `agent: rule, rule`; the rules in question are `noai` and `noimageai`. Rules
    with values of their own (`max-snippet:-1`) look like agents; in doubt, the file is left.
    """
    for value in values:
        for number, part in enumerate(value.lower().split(",")):
            agent, _, rule = part.strip().rpartition(":")
            others = number == 0 and agent.strip() not in ("", "*", AGENT)
            if others and re.fullmatch(r"[\w.-]+", agent.strip()) and agent.strip() not in VALUED:
                break  # what follows is for somebody else
            if rule.strip() in ("noai", "noimageai"):
                return True
    return False
