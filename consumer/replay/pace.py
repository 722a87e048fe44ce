"""Limits the rate of a replay, so that it leaves room for the live system."""

import time
from collections.abc import Callable


class Pace:
    """Lets `events_per_s` through; None for no limit. Its pauses are short, so that a replay does not seem to hang."""

    PAUSES_PER_S = 4

    def __init__(
        self,
        events_per_s: float | None,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._events_per_s = events_per_s
        self._clock_s = clock_s
        self._sleep = sleep
        self._free_s = clock_s()

    def batch_max(self, records_max: int) -> int:
        """The largest batch, in events, that keeps the pauses short."""
        if self._events_per_s is None:
            return records_max
        return max(1, min(records_max, int(self._events_per_s / self.PAUSES_PER_S)))

    def take(self, events: int) -> None:
        """Waits until the next `events` may pass. Unused time is not saved up."""
        if self._events_per_s is None:
            return
        now_s = self._clock_s()
        self._free_s = max(self._free_s, now_s)
        if self._free_s > now_s:
            self._sleep(self._free_s - now_s)
        self._free_s += events / self._events_per_s
