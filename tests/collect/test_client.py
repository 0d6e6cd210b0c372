"""Questions to APIs: patience, honesty, and silence about secrets; against real servers."""

import base64
import logging
from contextlib import suppress

import pytest

from lacbench.collect.client import Client
from lacbench.errors import FetchError
from lacbench.recipe import CollectSpec

from servers.talk import Reply, talking


def client(**settings: object) -> Client:
    told = {"contact": "me@example.org", "allow_hosts": ("127.0.0.1", "localhost"), "requests_per_second": 50}
    return Client(CollectSpec.model_validate({**told, "timeout": 2, "attempts": 3, **settings}))


def test_says_who_asks_and_how_to_reach_them() -> None:
    with talking(lambda path, n: (200, {}, b"[]")) as server, client() as web:
        assert web.ask(f"{server.url}/posts.json", {"tags": "a b"}).body == b"[]"
    request = server.asked[0]
    assert request.path == "/posts.json?tags=a+b" or request.path == "/posts.json?tags=a%20b"
    assert request.headers["User-Agent"].startswith("lacbench/")
    assert "me@example.org" in request.headers["User-Agent"]


@pytest.mark.parametrize("status", [408, 421, 429, 500, 502, 503, 504])
def test_passing_troubles_pass(status: int) -> None:
    with (
        talking(lambda path, n: (200 if n else status, {"Retry-After": "0"}, b"x")) as server,
        client() as web,
    ):
        assert web.ask(server.url).status == 200
    assert len(server.asked) == 2


def test_a_wish_for_patience_is_kept() -> None:
    times: list[float] = []

    def answer(path: str, n: int) -> Reply:
        import time

        times.append(time.monotonic())
        return (200 if n else 429, {"Retry-After": "1"}, b"")

    with talking(answer) as server, client() as web:
        web.ask(server.url)
    assert times[1] - times[0] >= 1.0


def test_questions_to_one_host_keep_their_distance() -> None:
    with talking(lambda path, n: (200, {}, b"")) as server, client(requests_per_second=10) as web:
        import time

        start = time.monotonic()
        for _ in range(6):
            web.ask(server.url)
    assert time.monotonic() - start >= 0.5


def test_what_will_not_pass_is_one_sentence_and_asked_once() -> None:
    with talking(lambda path, n: (404, {}, b"<b>nothing\nhere</b>")) as server, client() as web:
        with pytest.raises(
            FetchError, match=r"/a gave no answer that can be used: HTTP 404: <b>nothing here"
        ):
            web.ask(f"{server.url}/a")
        assert web.ask(f"{server.url}/a", understood=frozenset({404})).status == 404
    assert len(server.asked) == 2


def test_a_broken_network_is_one_sentence() -> None:
    with (
        client(attempts=2) as web,
        pytest.raises(FetchError, match="gave no answer that can be used: no connection"),
    ):
        web.ask("http://127.0.0.1:9/a")


SECRET = "k3y/+ of=mine"


def echo(path: str, n: int) -> Reply:
    """A site that repeats what it was told, headers and all, in its error."""
    return 403, {}, f"you asked {path} as {SECRET}".encode()


def test_no_error_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), talking(echo) as server, client() as web:
        with pytest.raises(FetchError) as error:
            web.ask(server.url, {"page": "2"}, secret={"api_key": SECRET})
        body = web.ask(server.url, secret={"api_key": SECRET}, understood=frozenset({403})).body.decode()
    from urllib.parse import parse_qs, quote, quote_plus, urlsplit

    assert parse_qs(urlsplit(server.asked[0].path).query) == {"page": ["2"], "api_key": [SECRET]}
    for form in (SECRET, quote(SECRET), quote_plus(SECRET), quote(SECRET, safe="")):
        assert form not in str(error.value) + body + caplog.text


def test_credentials_go_to_their_own_host_only() -> None:
    with talking(lambda path, n: (200, {}, b"")) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with talking(lambda path, n: (302, {"Location": f"{elsewhere}/x"}, b"")) as server, client() as web:
            web.ask(server.url, login=("me", "secret key"), secret={"token": "hush-hush"})
    sent = server.asked[0].headers["Authorization"]
    assert base64.b64decode(sent.split()[1]) == b"me:secret key"
    assert "Authorization" not in other.asked[0].headers
    assert other.asked[0].path == "/x"


def test_an_endless_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacbench.collect.client.MAX_ANSWER", 1000)
    with (
        talking(lambda path, n: (200, {}, bytes(5000))) as server,
        client() as web,
        pytest.raises(FetchError, match="answers with more than"),
    ):
        web.ask(server.url)


def test_no_cookies_are_kept() -> None:
    with talking(lambda path, n: (200, {"Set-Cookie": "who=you"}, b"")) as server, client() as web:
        web.ask(server.url)
        web.ask(server.url)
    assert "Cookie" not in server.asked[1].headers


def test_what_was_asked_of_whom_is_counted() -> None:
    with (
        talking(lambda path, n: (200 if n else 503, {"Retry-After": "0"}, b"12345")) as server,
        client() as web,
    ):
        web.ask(server.url)
        told = web.take_tallies()
        assert web.take_tallies() == {}
    (tally,) = told.values()
    assert (tally.requests, dict(tally.statuses)) == (2, {"503": 1, "200": 1})


def test_an_account_is_not_sent_in_clear_after_a_redirect_to_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same host and default ports: only the scheme tells."""
    import httpx

    seen = []

    class Site(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append((request.url.scheme, "authorization" in request.headers))
            if request.url.scheme == "https":
                return httpx.Response(301, headers={"Location": "http://example.org/x"}, request=request)
            return httpx.Response(200, stream=httpx.ByteStream(b""), request=request)

    with client() as web:
        monkeypatch.setattr(web._http, "_transport", Site())
        web.ask("https://example.org/x", login=("me", "secret key"))
    assert seen == [("https", True), ("http", False)]


def test_layers_of_gzip_are_not_unpacked() -> None:
    import gzip

    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    answers = {"gzip, gzip": bomb, "gzip": gzip.compress(bytes(40_000_000)), "br": b"x"}
    for encoding, body in answers.items():
        with (
            talking(lambda path, n, e=encoding, b=body: (200, {"Content-Encoding": e}, b)) as server,
            client() as web,
            pytest.raises(FetchError),
        ):
            web.ask(server.url)
    packed = {"Content-Encoding": "gzip"}
    with talking(lambda path, n: (200, packed, gzip.compress(b"[1]"))) as server, client() as web:
        assert web.ask(server.url).body == b"[1]"


def test_a_site_that_drips_forever_is_given_up() -> None:
    import socket
    import threading
    import time

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        start = time.monotonic()
        with (
            client(timeout=1, deadline=1.5, attempts=1) as web,
            pytest.raises(FetchError, match="fell silent"),
        ):
            web.ask(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    assert time.monotonic() - start < 5


def test_no_user_setting_of_log_levels_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with talking(lambda path, n: (200, {}, b"")) as server, client() as web:
        logging.getLogger("httpx").setLevel(logging.DEBUG)
        with caplog.at_level(logging.DEBUG):
            web.ask(server.url, secret={"api_key": "very-secret"})
    assert "very-secret" not in caplog.text


def test_an_odd_answer_is_one_sentence() -> None:
    with (
        talking(lambda path, n: (302, {"Location": "http://xn--a/"}, b"")) as server,
        client(attempts=1) as web,
        pytest.raises(FetchError),
    ):
        web.ask(server.url)
