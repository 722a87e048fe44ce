"""Limits how much is in flight. Pure; used on the event loop only."""

from collections.abc import Iterator
from contextlib import contextmanager

from ingress.errors import UnavailableError

_SHUTTING_DOWN = "This server is shutting down."


class Admission:
    """Counts and limits what all requests together hold. A request is admitted as a whole or not at all."""

    def __init__(self, orders_max: int, bytes_max: int) -> None:
        self._orders_max = orders_max
        self._bytes_max = bytes_max
        self.requests = 0
        self.orders = 0
        self.bytes = 0
        self.draining = False

    @contextmanager
    def request(self) -> Iterator["Held"]:
        """Around a request, from its first byte to its answer. Releases what it holds at the end.

        Raises UnavailableError while the server drains.
        """
        if self.draining:
            raise UnavailableError(_SHUTTING_DOWN)
        held = Held(self)
        self.requests += 1
        try:
            yield held
        finally:
            self.requests -= 1
            self.orders -= held.orders
            self.bytes -= held.bytes

    def hold_bytes(self, held: "Held", count: int) -> None:
        if self.bytes + count > self._bytes_max:
            raise UnavailableError("Too many bytes are in flight.")
        self.bytes += count
        held.bytes += count

    def require_room(self, count: int) -> None:
        """Refuses early a request that cannot be admitted. Holds nothing. Raises UnavailableError."""
        if self.orders + count > self._orders_max:
            raise UnavailableError("Too many orders are in flight.")

    def hold_orders(self, held: "Held", count: int) -> None:
        if self.draining:
            raise UnavailableError(_SHUTTING_DOWN)
        self.require_room(count)
        self.orders += count
        held.orders += count


class Held:
    """What one request holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.orders = 0
        self.bytes = 0

    def add_bytes(self, count: int) -> None:
        """Raises UnavailableError."""
        self._admission.hold_bytes(self, count)

    def add_orders(self, count: int) -> None:
        """Raises UnavailableError."""
        self._admission.hold_orders(self, count)
