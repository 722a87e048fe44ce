"""uvicorn's HTTP protocol, with limits on what comes before a body, and JSON where it answers by itself."""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES_MAX = 64 * 1024
HEADER_TIMEOUT_S = 10.0
THROWN_AWAY_BYTES_MAX = 8 * 1024 * 1024
"""Of a body that was answered before its end: closing at once would make the client miss the answer."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools bounds neither the size of a request's head nor the time that it takes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_complete = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_complete or self.transport.is_closing():
            return
        self._wait_for_head()
        self._head_bytes += len(data)
        if self._head_bytes > HEADER_BYTES_MAX + len(data):
            self.send_400_response(f"the head of the request should have at most {HEADER_BYTES_MAX} bytes")

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has said all still reads: it gets its answer, and then the connection ends."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_complete = False
        self._head_bytes = 0
        self._thrown_away_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._thrown_away_bytes += len(body)
            if self._thrown_away_bytes > THROWN_AWAY_BYTES_MAX:
                self.transport.close()
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP. A request before it on this connection may be published already: it is answered first."""
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        body = json.dumps({"path": "", "error": f"Invalid HTTP request: {msg}"}).encode()
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEADER_TIMEOUT_S, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
