"""Limits how much is in flight, of all partners and of each one. Pure; used on the event loop only.

A partner may hold as much as it leaves free: alone at most half, with one other that does the same a third. So there is
always room for one more partner, and nobody has to know how many there are. What a partner holds for one request alone
is not compared: a small limit would never let in a large request.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ingress import problems
from ingress.errors import PartnerShareError, UnavailableError

REQUESTS_MAX = 3_600
"""Requests in flight in one process."""


class _Use:
    """What the requests of one partner hold."""

    requests = orders = bytes = 0


class Admission:
    """Counts and limits what all requests together hold. A request is admitted as a whole or not at all."""

    def __init__(self, orders_max: int, bytes_max: int, requests_max: int = REQUESTS_MAX) -> None:
        self.orders_max = orders_max
        self.bytes_max = bytes_max
        self.requests_max = requests_max
        self.requests = 0
        self.orders = 0
        self.bytes = 0
        self.uses: dict[str, _Use] = {}  # by partner_id; those that hold something
        self.draining = False

    @contextmanager
    def request(self) -> Iterator["Held"]:
        """Around a request, from its first byte to its answer. Releases what it holds at the end.

        Raises UnavailableError while the server drains, and if too many requests are in flight.
        """
        if self.draining:
            raise UnavailableError(problems.SHUTTING_DOWN)
        if self.requests >= self.requests_max:
            raise UnavailableError(problems.CROWDED, what="requests")
        held = Held(self)
        self.requests += 1
        try:
            yield held
        finally:
            self.requests -= 1
            self.orders -= held.orders
            self.bytes -= held.bytes
            if held.partner_id is not None:
                held.use.requests -= 1
                held.use.orders -= held.orders
                held.use.bytes -= held.bytes
                if not held.use.requests:
                    del self.uses[held.partner_id]


class Held:
    """What one request holds.

    Its methods raise UnavailableError if all together hold too much, and PartnerShareError if its partner does.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.partner_id: str | None = None
        self.use = _Use()
        self.asked_orders = 0  # so many it seemed to have when it asked for room
        self.orders = 0
        self.bytes = 0

    def belongs_to(self, partner_id: str) -> None:
        """Says whose request it is, before it adds anything."""
        admission = self._admission
        use = admission.uses.setdefault(partner_id, self.use)
        if use.requests and use.requests + 1 > admission.requests_max - admission.requests:
            raise PartnerShareError("requests")
        use.requests += 1
        self.partner_id, self.use = partner_id, use

    def add_bytes(self, count: int) -> None:
        admission = self._admission
        free = admission.bytes_max - admission.bytes - count
        if free < 0:
            raise UnavailableError(problems.CROWDED, what="bytes")
        if admission.draining:
            raise UnavailableError(problems.SHUTTING_DOWN)  # at its end, it would be refused anyway
        if self.use.bytes > self.bytes and self.use.bytes + count > free:
            raise PartnerShareError("bytes")
        admission.bytes += count
        self.use.bytes += count
        self.bytes += count

    def require_room(self, count: int) -> None:
        """Refuses early a request that cannot be admitted. Holds nothing."""
        self.asked_orders = count
        free = self._admission.orders_max - self._admission.orders - count
        if free < 0:
            raise UnavailableError(problems.CROWDED, what="orders")
        if self.use.orders > self.orders and self.use.orders + count > free:
            raise PartnerShareError("orders")

    def add_orders(self, count: int) -> None:
        if self._admission.draining:
            raise UnavailableError(problems.SHUTTING_DOWN)
        self.require_room(count)
        self._admission.orders += count
        self.use.orders += count
        self.orders += count
