"""Connections to many hosts, each used by one request at a time.

httpx's own pool looks at every one of its connections for every request, which with some dozens of threads
takes longer than the requests. Here a request takes its origin's connection that was free last, or opens one.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import httpx

from lacbench.collect.guard import Guard

KEPT = 128
"""Idle connections that are kept open, to all origins together; the longest idle ones go first."""

Origin = tuple[bytes, bytes, int | None]
"""Scheme, host and port."""


class Connections(httpx.BaseTransport):
    """A transport for many threads; HTTP/2 where the host offers it."""

    def __init__(self, guard: Guard) -> None:
        """`guard`: decides what may be connected to."""
        self._guard = guard
        self._context = httpx.create_ssl_context()
        self._idle: OrderedDict[int, tuple[Origin, httpx.HTTPTransport]] = OrderedDict()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that nobody else uses until the response is closed."""
        origin = (request.url.raw_scheme, request.url.raw_host, request.url.port)
        connection = self._take(origin)
        try:
            response = connection.handle_request(request)
        except BaseException:
            connection.close()
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Stream(response.stream, lambda: self._give(origin, connection))
        return response

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.popitem()[1][1].close()

    def _take(self, origin: Origin) -> httpx.HTTPTransport:
        with self._lock:
            for key in reversed(self._idle):
                if self._idle[key][0] == origin:
                    return self._idle.pop(key)[1]
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        transport = httpx.HTTPTransport(verify=self._context, http2=True, limits=one)
        # httpx has no way to hand its pool a network backend, and the guard must sit where it connects.
        transport._pool._network_backend = self._guard
        return transport

    def _give(self, origin: Origin, connection: httpx.HTTPTransport) -> None:
        with self._lock:
            self._idle[id(connection)] = origin, connection
            oldest = self._idle.popitem(last=False)[1][1] if len(self._idle) > KEPT else None
        if oldest is not None:
            oldest.close()


class _Stream(httpx.SyncByteStream):
    """A response's body that gives its connection back when it is closed."""

    def __init__(self, stream: httpx.SyncByteStream, give_back: Callable[[], None]) -> None:
        self._stream, self._give_back = stream, give_back
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._stream.close()
        if not self._closed:
            self._closed = True
            self._give_back()
