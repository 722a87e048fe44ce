"""Limits each partner's rate, in orders a second. Pure: the caller passes the clock in."""

import math
from collections.abc import Callable

from contracts.partner import Partner
from ingress.errors import RateLimitedError

BURST_S = 1.0
"""After a pause, a partner may send the orders of this time at once."""


class RateLimit:
    """A token bucket for each partner that has a limit.

    A request is admitted if the bucket is not empty, and may take it below zero. Otherwise a partner could never send a
    batch larger than its bucket. The next request waits until the debt is paid.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, partner: Partner) -> float:
        """How long until the next request is admitted; 0 for now."""
        rate = partner.orders_per_s
        if rate is None:
            self._buckets.pop(partner.partner_id, None)
            return 0.0
        level = self._level(partner.partner_id, rate)
        return 0.0 if level > 0 else (1 - level) / rate

    def left(self, partner: Partner) -> tuple[int, float]:
        """How many orders are left before a request is refused, and how long until one is let in if there are none."""
        rate = partner.orders_per_s
        level = 0.0 if rate is None else self._level(partner.partner_id, rate)
        return max(0, math.ceil(level)), self.wait_s(partner)

    def require(self, partner: Partner) -> None:
        """Raises RateLimitedError if the next request is not admitted now."""
        wait_s = self.wait_s(partner)
        if wait_s:
            raise RateLimitedError(wait_s)

    def charge(self, partner: Partner, orders: int) -> None:
        """For a request, whether it is let in or refused: it costs at least one order."""
        rate = partner.orders_per_s
        if rate is not None:
            level = self._level(partner.partner_id, rate) - max(1, orders)
            self._buckets[partner.partner_id] = (level, self._clock_s())

    def _level(self, partner_id: str, rate: int) -> float:
        now_s = self._clock_s()
        level, since_s = self._buckets.get(partner_id, (rate * BURST_S, now_s))
        return min(rate * BURST_S, level + (now_s - since_s) * rate)
