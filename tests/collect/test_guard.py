"""What is never connected to."""

import socket
from urllib.parse import quote

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.collect.guard import Guard, RefusedError, check_url, is_public, public

PRIVATE = """
127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255
224.0.0.1 240.0.0.1 192.0.2.1 :: ::1 fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1:: 2001:db8::1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "127.0.0.1")])
def test_a_name_with_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    resolving(monkeypatch, *addresses)
    with pytest.raises(RefusedError, match=r"example\.org lies at .*, which is no public address"):
        Guard(()).connect_tcp("example.org", 80)


def test_what_was_checked_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers otherwise the second time gains nothing: there is no second time."""
    asked = []
    resolving(monkeypatch, "8.8.8.8")
    guard = Guard(())

    class Backend:
        def connect_tcp(self, host: str, *_: object) -> httpcore.NetworkStream:
            asked.append(host)
            return httpcore.NetworkStream()

    monkeypatch.setattr(guard, "_backend", Backend())
    guard.connect_tcp("example.org", 80)
    assert asked == ["8.8.8.8"]


def test_an_allowed_host_may_be_private() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        Guard(["LocalHost"]).connect_tcp("localhost", port).close()
        with pytest.raises(RefusedError, match="`allow_hosts`"):
            Guard(()).connect_tcp("localhost", port)


def test_a_name_without_an_address_is_no_connection() -> None:
    with pytest.raises(httpcore.ConnectError, match="has no address"):
        Guard(()).connect_tcp("no-such-host.invalid", 80)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:image/png,x",
        "http:///a",
        "//a/b",
        "http://u:p@a.org/",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        check_url(httpx.URL(url))


@given(st.text("abc%2@:/?#&=", max_size=9), st.text())
def test_shown_addresses_show_no_query_and_no_user(user: str, key: str) -> None:
    written = httpx.URL("https://example.org/a", params={"api_key": f"hush{key}"})
    assert "hush" not in public(written)
    assert "hush" not in public(f"https://hush{quote(user, safe='')}:x@example.org/a?hush#hush")
