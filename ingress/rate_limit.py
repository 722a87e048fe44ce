"""The rate of each partner, in orders a second. Pure: the clock comes in from outside."""

from collections.abc import Callable

from contracts.partner import Partner

BURST_S = 1.0
"""An idle partner may send what it is allowed in this time at once."""


class RateLimit:
    """A token bucket for each partner that has a limit.

    A request is let in while the bucket is not empty and may empty it below zero: otherwise a batch larger than the
    bucket could never be sent. The debt is waited for.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, partner: Partner) -> float:
        """How long until the next request is let in; 0 for at once."""
        rate = partner.orders_per_s
        if rate is None:
            self._buckets.pop(partner.partner_id, None)
            return 0.0
        level = self._level(partner.partner_id, rate)
        return 0.0 if level > 0 else (1 - level) / rate

    def charge(self, partner: Partner, orders: int) -> None:
        rate = partner.orders_per_s
        if rate is not None:
            self._buckets[partner.partner_id] = (self._level(partner.partner_id, rate) - orders, self._clock_s())

    def _level(self, partner_id: str, rate: int) -> float:
        now_s = self._clock_s()
        level, since_s = self._buckets.get(partner_id, (rate * BURST_S, now_s))
        return min(rate * BURST_S, level + (now_s - since_s) * rate)
