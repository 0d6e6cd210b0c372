"""The misbehaving server misbehaves as it says: watched with plain HTTP, without lacbench."""

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPMessage, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lacbench.errors import ImageError
from lacbench.images import MAX_PIXELS, decode

from servers.behaviours import BAD, BEHAVIOURS, GOOD
from servers.faults import running
from servers.pictures import Picture, picture
from servers.process import Running, started

Reply = tuple[int, HTTPMessage, bytes]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(100, tmp_path / "log", retry_after=2, drip=0.3, stall=0.2) as server:
        yield server


def get(server: Running, path: str, method: str = "GET", **headers: str) -> Reply:
    """Status, headers and body; a body that ends too early raises IncompleteRead or ConnectionResetError."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    try:
        connection.request(method, path, headers=named)
        with connection.getresponse() as response:
            return response.status, response.headers, response.read()
    finally:
        connection.close()


def cut(server: Running, path: str, **headers: str) -> bytes:
    """The part of a body that came before the connection was closed."""
    with pytest.raises(IncompleteRead) as caught:
        get(server, path, **headers)
    return caught.value.partial


def raw(server: Running, path: str) -> bytes:
    """All bytes that come back until the connection is closed."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


def is_whole(reply: Reply, told: Picture) -> bool:
    status, headers, body = reply
    return (status, headers["ETag"], body) == (200, told.etag, told.data)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_says_what_it_does(name: str) -> None:
    assert BEHAVIOURS[name].__doc__


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"hop"}))
def test_who_tries_a_good_one_three_times_gets_the_picture(server: Running, name: str) -> None:
    for _ in range(2):
        with contextlib.suppress(IncompleteRead, ConnectionResetError):
            get(server, f"/pictures/{name}/7.png")
    assert is_whole(get(server, f"/pictures/{name}/7.png"), picture(7))
    assert len(server.requests(f"/pictures/{name}/7.png")) == 3


@pytest.mark.parametrize("name", sorted(BAD.keys() - {"big", "long"}))
def test_a_bad_one_stays_bad(server: Running, name: str) -> None:
    for _ in range(3):
        reply = get(server, f"/pictures/{name}/7.png")
        assert not is_whole(reply, picture(7)) or reply[1]["X-Robots-Tag"] == "noai"


def test_ok_honours_ranges_and_conditions(server: Running) -> None:
    told, path = picture(3), "/pictures/ok/3.png"
    size = len(told.data)
    for wanted, start, stop in (
        ("5-", 5, size),
        ("5-9", 5, 10),
        ("-10", size - 10, size),
        (f"5-{size}", 5, size),
    ):
        for condition in ({}, {"If_Range": told.etag}, {"If_Range": told.modified}):
            status, headers, body = get(server, path, Range=f"bytes={wanted}", **condition)
            assert (status, body) == (206, told.data[start:stop])
            assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    for wanted in (f"bytes={size}-", "bytes=-0"):
        status, headers, body = get(server, path, Range=wanted)
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")
    for wanted in ("bytes=9-5", "bytes=-", "bytes=0-1,4-5", "lines=1-2"):
        assert is_whole(get(server, path, Range=wanted), told)
    assert is_whole(get(server, path, Range="bytes=5-", If_Range='"other"'), told)
    assert get(server, path, If_None_Match=f'"other", {told.etag}')[::2] == (304, b"")
    assert is_whole(get(server, path, If_None_Match='"other"'), told)
    status, headers, body = get(server, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(size), b"")


def test_one_connection_serves_many_requests(server: Running) -> None:
    connection = HTTPConnection(urlsplit(server.url).netloc)
    start = time.monotonic()
    for number in range(30):
        connection.request("GET", f"/pictures/ok/{number}.png")
        assert connection.getresponse().read() == picture(number).data
    assert time.monotonic() - start < 1  # 30 delayed acknowledgements would be 1.2 s
    connection.close()


def test_truncate_closes_and_resumes(server: Running) -> None:
    told, path = picture(8).data, "/pictures/truncate/8.png"
    first = cut(server, path)
    assert first == told[: len(told) // 2]
    second = cut(server, path, Range=f"bytes={len(first)}-")
    status, _, rest = get(server, path, Range=f"bytes={len(first + second)}-")
    assert (status, first + second + rest) == (206, told)
    told_sent = [(r["status"], r["range"], r["sent"]) for r in server.requests(path)]
    assert told_sent[0] == (200, None, len(first))
    assert told_sent[1] == (206, f"bytes={len(first)}-", len(second))


def test_reset_resets_after_half(server: Running) -> None:
    place, told = urlsplit(server.url), picture(8).data
    with socket.create_connection((place.hostname, place.port), timeout=20) as client:
        client.sendall(b"GET /pictures/reset/8.png HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.02)
        got = b""
        with pytest.raises(ConnectionResetError):
            while True:
                got += client.recv(65536)
    assert got.partition(b"\r\n\r\n")[2] == told[: len(told) // 2]


def test_throttle_asks_for_patience_in_both_forms(server: Running) -> None:
    status, headers, _ = get(server, "/pictures/throttle/8.png")
    assert (status, headers["Retry-After"]) == (429, "2")
    status, headers, _ = get(server, "/pictures/throttle/9.png")
    assert 1 < parsedate_to_datetime(headers["Retry-After"]).timestamp() - time.time() <= 3


def test_busy_and_error_tell_nothing_more(server: Running) -> None:
    for name, expected in {"busy": 503, "error": 500}.items():
        status, headers, _ = get(server, f"/pictures/{name}/8.png")
        assert (status, headers["Retry-After"]) == (expected, None)


def test_drip_takes_its_time_twice(server: Running) -> None:
    took = []
    for _ in range(3):
        start = time.monotonic()
        assert is_whole(get(server, "/pictures/drip/8.png"), picture(8))
        took.append(time.monotonic() - start)
    assert min(took[:2]) > 0.25 > took[2]


def test_stall_sends_headers_and_waits(server: Running) -> None:
    start = time.monotonic()
    assert cut(server, "/pictures/stall/8.png") == b""
    assert time.monotonic() - start > 0.2


def test_changed_has_new_bytes_under_a_new_tag(server: Running) -> None:
    path, old = "/pictures/changed/8.png", picture(8, 1)
    first = cut(server, path)
    assert first == old.data[: len(old.data) // 2]
    assert is_whole(get(server, path, Range=f"bytes={len(first)}-", If_Range=old.etag), picture(8))
    status, _, rest = get(server, path, Range=f"bytes={len(first)}-")
    assert status == 206 and first + rest != picture(8).data


def test_norange_sends_all_again(server: Running) -> None:
    first = cut(server, "/pictures/norange/8.png")
    assert is_whole(get(server, "/pictures/norange/8.png", Range=f"bytes={len(first)}-"), picture(8))


def test_wrongrange_starts_elsewhere_once(server: Running) -> None:
    path, told = "/pictures/wrongrange/8.png", picture(8).data
    half = len(cut(server, path))
    for start in (half // 2, half):
        status, headers, body = get(server, path, Range=f"bytes={half}-")
        assert (status, body) == (206, told[start:])
        assert headers["Content-Range"] == f"bytes {start}-{len(told) - 1}/{len(told)}"


def test_redirects_lead_where_they_say(server: Running) -> None:
    places = {
        "hop": "/pictures/ok/8.png",
        "loop": "/pictures/loop/8.png",
        "private": "http://169.254.169.254/latest",
        "file": "file:///etc/passwd",
    }
    for name, place in places.items():
        status, headers, _ = get(server, f"/pictures/{name}/8.png")
        assert (status, headers["Location"]) == (302, place)


def test_refusals(server: Running) -> None:
    for name, expected in {"gone": 404, "taken": 451, "forbidden": 403}.items():
        assert get(server, f"/pictures/{name}/8.png")[0] == expected
    for path in ("/", "/pictures/ok/100.png", "/pictures/nothing/8.png", "/pictures/ok/8.jpg"):
        assert get(server, path)[0] == 404


def test_lengths_that_lie(server: Running) -> None:
    told = picture(8).data
    assert get(server, "/pictures/short/8.png")[2] == told[: len(told) // 2]
    assert raw(server, "/pictures/short/8.png").endswith(told)
    assert cut(server, "/pictures/long/8.png") == told


def test_bodies_that_are_no_pictures(server: Running) -> None:
    kinds = {"html": "text/html", "bomb": "image/png", "empty": "image/png", "svg": "image/png"}
    for name, kind in kinds.items():
        status, headers, body = get(server, f"/pictures/{name}/8.png")
        assert (status, headers["Content-Type"]) == (200, kind)
        with pytest.raises(ImageError, match=f"{MAX_PIXELS:,}" if name == "bomb" else "no picture"):
            decode(body)


def test_gzip_is_a_bomb(server: Running) -> None:
    _, headers, body = get(server, "/pictures/gzip/8.png")
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 10**6
    assert gzip.decompress(body).count(0) == 200 * 10**6


def test_big_has_no_end_and_no_length(server: Running) -> None:
    connection = HTTPConnection(urlsplit(server.url).netloc)
    connection.request("GET", "/pictures/big/8.png")
    with connection.getresponse() as response:
        assert response.getheader("Content-Length") is None
        assert response.read(10**6).startswith(picture(8).data)
    connection.close()
    for _ in range(100):
        if server.requests():
            break
        time.sleep(0.02)
    assert 10**6 < server.requests()[0]["sent"] < 200 * 10**6


def test_the_list_names_every_number_once(tmp_path: Path) -> None:
    with running(8, tmp_path / "log", faults=["ok", "html"]) as server:
        rows = json.loads(get(server, "/list.json")[2])
        bare = json.loads(get(server, "/list.json?nomd5")[2])
    assert [row["number"] for row in rows] == list(range(8))
    assert [row["behaviour"] for row in rows] == ["ok", "ok", "html", "html"] * 2
    assert [row["expected"] for row in rows] == ["good", "good", "bad", "bad"] * 2
    assert {row["set"] for row in rows[::2]} == {"illustrations"}
    assert rows[5]["url"] == f"{server.url}/pictures/ok/5.png"
    assert (rows[2]["md5"], rows[2]["sha256"]) == (picture(2).md5, picture(2).sha256)
    assert bare == [{key: value for key, value in row.items() if key != "md5"} for row in rows]


def test_robots_forbids_private(server: Running) -> None:
    assert get(server, "/robots.txt")[2] == b"User-agent: *\nDisallow: /private/\n"
    assert is_whole(get(server, "/private/ok/4.png"), picture(4))


def test_the_log_tells_every_request(tmp_path: Path) -> None:
    with running(4, tmp_path / "log", latency=100) as server:
        start = time.time()
        get(server, "/pictures/ok/1.png", User_Agent="somebody", If_None_Match='"x"', If_Range='"y"')
        assert time.time() - start >= 0.1
    (told,) = server.requests("/pictures/ok/1.png")
    assert start <= told.pop("time") < start + 0.1
    assert told == {
        "method": "GET",
        "path": "/pictures/ok/1.png",
        "range": None,
        "if_range": '"y"',
        "if_none_match": '"x"',
        "user_agent": "somebody",
        "status": 200,
        "sent": len(picture(1).data),
    }


def test_the_server_ends_with_the_block(tmp_path: Path) -> None:
    with running(1, tmp_path / "log") as server:
        assert get(server, "/robots.txt")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        get(server, "/robots.txt")


def test_swift_serves_a_folder_on_many_connections(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(picture(number).data)
    options = {"folder": tmp_path, "latency": 100}
    with started("servers.swift", tmp_path / "log", **options) as server, ThreadPoolExecutor(40) as pool:
        start = time.monotonic()
        replies = list(pool.map(lambda n: get(server, f"/{n}.png"), range(40)))
        assert 0.1 < time.monotonic() - start < 2  # one after the other it would be 4 s
        assert get(server, "/40.png")[0] == 404
        assert get(server, "/robots.txt", Connection="close")[0] == 200
    assert [body for _, _, body in replies] == [picture(n).data for n in range(40)]
    assert {r["path"] for r in server.requests() if r["status"] == 200} >= {f"/{n}.png" for n in range(40)}
