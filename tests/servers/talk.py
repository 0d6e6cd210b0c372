"""A real HTTP server on 127.0.0.1 that answers as a test's function says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Request:
    """One request."""

    path: str
    headers: dict[str, str]


@dataclass
class Talk:
    """A running server, and what it was asked."""

    url: str
    asked: list[Request] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None
    """Ends the server at once: what is asked afterwards finds nobody."""


@contextmanager
def talking(answer: Callable[[str, int], Reply]) -> Iterator[Talk]:
    """Serve `answer(path with query, how many requests there were before)` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            talk.asked.append(Request(self.path, dict(self.headers)))
            status, headers, body = answer(self.path, len(talk.asked) - 1)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        talk = Talk(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()

        talk.stop = stop
        try:
            yield talk
        finally:
            server.shutdown()
            thread.join()
