"""What tells from outside whether a consumer works: whether its loop turns, its partitions, and Postgres."""

import time
from collections.abc import Callable
from threading import Event as Flag

STALLED_AFTER_S = 60.0
"""A loop that did not turn for so long hangs. One turn waits for Kafka and Postgres for some 10 s at most."""


class Vitals(Flag):
    """The flag that stops a consumer. The loop asks for it at each turn, and in each wait: so that shows that it turns.

    An outage is no standstill: the loop asks before each attempt. The loop's thread writes, that of the health port
    reads.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._turned_s = clock_s()
        self.is_assigned: Callable[[], bool] = _not_yet
        """Whether the group has given this consumer its partitions, which may be none."""
        self.is_connected: Callable[[], bool] = _not_yet
        """Whether there is a connection to Postgres that worked when it was used last."""

    def turn(self) -> None:
        """Notes that something was done: within one turn of the loop there may be many transactions."""
        self._turned_s = self._clock_s()

    def is_set(self) -> bool:
        self.turn()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.turn()
        return super().wait(timeout)

    @property
    def silent_s(self) -> float:
        """How long the loop has not turned."""
        return max(0.0, self._clock_s() - self._turned_s)

    @property
    def is_alive(self) -> bool:
        return self.silent_s <= STALLED_AFTER_S

    def readiness(self) -> dict[str, bool]:
        """If all are true, this consumer applies orders."""
        return {
            "loop_turns": self.is_alive,
            "partitions_assigned": self.is_assigned(),
            "postgres_connected": self.is_connected(),
            "not_stopping": not super().is_set(),
        }


def _not_yet() -> bool:
    return False
