"""How long the parts of a request took, for the header Server-Timing of a client that asks for it. Pure.

The parts follow each other: `read` (until the body is read and checked), `ledger` (whether the Idempotency-Key is
known), `publish` (until every order is in Kafka), `apply` (until every outcome has come back), `reply` (until the
answer). A part that a request does not have is left out.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Any

PARTS = "read", "ledger", "publish", "apply", "reply"


class Timing:
    """The time of one request, from now on. `clock_s`: a clock that never goes back."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._since_s = clock_s()
        self._part = PARTS[0]
        self._durations_s: dict[str, float] = {}

    def begin(self, part: str) -> None:
        """The part before ends. It is too late for a part that stands before the one that runs.

        So outcomes that are here before Kafka's acknowledgement end `publish`, and there is no `apply`.
        """
        if PARTS.index(part) > PARTS.index(self._part):
            self._end()
            self._part = part

    def follow(self, acknowledged: "Future[Any] | None", done: "Future[Any]") -> None:
        """`acknowledged`: every order is in Kafka; None if another request with the same key published them."""
        if acknowledged is None:
            self.begin("apply")
        else:
            acknowledged.add_done_callback(lambda _: self.begin("apply"))
        done.add_done_callback(lambda _: self.begin("reply"))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """As it is when the answer is made, after an error too: then the part that was under way is the last one."""
        self._end()
        told = (f"{part};dur={duration_s * 1000:.3f}" for part, duration_s in self._durations_s.items())
        return [(b"server-timing", ", ".join(told).encode())]

    def _end(self) -> None:
        now_s = self._clock_s()
        self._durations_s[self._part] = now_s - self._since_s
        self._since_s = now_s
