"""Files from a real server: resumed, checked, refused; robots.txt and noai; HTTP/2 where it is offered."""

import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.collect.client import Client
from lacbench.collect.collector import Collector
from lacbench.collect.download import Downloader, Job, Outcome, TryAgainError
from lacbench.collect.robots import says_noai
from lacbench.files import make_folder
from lacbench.images import encode_png
from lacbench.recipe import CollectSpec

from made import draw_figure
from servers.faults import running
from servers.pictures import picture
from servers.process import Running
from servers.talk import Reply, talking

PICTURE = encode_png(draw_figure(1)[0])


def spec(**settings: object) -> CollectSpec:
    told = {
        "contact": "me@example.org",
        "allow_hosts": ("127.0.0.1", "localhost"),
        "requests_per_second": 100,
    }
    return CollectSpec.model_validate({**told, "timeout": 2, "attempts": 4, **settings})


def collected(jobs: list[Job], folder: Path, **settings: object) -> dict[str, Outcome]:
    with Client(spec(**settings)) as client:
        ended = chain.from_iterable(Collector(client, folder / "parts").collect(iter(jobs)))
        return {outcome.job.url: outcome for outcome in ended}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(40, tmp_path_factory.mktemp("server") / "log", retry_after=0, drip=0.2, stall=3) as server:
        yield server


def test_a_cut_file_goes_on_where_it_broke_off(server: Running, tmp_path: Path) -> None:
    url = f"{server.url}/pictures/truncate/1.png"
    outcome = collected([Job(url)], tmp_path)[url]
    assert outcome.sha256 == picture(1).sha256
    assert outcome.md5 == picture(1).md5
    first, *others = server.requests("/pictures/truncate/1.png")
    assert first["range"] is None
    assert [r["if_range"] for r in others] == [picture(1).etag] * len(others)
    assert [r["status"] for r in others] == [206] * len(others)
    assert sum(r["sent"] for r in (first, *others)) == len(picture(1).data)  # no byte twice


def test_a_part_survives_the_process_and_is_not_asked_for_from_the_start(
    server: Running, tmp_path: Path
) -> None:
    url = f"{server.url}/pictures/reset/2.png"
    with Client(spec()) as client, pytest.raises(TryAgainError):
        Downloader(client, make_folder(tmp_path / "parts")).attempt(Job(url))
    assert collected([Job(url)], tmp_path)[url].sha256 == picture(2).sha256
    assert server.requests("/pictures/reset/2.png")[1]["range"] is not None


def test_a_whole_part_is_not_asked_for_again(server: Running, tmp_path: Path) -> None:
    url = f"{server.url}/pictures/ok/3.png"
    first = collected([Job(url)], tmp_path)[url]
    assert first.part is not None and first.part.is_file()  # as if killed before it was moved
    assert collected([Job(url)], tmp_path)[url] == first
    assert len(server.requests("/pictures/ok/3.png")) == 1


def test_a_file_that_changes_in_between_is_whole_and_new(server: Running, tmp_path: Path) -> None:
    url = f"{server.url}/pictures/changed/4.png"
    outcome = collected([Job(url)], tmp_path)[url]
    assert outcome.part is not None
    assert hashlib.sha256(outcome.part.read_bytes()).hexdigest() == outcome.sha256


def test_other_bytes_than_the_site_states(server: Running, tmp_path: Path) -> None:
    url = f"{server.url}/pictures/ok/5.png"
    outcome = collected([Job(url, md5="0" * 32)], tmp_path)[url]
    assert (outcome.reason, outcome.part) == ("corrupt", None)
    assert len(server.requests("/pictures/ok/5.png")) == 2


def test_what_the_site_still_has_is_not_sent_again(server: Running, tmp_path: Path) -> None:
    url = f"{server.url}/pictures/ok/6.png"
    validator = collected([Job(url)], tmp_path / "a")[url].validator
    assert collected([Job(url, validator=validator)], tmp_path / "b")[url].unchanged
    assert server.requests("/pictures/ok/6.png")[1]["sent"] == 0


def test_the_robots_file_is_asked_for_once_and_obeyed(server: Running, tmp_path: Path) -> None:
    hidden = [f"{server.url}/private/ok/{n}.png" for n in range(7, 12)]
    before = len(server.requests("/robots.txt"))
    outcomes = collected([Job(url, plain=True) for url in hidden], tmp_path)
    assert {o.reason for o in outcomes.values()} == {"robots"}
    assert len(server.requests("/robots.txt")) == before + 1
    assert collected([Job(hidden[0])], tmp_path)[hidden[0]].reason == ""  # an API's address is no crawling
    owned = collected([Job(hidden[1], plain=True)], tmp_path, robots=False)
    assert owned[hidden[1]].reason == ""


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(404, b"", ""), (410, b"", ""), (200, b"User-agent: lacbench\nDisallow: /", "robots"),
     (200, b"User-agent: *\nDisallow: /*.png$", "robots"), (200, b"\xff\xfe\x00rubbish", ""),
     (503, b"", "failed")],
)  # fmt: skip
def test_robots_files_of_all_kinds(status: int, body: bytes, reason: str, tmp_path: Path) -> None:
    def answer(path: str, n: int) -> Reply:
        return (status, {}, body) if path == "/robots.txt" else (200, {}, PICTURE)

    with talking(answer) as site:
        url = f"{site.url}/a.png"
        assert collected([Job(url, plain=True)], tmp_path, attempts=2)[url].reason == reason


def test_crawl_delay_is_kept(tmp_path: Path) -> None:
    times: list[float] = []

    def answer(path: str, n: int) -> Reply:
        times.append(time.monotonic())
        return (200, {}, b"User-agent: *\nCrawl-delay: 0.4" if path == "/robots.txt" else PICTURE)

    with talking(answer) as site:
        collected([Job(f"{site.url}/{n}.png", plain=True) for n in range(4)], tmp_path, downloads_at_once=1)
    gaps = [b - a for a, b in pairwise(times[2:])]
    assert min(gaps) > 0.35


@pytest.mark.parametrize(
    ("values", "forbidden"),
    [(["noai"], True), (["noindex, NoAI"], True), (["noimageai"], True), (["lacbench: noai"], True),
     (["otherbot: noai"], False), (["noindex", "none"], False), ([], False), (["*: noai"], True),
     (["noai, max-image-preview:large"], True), (["max-snippet:-1, noai"], True),
     (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], True), (["otherbot: noindex, noai"], False)],
)  # fmt: skip
def test_noai(values: list[str], forbidden: bool) -> None:
    assert says_noai(values) is forbidden


@given(st.lists(st.text()))
def test_noai_reads_any_header(values: list[str]) -> None:
    says_noai(values)


def test_a_page_instead_of_a_picture_is_asked_for_twice(tmp_path: Path) -> None:
    page = b"\n<!DOCTYPE html><title>come back later</title>"
    with talking(lambda path, n: (200, {}, PICTURE if n else page)) as site:
        assert collected([Job(site.url)], tmp_path)[site.url].reason == ""
    with talking(lambda path, n: (200, {}, page)) as site:
        assert collected([Job(site.url)], tmp_path)[site.url].reason == "unreadable"
        assert len(site.asked) == 2


def test_addresses_that_cannot_be_asked(tmp_path: Path) -> None:
    urls = [
        "http://[::1",
        "http://\ud800/",
        "http://127.0.0.2:9/",
        "ftp://example.org/a",
        "http://a b/",
        "https://",
    ]
    outcomes = collected([Job(url) for url in urls], tmp_path, attempts=1)
    assert {o.reason for o in outcomes.values()} <= {"refused", "failed"}
    assert len(outcomes) == len(urls)
    assert outcomes["http://127.0.0.2:9/"].reason == "refused"


def test_names_never_reach_the_file_system(tmp_path: Path) -> None:
    with talking(lambda path, n: (200, {}, PICTURE)) as site:
        urls = [f"{site.url}/../../etc/x%2f..%2f{'a' * 3000}", f"{site.url}/con?{'b' * 2000}#;rm -rf"]
        outcomes = collected([Job(url) for url in urls], tmp_path)
    assert [o.reason for o in outcomes.values()] == ["", ""]
    names = {p.name for p in (tmp_path / "parts").iterdir()}
    assert all(len(name.partition(".")[0]) == 64 for name in names)


def test_stopping_in_the_middle_ends_soon_though_a_site_is_silent(server: Running, tmp_path: Path) -> None:
    jobs = [Job(f"{server.url}/pictures/{kind}/13.png") for kind in ("ok", "stall")]
    with Client(spec(timeout=60)) as client:
        outcomes = Collector(client, tmp_path / "parts").collect(iter(jobs))
        next(outcomes)
        start = time.monotonic()
        outcomes.close()
    assert time.monotonic() - start < 5


SERVER = """
import asyncio, sys, pathlib
from hypercorn.asyncio import serve
from hypercorn.config import Config
picture = pathlib.Path(sys.argv[1]).read_bytes()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    length = [(b"content-length", str(len(picture)).encode()), (b"x-version", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": picture})
config = Config()
config.bind = ["127.0.0.1:" + sys.argv[2]]
config.certfile, config.keyfile, config.loglevel = sys.argv[3], sys.argv[4], "CRITICAL"
asyncio.run(serve(app, config))
"""


def test_http_2_where_it_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "a.png").write_bytes(PICTURE)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    command = [sys.executable, "-W", "ignore", "-c", SERVER, str(tmp_path / "a.png"), str(port), *files]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            urls = [f"https://localhost:{port}/{n}.png" for n in range(40)]
            with Client(spec(downloads_at_once=8)) as client:
                with client.open(urls[0], {}) as response:
                    assert response.http_version == "HTTP/2"
                collector = Collector(client, tmp_path / "parts")
                outcomes = list(chain.from_iterable(collector.collect(Job(url) for url in urls)))
            assert [o.reason for o in outcomes] == [""] * len(urls)
        finally:
            process.kill()


def wait_for(port: int) -> None:
    """Until something listens."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")


def test_an_unknown_certificate_is_no_connection(tmp_path: Path) -> None:
    with talking(lambda path, n: (200, {}, PICTURE)) as site:
        url = site.url.replace("http:", "https:")
        assert collected([Job(url)], tmp_path, attempts=1)[url].reason == "failed"


def raw(answers: list[bytes]) -> tuple[socket.socket, int]:
    """A server that gives these bytes, one answer a connection, and closes; and its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def whole(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


PARTIAL = b"HTTP/1.1 206 Partial Content\r\n"


@pytest.mark.parametrize(
    "first",
    [
        PARTIAL + b"Content-Range: bytes " + b"9" * 5000 + b"-1/5\r\nContent-Length: 1\r\n\r\nx",
        PARTIAL + b"Content-Range: bytes 0-9/99\r\nContent-Length: 10\r\n\r\n" + PICTURE[:10],
        PARTIAL + b"Content-Length: 10\r\n\r\n" + PICTURE[:10],
        b'HTTP/1.1 200 OK\r\nETag: "\xe4"\r\nContent-Length: 9999\r\n\r\nx',
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/9.9 abc\r\n\r\n",
        b"\x00\xff",
        b"",
    ],
)  # fmt: skip
def test_answers_that_lie_do_not_end_the_build_nor_spoil_the_file(first: bytes, tmp_path: Path) -> None:
    listener, port = raw([first, *[whole(PICTURE)] * 3])
    with listener:
        url = f"http://127.0.0.1:{port}/a.png"
        outcome = collected([Job(url)], tmp_path)[url]
    if outcome.part is not None:
        assert outcome.part.read_bytes() == PICTURE
    else:
        assert outcome.reason in {"missing", "failed"}


def test_a_resumed_part_that_stays_short_is_not_taken_for_whole(tmp_path: Path) -> None:
    half = len(PICTURE) // 2
    cut = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n%s' % (len(PICTURE), PICTURE[:half])
    told = b"bytes %d-%d/%d" % (half, half + 9, len(PICTURE))
    short = b'HTTP/1.1 206 P\r\nETag: "a"\r\nContent-Range: %s\r\nContent-Length: 10\r\n\r\n%s' % (
        told, PICTURE[half : half + 10]
    )  # fmt: skip
    rest = b'HTTP/1.1 206 P\r\nETag: "a"\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n%s' % (
        half + 10, len(PICTURE) - 1, len(PICTURE), len(PICTURE) - half - 10, PICTURE[half + 10 :]
    )  # fmt: skip
    listener, port = raw([cut, short, rest, whole(PICTURE)])
    with listener:
        url = f"http://127.0.0.1:{port}/a.png"
        outcome = collected([Job(url)], tmp_path)[url]
    assert outcome.part is not None and outcome.part.read_bytes() == PICTURE


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="50"><rect width="30" height="20"/></svg>'


def test_a_rendered_svg_leaves_its_part_as_it_came(tmp_path: Path) -> None:
    """Killed before it was noted, the next run finishes the same file, and asks nobody."""
    with talking(lambda path, n: (200, {"ETag": '"a"'}, SVG)) as site:
        first = collected([Job(site.url)], tmp_path)[site.url]
        assert first.format == "PNG"
        assert collected([Job(site.url)], tmp_path)[site.url] == first
        assert len(site.asked) == 1


def test_a_host_without_a_robots_file_to_be_had_is_asked_once(tmp_path: Path) -> None:
    with talking(lambda path, n: (500, {}, b"")) as site:
        outcomes = collected(
            [Job(f"{site.url}/{n}.png", plain=True) for n in range(30)], tmp_path, attempts=2
        )
        assert {o.reason for o in outcomes.values()} == {"failed"}
        assert len(site.asked) == 2


def test_a_redirect_does_not_pass_by_another_hosts_robots(tmp_path: Path) -> None:
    def other(path: str, n: int) -> Reply:
        return (200, {}, b"User-agent: *\nDisallow: /" if path == "/robots.txt" else PICTURE)

    with talking(other) as closed:
        elsewhere = closed.url.replace("127.0.0.1", "localhost")

        def answer(path: str, n: int) -> Reply:
            return (404, {}, b"") if path == "/robots.txt" else (302, {"Location": f"{elsewhere}/x.png"}, b"")

        with talking(answer) as site:
            assert collected([Job(site.url, plain=True)], tmp_path)[site.url].reason == "robots"
    assert [r.path for r in closed.asked] == ["/robots.txt"]


def test_parts_that_somebody_planted_are_not_followed(tmp_path: Path) -> None:
    parts = make_folder(tmp_path / "parts")
    (tmp_path / "victim").write_text("precious")
    with talking(lambda path, n: (200, {"ETag": '"a"'}, PICTURE)) as site:
        name = collected([Job(site.url)], tmp_path)[site.url].part
        assert name is not None
        name.unlink()
        name.symlink_to(tmp_path / "victim")
        for odd in (
            "x.part",
            f"{'a' * 64}.1.!!!.part",
            f"{'a' * 64}.1.abc.part",
            f"{'a' * 64}.{'9' * 99}..part",
        ):
            (parts / odd).write_text("odd")
        collected([Job(site.url)], tmp_path)
    assert (tmp_path / "victim").read_text() == "precious"


def test_one_host_that_lets_us_wait_does_not_keep_others_waiting(tmp_path: Path) -> None:
    with (
        talking(lambda path, n: (429, {"Retry-After": "600"}, b"")) as slow,
        talking(lambda path, n: (200, {}, PICTURE)) as good,
        Client(spec()) as web,
    ):
        jobs = [Job(f"{slow.url}/{n}.png") for n in range(1500)] + [
            Job(f"{good.url}/{n}.png") for n in range(20)
        ]
        outcomes = Collector(web, make_folder(tmp_path / "parts")).collect(iter(jobs))
        came: list[Outcome] = []
        while len(came) < 20:
            came += next(outcomes)
        outcomes.close()
    assert {o.job.url.rpartition("/")[0] for o in came} == {good.url}
