"""TLS between the kernel and the protocol of HTTP.

The one of asyncio and uvloop does not tell the protocol what a client does not read, and keeps any amount of it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

HANDSHAKE_TIMEOUT_S = 10.0
HANDSHAKES_MAX = 256
"""At once. A new one takes the place of the oldest: who connects and says nothing keeps nobody out."""
_READ_BYTES = 64 * 1024
_WRITE_BYTES = 256 * 1024


class Handshakes:
    """Connections that are not known to `Connections` yet."""

    def __init__(self) -> None:
        self._running: dict[TlsConnection, None] = {}

    def begin(self, connection: "TlsConnection") -> None:
        self._running[connection] = None
        if len(self._running) > HANDSHAKES_MAX:
            next(iter(self._running)).abort()

    def end(self, connection: "TlsConnection") -> None:
        self._running.pop(connection, None)


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """A protocol to the transport below, and a transport to the protocol above, with the same flow control in both."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        handshakes: Handshakes,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self._context = context
        self._make_protocol = make_protocol
        self._handshakes = handshakes
        self._loop = loop
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._app: asyncio.Protocol | None = None
        self._has_ended = self._stays_open = False

    # the protocol of the transport below

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._below = transport
        self._timer = self._loop.call_later(HANDSHAKE_TIMEOUT_S, transport.abort)
        self._handshakes.begin(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._handshakes.end(self)
        if self._app is not None:
            self._app.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        self._deliver()

    def eof_received(self) -> bool:
        """The client sends no more, with or without saying so in TLS."""
        self._deliver()
        self._end()
        return self._stays_open

    def pause_writing(self) -> None:
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._app is not None:
            self._app.resume_writing()

    # the transport of the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _WRITE_BYTES):
            if not self._below.is_closing():
                self._ssl.write(view[start : start + _WRITE_BYTES])
                self._flush()

    def close(self) -> None:
        """Says the end of TLS, and does not wait for the client to say it too."""
        if self._below.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):  # it waits for the client, or there was no handshake
            self._ssl.unwrap()
        self._flush()
        self._below.close()

    def abort(self) -> None:
        self._below.abort()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()

    def is_reading(self) -> bool:
        return self._below.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "sslcontext":
                return self._context
            case "peercert":
                return self._ssl.getpeercert()
        return self._below.get_extra_info(name, default)

    # both

    def _deliver(self) -> None:
        """Gives the protocol above all that has arrived, at once, as the kernel would."""
        try:
            if self._app is None:
                self._ssl.do_handshake()
                self._timer.cancel()
                self._handshakes.end(self)
                self._flush()  # before the first answer
                self._app = self._make_protocol()
                self._app.connection_made(self)
            data, is_end = self._read()
        except ssl.SSLWantReadError:  # the handshake goes on
            self._flush()
        except ssl.SSLError:  # it does not speak TLS, or no longer
            self._flush()  # OpenSSL has said why
            self._below.close()
        else:
            self._flush()
            if data:
                self._app.data_received(data)
            if is_end:
                self._end()

    def _read(self) -> tuple[bytes, bool]:
        """All that has arrived, and whether the client has said that this is the end. Raises ssl.SSLError."""
        pieces: list[bytes] = []
        try:
            while piece := self._ssl.read(_READ_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces), False
        except ssl.SSLZeroReturnError:
            pass
        return b"".join(pieces), True

    def _end(self) -> None:
        """Tells the protocol above, once, that the client sends no more."""
        if not self._has_ended:
            self._has_ended = True
            self._stays_open = self._app is not None and bool(self._app.eof_received())
            if not self._stays_open:
                self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._below.is_closing():
            self._below.write(self._outgoing.read())
