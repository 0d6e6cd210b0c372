"""What may be connected to: web addresses of public machines, and hosts that the recipe allows."""

import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

import httpcore
import httpx

from lacbench.errors import FetchError

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that carry an IPv4 address in their last 32 bits (RFC 6052)."""
LONGEST_READ = 3600.0
"""Seconds that a read may take where nobody says."""
HANDED_OUT = ipaddress.ip_network("2000::/3")
"""The block that public IPv6 addresses are of."""
SPECIAL = tuple(
    ipaddress.ip_network(block) for block in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "2001::/23")
)
"""Blocks of special use that Python's versions judge differently."""


class RefusedError(FetchError):
    """An address that must not be asked."""


def check_url(url: httpx.URL) -> None:
    """Raise RefusedError for anything but http(s) to a host, without a user in it."""
    if url.scheme not in ("http", "https") or not url.host:
        raise RefusedError(f"{public(url)} is no web address; expected http:// or https:// and a host")
    if url.userinfo:
        raise RefusedError(f"{public(url)} has a user in it; credentials belong into the environment")


def public(url: httpx.URL | str) -> str:
    """The address as it may be shown: without user, query and fragment, which may hold secrets."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        return "an address that cannot be read"
    return str(parts.copy_with(query=None, fragment=None, userinfo=b""))[:300]


def is_public(address: str) -> bool:
    """Whether an IP address is the internet's: not private, loopback, link-local, reserved or multicast.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged themselves; other IPv6 addresses
    must be of the block that is handed out, 2000::/3.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if ip not in HANDED_OUT:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in SPECIAL)


_deadline = threading.local()


def set_deadline(seconds: float) -> None:
    """Let everything that this thread reads from connections of a Guard be over after so many seconds."""
    _deadline.at = time.monotonic() + seconds


class _Stream(httpcore.NetworkStream):
    """A connection whose reads keep the deadline: a site that drips keeps every single timeout."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = getattr(_deadline, "at", math.inf) - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline is over")
        return self._stream.read(max_bytes, min(left, LONGEST_READ if timeout is None else timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Guard(httpcore.NetworkBackend):
    """Connects to addresses that were looked at: what DNS says is checked, and then that address is used.

    So a name that resolves to a public address at the check and to a private one afterwards gains nothing.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        """`allowed`: host names or addresses that may be private."""
        self._allowed = {host.lower() for host in allowed}
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve `host`, refuse it if one of its addresses is private, connect to the first that answers."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        private = [address for address in addresses if not is_public(address)]
        if private and host.lower() not in self._allowed:
            raise RefusedError(
                f"{host} lies at {private[0]}, which is no public address; expected one on the internet; "
                "name the host under `allow_hosts` in the recipe if it is yours"
            )
        for address in addresses:
            try:
                stream = self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Stream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Refused: no recipe names one."""
        raise RefusedError(f"{path} is a socket of this machine")
