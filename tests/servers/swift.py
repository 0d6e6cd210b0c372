"""A server that costs little: a folder's files over HTTP/1.1, many connections at once, always well.

    python -m servers.swift --folder pictures --log requests.jsonl --latency 20

prints its port and serves `/<file>` and a permissive `/robots.txt` until it is ended. Benchmarks use it: one
thread, no parsing beyond the request line, so that what is measured is the client.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from servers.process import append, open_log

KINDS = {".jpg": "image/jpeg", ".png": "image/png"}
ROBOTS = b"User-agent: *\nAllow: /\n"


class Connection(asyncio.Protocol):
    """One client's connection: requests in, after the latency their answers out, in order."""

    def __init__(self, options: argparse.Namespace, log: int) -> None:
        self.options, self.log = options, log
        self.heard = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self.heard = (self.heard + data).split(b"\r\n\r\n")
        for request in requests:
            seconds = self.options.latency / 1000
            asyncio.get_running_loop().call_later(
                seconds, self.answer, request.decode("latin-1"), time.time()
            )

    def answer(self, request: str, arrived: float) -> None:
        """Send the file, or 404."""
        method, path, _ = request.partition("\r\n")[0].split(" ")
        found, body = self.read(path)
        status = 200 if found else 404
        last = "connection: close" in request.lower()
        told = {"time": arrived, "method": method, "path": path, "status": status, "sent": len(body)}
        append(self.log, told)
        head = (
            f"HTTP/1.1 {status} {'OK' if found else 'Not Found'}\r\n"
            f"Content-Type: {KINDS.get(Path(path).suffix, 'text/plain')}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if last:
            self.transport.close()

    def read(self, path: str) -> tuple[bool, bytes]:
        if path == "/robots.txt":
            return True, ROBOTS
        file = self.options.folder / Path(path).name
        return (True, file.read_bytes()) if file.is_file() else (False, b"no such file\n")


async def serve(options: argparse.Namespace) -> None:
    """Serve until ended."""
    log = open_log(options.log)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(options, log), "127.0.0.1", options.port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options, serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="whose files are served")
    parser.add_argument("--log", type=Path, required=True, help="file for one JSON line a request")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds before every answer")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
