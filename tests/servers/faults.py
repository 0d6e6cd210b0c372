"""A real HTTP/1.1 server on 127.0.0.1 whose pictures misbehave, each URL in its own way.

    python -m servers.faults --pictures 100 --log requests.jsonl

prints its port and serves until it is ended. Tests use `running`. There are

    /pictures/<behaviour>/<number>.png  see `servers.behaviours`; even numbers are coloured, odd ones drawings
    /private/<behaviour>/<number>.png   the same, but robots.txt forbids it
    /robots.txt
    /list.json                          every number once, the behaviours dealt out; `?nomd5` without md5
"""

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers.behaviours import BEHAVIOURS, GOOD, Answer, Asked, Settings, filled
from servers.pictures import picture, set_of
from servers.process import Running, append, open_log, started

ROBOTS = b"User-agent: *\nDisallow: /private/\n"


@contextmanager
def running(
    pictures: int, log: Path, latency: int = 0, faults: Sequence[str] = tuple(BEHAVIOURS), **settings: float
) -> Iterator[Running]:
    """A server in a process of its own, ended with the block.

    Args:
        pictures: how many numbers there are.
        log: where it writes one JSON line a request.
        latency: milliseconds before every answer.
        faults: the behaviours that /list.json deals out; one named twice gets twice as many numbers.
        settings: those of `Settings`.
    """
    dealt = ",".join(faults)
    with started(
        "servers.faults", log, pictures=pictures, latency=latency, faults=dealt, **settings
    ) as server:
        yield server


class Server(ThreadingHTTPServer):
    """The server's state, and the socket's."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        self.settings = Settings(options.retry_after, options.drip, options.stall)
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.log = open_log(options.log)

    def shutdown_request(self, request: Any) -> None:
        """Close at once: the parent class would say goodbye first, and a reset must not."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what this is for; anything else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def count(self, path: str) -> int:
        """How many times the path was asked for, this one included."""
        with self.lock:
            self.asked[path] += 1
            return self.asked[path]

    def index(self, host: str, with_md5: bool) -> bytes:
        """/list.json: two neighbours, one of each set, share a behaviour."""
        faults = self.options.faults.split(",")
        dealt = [(n, faults[n // 2 % len(faults)]) for n in range(self.options.pictures)]
        rows = [
            {
                "url": f"http://{host}/pictures/{behaviour}/{n}.png",
                "number": n,
                "set": set_of(n),
                "behaviour": behaviour,
                "expected": "good" if behaviour in GOOD else "bad",
                "sha256": picture(n).sha256,
                **({"md5": picture(n).md5} if with_md5 else {}),
            }
            for n, behaviour in dealt
        ]
        return json.dumps(rows).encode()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a second piece waits 40 ms until the first is acknowledged
    wbufsize = -1  # headers wait for the first piece, or for the log's line
    server: Server

    def do_GET(self) -> None:
        """Answer, and log it."""
        arrived = time.time()
        time.sleep(self.server.options.latency / 1000)
        self.give(self.answer(), arrived)

    def do_HEAD(self) -> None:
        """The same headers, without the body; not counted as one of the URL's requests."""
        self.do_GET()

    def answer(self) -> Answer:
        path, _, query = self.path.partition("?")
        match path.removesuffix(".png").split("/"):
            case ["", "robots.txt"]:
                return filled(200, {"Content-Type": "text/plain"}, ROBOTS)
            case ["", "list.json"]:
                body = self.server.index(self.headers["Host"], with_md5=query != "nomd5")
                return filled(200, {"Content-Type": "application/json"}, body)
            case ["", "pictures" | "private", name, number] if (
                name in BEHAVIOURS and number.isdecimal() and int(number) < self.server.options.pictures
            ):
                times = self.server.count(path) if self.command == "GET" else 1
                asked = Asked(int(number), path, times, self.headers, self.server.settings)
                return BEHAVIOURS[name](asked)
        return filled(404, {}, b"no such page\n")

    def give(self, answer: Answer, arrived: float) -> None:
        """Send the answer; its line is in the log before the client can have all of it."""
        self.begin(answer)
        sent, held = 0, b""
        try:
            # Each piece waits for the next one, so that the last is known before it is sent.
            for piece in answer.pieces if self.command == "GET" else ():
                self.push(held)
                sent += len(held)
                held = piece
        except OSError:
            self.note(answer, sent, arrived)
            raise
        self.note(answer, sent + len(held), arrived)
        self.push(held)
        self.wfile.flush()
        self.end(answer)

    def push(self, piece: bytes) -> None:
        """Send now, the headers before it."""
        if piece:
            self.wfile.write(piece)
            self.wfile.flush()

    def begin(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def end(self, answer: Answer) -> None:
        """Leave the connection as the answer says."""
        if answer.ending == "keep" or self.command == "HEAD":
            return
        self.close_connection = True
        if answer.ending == "stall":
            time.sleep(self.server.settings.stall)
        if answer.ending == "reset":
            time.sleep(0.05)  # what was sent arrives first
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def note(self, answer: Answer, sent: int, arrived: float) -> None:
        """Append the request's line to the log."""
        names = {"range": "Range", "if_range": "If-Range", "if_none_match": "If-None-Match",
                 "user_agent": "User-Agent"}  # fmt: skip
        told = {
            "time": arrived,
            "method": self.command,
            "path": self.path,
            **{key: self.headers.get(name) for key, name in names.items()},
            "status": answer.status,
            "sent": sent,
        }
        append(self.server.log, told)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the log has it all."""


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, required=True, help="how many numbers there are")
    parser.add_argument("--log", type=Path, required=True, help="file for one JSON line a request")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=int, default=0, help="milliseconds before every answer")
    parser.add_argument("--faults", default=",".join(BEHAVIOURS), help="behaviours that /list.json deals out")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help="seconds")
    with Server(parser.parse_args()) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
