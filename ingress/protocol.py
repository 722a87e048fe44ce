"""uvicorn's HTTP protocol, with limits on what is no body, and JSON where it answers by itself."""

import asyncio
import json

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES_MAX = 64 * 1024
"""Of a head, and of the trailers and chunk extensions of one body."""
HEADER_TIMEOUT_S = 10.0
THROWN_AWAY_BYTES_MAX = 8 * 1024 * 1024
"""Of a body that was answered before its end: closing at once would make the client miss the answer."""
THROWN_AWAY_S = 30.0
_OF_UPGRADES = {b"upgrade", b"http2-settings"}


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools bounds neither the size of what is no body nor the time that it takes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_complete = False
        self._progress = False  # whether the parser met a piece of a body, or the end of a head or a message
        self._other_bytes = 0  # since then
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
        """A client that has said all still reads: it gets its answer, and then the connection ends."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stop_waiting()
        self._head_complete = False
        self._thrown_away_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_complete:  # a trailer says nothing that we want to know: a token there is no token
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = self._progress = True
        self._stop_waiting()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._progress = True
        if self.cycle.response_complete:
            self._thrown_away_bytes += len(body)
            self._wait(THROWN_AWAY_S)
            if self._thrown_away_bytes > THROWN_AWAY_BYTES_MAX:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._progress = True
        self._stop_waiting()
        if not self.parser.should_upgrade():
            super().on_message_complete()

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

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Nobody has to follow an Upgrade (RFC 9110, 7.8), but httptools takes what follows for the new protocol.

        So the head is read again without it, and the rest as what it is, the body.
        """
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("this is no proxy")
            return
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _OF_UPGRADES)
            if name not in _OF_UPGRADES and value:
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
