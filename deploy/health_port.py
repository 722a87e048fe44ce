"""A small HTTP port that tells a supervisor or Prometheus how a process is. One thread serves it, and no client can
hold it up."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from contracts.settings import PREFIX
from deploy.errors import HealthPortError

CONNECTIONS_MAX = 64
"""A new one takes the place of the oldest: who connects and says nothing does not keep others out."""
HEAD_BYTES_MAX = 8 * 1024
REQUEST_TIMEOUT_S = 5.0
"""From the connection to the last byte that the client has read."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered for one path."""

    status: int
    body: bytes
    content_type: str = "application/json"


Pages = Mapping[str, Callable[[], Page]]
"""By path. They are called in the thread of the port, so they only look at what others have written down."""


def json_page(status: int, content: Mapping[str, object]) -> Page:
    return Page(status, json.dumps(content).encode())


@contextmanager
def health_port(host: str, port: int | None, pages: Pages, name: str = "health") -> Iterator[None]:
    """Inside, `pages` are served. With None as the port, nothing is. Raises HealthPortError.

    `name`: of the port, as in the names of its settings.
    """
    if port is None:
        yield
        return
    listening = _listen(host, port, name)
    loop = asyncio.new_event_loop()
    open_probes: dict[_Probe, None] = {}
    server = loop.run_until_complete(loop.create_server(lambda: _Probe(loop, pages, open_probes), sock=listening))
    thread = threading.Thread(target=loop.run_forever, name=f"{name} port", daemon=True)
    thread.start()
    _log.info("%s port: listening on %s:%d", name, *listening.getsockname()[:2])
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for probe in list(open_probes):
            probe.transport.abort()
        loop.run_until_complete(asyncio.sleep(0))  # the transports close their sockets in the next turn
        loop.close()


class _Probe(asyncio.Protocol):
    """One connection: one request, one answer."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, pages: Pages, others: "dict[_Probe, None]") -> None:
        self._loop = loop
        self._pages = pages
        self._open = others
        self._head = b""
        self._is_answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._timer = self._loop.call_later(REQUEST_TIMEOUT_S, transport.abort)
        self._open[self] = None
        if len(self._open) > CONNECTIONS_MAX:
            next(iter(self._open)).transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._open.pop(self, None)

    def data_received(self, data: bytes) -> None:
        if self._is_answered:
            return
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > HEAD_BYTES_MAX:
            self._is_answered = True
            self._answer(self._head.partition(b"\r\n")[0].split(b" "))

    def _answer(self, request_line: list[bytes]) -> None:
        """`request_line`: method, target and version, if it is HTTP."""
        method = request_line[0]
        page = self._page_of(request_line)
        head = (
            f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\ncontent-type: {page.content_type}\r\n"
            f"content-length: {len(page.body)}\r\nallow: GET, HEAD\r\ncache-control: no-store\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + (b"" if method == b"HEAD" else page.body))
        self.transport.close()

    def _page_of(self, request_line: list[bytes]) -> Page:
        if len(self._head) > HEAD_BYTES_MAX:
            return json_page(431, {"error": f"a request should have at most {HEAD_BYTES_MAX} bytes"})
        if len(request_line) != 3 or not request_line[2].startswith(b"HTTP/1."):
            return json_page(400, {"error": "it is not HTTP/1.1"})
        if request_line[0] not in (b"GET", b"HEAD"):
            return json_page(405, {"error": "the method should be GET"})
        path = request_line[1].partition(b"?")[0].decode(errors="replace")
        if path not in self._pages:
            return json_page(404, {"error": f"the path should be one of: {', '.join(self._pages)}"})
        return self._pages[path]()


def _listen(host: str, port: int, name: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise HealthPortError(
            f"Cannot listen on {host}:{port}: {error.strerror}.\nEach process needs a {name} port of its own: choose "
            f"another one with {PREFIX}{name.upper()}_HOST and {PREFIX}{name.upper()}_PORT."
        ) from None
