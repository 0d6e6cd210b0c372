"""A rater's whole session, searched: nothing tells the browser a method, a folder or a line art's id."""

import struct

import pytest
from playwright.sync_api import Browser, Response, WebSocket

from lacbench.files import sha256_bytes
from lacbench.study.stimuli import media_path

from rating import METHODS, NAME, TRIALS, Server, Tab

pytestmark = pytest.mark.browser

DOM = """() => {
    const told = (root) => [...root.querySelectorAll("*")].map(
        (element) => element.outerHTML + (element.shadowRoot ? told(element.shadowRoot) : ""));
    return told(document).join("\\n");
}"""


def chunks(png: bytes) -> list[bytes]:
    """Kinds of a PNG's chunks."""
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        found.append(kind)
        at += 12 + length
    return found


def test_nothing_tells_the_method(server: Server, chromium: Browser) -> None:
    told: list[bytes] = []  # all that came over the wire or stands on the page
    pictures: dict[str, bytes] = {}
    hosts: set[str] = set()

    def hear(response: Response) -> None:
        hosts.add(response.url.split("/")[2])
        told.append(response.url.encode())
        told.append(repr(response.all_headers()).encode())
        if response.url.split("/")[3] == "media":
            pictures[response.url] = response.body()

    def listen(websocket: WebSocket) -> None:
        hosts.add(websocket.url.split("/")[2])
        keep = lambda frame: told.append(frame if isinstance(frame, bytes) else frame.encode())  # noqa: E731
        websocket.on("framereceived", keep)
        websocket.on("framesent", keep)

    with chromium.new_context() as context:
        page = context.new_page()
        finished = []
        page.on("response", lambda response: finished.append(response))
        page.on("websocket", listen)
        tab = Tab(page, server.link(*server.tokens(1)))
        told.append(page.content().encode())
        tab.go()
        page.keyboard.press("l")
        while tab.title != "Thank you":
            tab.rate(3)
            told.append(page.evaluate(DOM).encode())
        for response in finished:
            if not response.url.startswith("blob:"):
                hear(response)
    assert hosts == {f"127.0.0.1:{server.port}"}, "something outside was asked"
    # What is searched holds what it should: the panel's data, and every picture of the session.
    everything = b"\n".join([*told, *pictures.values()])
    assert b"Practice 1 of 1" in everything and b"lineArt" in everything
    assert len(pictures) >= (TRIALS - 2) + 4
    names = server.study.peek("a test")["item"]
    assert names
    words = [*METHODS, NAME, "outputs", str(server.study.folder), *{n[:12] for n in names}]
    assert {word for word in words if word.lower().encode() in everything.lower()} == set()
    for address, data in pictures.items():
        assert (server.study.folder / media_path(sha256_bytes(data))).read_bytes() == data, address
        assert chunks(data)[0] == b"IHDR" and set(chunks(data)) <= {b"IHDR", b"IDAT", b"IEND"}, address
