"""uvicorn's HTTP protocol, with limits on everything but the body, and its own answers as JSON."""

import asyncio
import json

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES_MAX = 64 * 1024
"""The limit of a head, and of the trailers and chunk extensions of one body."""
HEADER_TIMEOUT_S = 10.0
DISCARDED_BYTES_MAX = 8 * 1024 * 1024
"""The limit of a body's rest after its answer. If the connection closed at once, the client would miss the answer."""
DISCARD_TIMEOUT_S = 30.0
_UPGRADE_HEADERS = {b"upgrade", b"http2-settings"}


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools limits neither the size of heads, trailers and chunk extensions nor the time that they take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_complete = False
        self._progress = False  # whether the last data held part of a body, or the end of a head or a message
        self._other_bytes = 0  # bytes since then
        self._timer: asyncio.TimerHandle | None = None
        self._wait(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._progress = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("it is not HTTP/1.1")
            return
        if self.transport.is_closing():
            return
        if not self._head_complete:
            self._wait(HEADER_TIMEOUT_S)
        self._other_bytes = 0 if self._progress else self._other_bytes + len(data)
        if self._other_bytes > HEADER_BYTES_MAX:
            self.send_400_response(f"headers and trailers should have at most {HEADER_BYTES_MAX} bytes")

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more but may still read: it gets its answer, and then the connection closes."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stop_waiting()
        self._head_complete = False
        self._discarded_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_complete:  # trailers are ignored: a token there does not count
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = self._progress = True
        self._stop_waiting()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._progress = True
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            self._wait(DISCARD_TIMEOUT_S)
            if self._discarded_bytes > DISCARDED_BYTES_MAX:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._progress = True
        self._stop_waiting()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers data that is not HTTP with 400 and closes the connection.

        An earlier request on this connection may be published already, so it gets its answer first.
        """
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        body = json.dumps({"path": "", "error": f"Invalid HTTP request: {msg}"}).encode()
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serves a request that asks for an upgrade as HTTP/1.1, as RFC 9110, 7.8 allows.

        httptools takes what follows the head for the new protocol. So a new parser reads the head without the upgrade,
        and then `rest` as the body.
        """
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("this server is not a proxy")
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
        if not self.transport.is_closing():
            self.transport.close()
