"""uvicorn's HTTP protocol, with limits on everything but the body, and its own answers as JSON."""

import asyncio
import json
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ingress import bad_requests
from ingress.connections import CONNECTION, Connections
from ingress.reading import Reading
from ingress.tls import note_certificate

HEADER_BYTES_MAX = 32 * 1024
"""The limit of a head, and of the trailers and chunk extensions of one body."""
HEADERS_MAX = 100
HEADER_TIMEOUT_S = 10.0
PIPELINED_REQUESTS_MAX = 16
"""Requests that wait behind the one in flight. The parser cannot be paused, so what comes after them is not served."""
PIECES_MAX = 100_000
"""Chunks of one body. A chunk of one byte costs as much as a large one."""
DISCARDED_BYTES_MAX = 8 * 1024 * 1024
"""The limit of a body's rest after its answer. If the connection closed at once, the client would miss the answer."""
DISCARD_TIMEOUT_S = 30.0
_UPGRADE_HEADERS = {b"upgrade", b"http2-settings"}
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools limits neither the size of heads, trailers and chunk extensions nor the time that they take.
    uvicorn limits neither the requests that wait on a connection nor the answers that nobody reads."""

    def __init__(self, connections: Connections, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._connections = connections
        self.app_state = {**self.app_state, CONNECTION: self}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` tells of every byte that the client does not take
        note_certificate(transport, self.app_state)
        self._running: RequestResponseCycle | None = None
        self._ignoring = False  # whatever comes is not served any more
        self._head_complete = False
        self._progress = False  # whether the last data held part of a body, or the end of a head or a message
        self._other_bytes = self._pieces = 0  # bytes since then; chunks of this body
        self._answer_waits = False  # whether the client has not read the last answer yet
        self._reading = Reading(self, transport, self._connections, self.loop)
        self._timer: asyncio.TimerHandle | None = None
        self._wait(HEADER_TIMEOUT_S)
        self._connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer_waits = False
        self._stop_waiting()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        super().connection_lost(exc)  # it tells only the newest request
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._reading.goes_on()
        self._connections.forget(self)
        self.app_state = {}  # it refers to this object

    def abort(self) -> None:
        self.transport.abort()

    def may_be_closed(self) -> None:
        """Its request is nobody's; see `Connections`."""
        self._connections.waits(self)

    def data_received(self, data: bytes) -> None:
        if self._ignoring:
            return
        self._progress = False
        self._read_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response(bad_requests.NOT_HTTP.said())
            return
        if self.transport.is_closing():
            return
        if not self._head_complete:
            self._wait(HEADER_TIMEOUT_S)
        self._other_bytes = 0 if self._progress else self._other_bytes + len(data)
        if self._other_bytes > HEADER_BYTES_MAX:
            self.send_400_response(bad_requests.TOO_MANY_HEAD_BYTES.said(bytes_max=HEADER_BYTES_MAX))

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more but may still read: it gets its answers, and then the connection closes."""
        return self._ends_after_answers()

    def on_message_begin(self) -> None:
        if self._ignoring:
            return
        self._unset_keepalive_if_required()  # not earlier: line feeds between requests are data too
        super().on_message_begin()
        self._stop_waiting()
        self._head_complete = False
        self._discarded_bytes = self._pieces = 0

    def on_url(self, url: bytes) -> None:
        if not self._ignoring:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # trailers are ignored: a token there does not count
        if not self._head_complete and not self._ignoring and len(self.headers) <= HEADERS_MAX:
            HttpToolsProtocol.on_header(self, name, value)  # called for each header; `super()` would make an object

    def on_headers_complete(self) -> None:
        if self._ignoring:
            return
        self._head_complete = self._progress = True
        self._stop_waiting()
        if len(self.headers) > HEADERS_MAX or self._head_is_too_large():
            self.send_400_response(bad_requests.TOO_LARGE_HEAD.said(headers=HEADERS_MAX, bytes_max=HEADER_BYTES_MAX))
        elif len(self.pipeline) >= PIPELINED_REQUESTS_MAX:
            self._give_up()
        elif not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._ignoring:
            return
        self._progress = True
        self._pieces += 1
        if self._pieces > PIECES_MAX:
            self.send_400_response(bad_requests.TOO_MANY_CHUNKS.said(chunks_max=PIECES_MAX))
            return
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            self._wait(DISCARD_TIMEOUT_S)
            if self._discarded_bytes > DISCARDED_BYTES_MAX:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignoring:
            return
        self._progress = True
        self._stop_waiting()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Starts the request that waits, but not before the last answer is read: nothing else bounds what is unread."""
        self._connections.waits(self)
        if self.flow.write_paused and not self.transport.is_closing():
            self._answer_waits = True
            self.flow.pause_reading()
            return
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        pending_bytes = sum(len(cycle.body) for cycle, _ in self.pipeline)
        running = self._running
        if running is not None and not running.response_complete:
            if not running.response_started:
                self.transport.abort()  # it waits for `100 Continue`, and does not read that either
                return
            pending_bytes += running.expected_content_length
        self._reading.stops(pending_bytes)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.goes_on()
        if self._answer_waits:
            self._answer_waits = False
            self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers data that is not HTTP with 400 and closes the connection. Earlier requests on it may be published
        already, so they get their answers first, and this is none. `msg`: a text of the catalogue of errors."""
        if self._ends_after_answers():
            return
        self._ignoring = True
        body = json.dumps({"path": "", "error": msg}).encode()
        self.transport.write(b"%b%d\r\n\r\n%b" % (_BAD_REQUEST, len(body), body))
        self.transport.close()

    def _head_is_too_large(self) -> bool:
        if self._read_bytes <= HEADER_BYTES_MAX:
            return False  # one that came within many reads has been refused before
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES_MAX

    def _ends_after_answers(self) -> bool:
        """If a request is in flight: answers it and the complete ones behind it, serves nothing else, and closes."""
        running = self._running
        if running is None or running.response_complete or running.more_body:
            return False
        self._ignoring = True
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the newest one; it never becomes complete
        newest = self.pipeline[0][0] if self.pipeline else running
        newest.keep_alive = False
        self._stop_waiting()
        self.flow.pause_reading()
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._connections.waiting.pop(self, None)
        super()._start_asgi_task(cycle, app)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serves a request that asks for an upgrade as HTTP/1.1, as RFC 9110, 7.8 allows.

        httptools takes what follows the head for the new protocol. So a new parser reads the head without the upgrade,
        and then `rest` as the body.
        """
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response(bad_requests.NOT_A_PROXY.said())
            return
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE_HEADERS)
            if name not in _UPGRADE_HEADERS and value:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _wait(self, timeout_s: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(timeout_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._ends_after_answers():
            self._ignoring = True
            self.transport.close()
