"""How many connections a process has, and which it closes if they are too many or too much waits to be read.

A connection that waits for its next request may be closed at any time (RFC 9112, 9.5), so there is always room for a
new one. Those with a request of a partner in flight are never closed: `Admission` limits how many they are.
"""

import resource
from collections.abc import Callable
from typing import Protocol

CONNECTIONS_MAX = 4_000
FILES_KEPT = 512
"""Open files that are left for Kafka, Postgres and logs."""
UNREAD_BYTES_MAX = 32 * 1024 * 1024
"""Answers in memory that the clients of a process have not read yet."""
PROGRESS_S = 10.0
PROGRESS_BYTES = 10_240
"""What a client has to send of a body, or to read of an answer, in each PROGRESS_S."""
CONNECTION = "connection"
"""The name, in the `state` of a request, of the connection that it came on."""


class Closable(Protocol):
    """One connection."""

    def abort(self) -> None:
        """Closes it at once, and forgets what is not sent yet."""


class Connections:
    """All connections of a process. `on_closed` is called for each one that is closed to make room."""

    def __init__(self, connections_max: int, on_closed: Callable[[], None]) -> None:
        self._connections_max = connections_max
        self._on_closed = on_closed
        self._open: set[Closable] = set()
        self._unread_bytes: dict[Closable, int] = {}
        self._unread_bytes_sum = 0
        self.waiting: dict[Closable, None] = {}  # those that may be closed; the one that waits longest is the first

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Closable) -> None:
        self._open.add(connection)
        self.waiting[connection] = None
        if len(self._open) > self._connections_max:
            self.close_one()

    def waits(self, connection: Closable) -> None:
        """It may be closed from now on, until somebody takes it out of `waiting`."""
        if connection in self._open:
            self.waiting[connection] = None

    def forget(self, connection: Closable) -> None:
        self.read(connection)
        self._open.discard(connection)
        self.waiting.pop(connection, None)

    def close_one(self) -> None:
        """Closes the one that waits longest, if any waits."""
        longest = next(iter(self.waiting), None)
        if longest is not None:
            self._close(longest)

    def unread(self, connection: Closable, count: int) -> None:
        """Its client does not read, and `count` bytes of answers wait. If all are too many, the largest is closed."""
        self.read(connection)
        self._unread_bytes[connection] = count
        self._unread_bytes_sum += count
        while self._unread_bytes_sum > UNREAD_BYTES_MAX:
            self._close(max(self._unread_bytes, key=self._unread_bytes.__getitem__))

    def read(self, connection: Closable) -> None:
        """Nothing of its answers waits any more."""
        self._unread_bytes_sum -= self._unread_bytes.pop(connection, 0)

    def abort_all(self) -> None:
        for connection in list(self._open):
            connection.abort()

    def _close(self, connection: Closable) -> None:
        self.forget(connection)
        self._on_closed()
        connection.abort()


def connections_max() -> int:
    """How many connections this process may have. Raises its limit of open files as far as that takes, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_KEPT
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, max(soft - FILES_KEPT, soft // 2))
