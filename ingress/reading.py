"""Whether the client of one connection reads its answers."""

import asyncio

from ingress.connections import PROGRESS_BYTES, PROGRESS_S, Closable, Connections


class Reading:
    """Aborts a connection whose client reads less than PROGRESS_BYTES in PROGRESS_S while answers wait."""

    def __init__(
        self,
        connection: Closable,
        transport: asyncio.WriteTransport,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._connections = connections
        self._loop = loop
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def stops(self, pending_bytes: int) -> None:
        """The kernel takes no more. `pending_bytes`: what is kept until it does, beside what the transport has."""
        self._watch()
        self._connections.waits(self._connection)
        self._connections.unread(self._connection, self._unread_bytes + pending_bytes)

    def goes_on(self) -> None:
        """The kernel has taken everything, or the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.read(self._connection)

    def _watch(self) -> None:
        self._unread_bytes = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(PROGRESS_S, self._require_progress)

    def _require_progress(self) -> None:
        if self._unread_bytes - self._transport.get_write_buffer_size() < PROGRESS_BYTES:
            self._connection.abort()
        else:
            self._watch()
