"""How far behind a consumer is, for each of its partitions.

Pure: no client library, no clock. The loop's thread writes; that of the metrics port reads, and sees one look or the
next, never half of one.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

FRESH_S = 5.0
"""A look that is older says nothing about now: the loop waits for Postgres or hangs, and does not ask Kafka."""


class Place(NamedTuple):
    """One partition. `next_offset`: all before it is applied and answered. `end`: the end of the log.

    In s since 1970: when it was first looked at, was last seen applied to its end, and got the last applied event.
    """

    next_offset: int
    end: int
    first_s: float
    at_end_s: float | None = None
    event_s: float | None = None

    @property
    def known_s(self) -> float:
        """All that was appended before is applied. If nothing tells, nothing older is known to wait."""
        known = [at_s for at_s in (self.at_end_s, self.event_s) if at_s is not None]
        return max(known, default=self.first_s)


class Behind(NamedTuple):
    """What is not applied of one partition: records, and how old the oldest of them may be at most."""

    next_offset: int
    lag_records: int
    behind_s: float


class Progress:
    """Of the partitions that a consumer has."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._events_s: dict[int, float] = {}
        self._looked_s = 0.0

    def apply(self, times_s: Mapping[int, float]) -> None:
        """A batch was applied. `times_s`: when the last event of each partition was appended."""
        self._events_s.update(times_s)

    def look(self, done: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> None:
        """`done`: for each of our partitions, all before this offset is answered. `ends`: the ends that are known."""
        places = {}
        for partition, end in ends.items():
            if partition in done:
                before = self._places.get(partition, Place(0, 0, now_s))
                at_end_s = now_s if done[partition] >= end else before.at_end_s
                event_s = self._events_s.get(partition)
                places[partition] = Place(done[partition], end, before.first_s, at_end_s, event_s)
        self._events_s = {partition: at_s for partition, at_s in self._events_s.items() if partition in done}
        self._places, self._looked_s = places, now_s

    def behind(self, now_s: float) -> Iterator[tuple[int, Behind]]:
        """By partition. Without a fresh look nobody knows what has arrived: then all is behind since it was known."""
        is_fresh = now_s - self._looked_s <= FRESH_S
        for partition, place in self._places.items():
            lag_records = max(0, place.end - place.next_offset)
            behind_s = 0.0 if is_fresh and not lag_records else max(0.0, now_s - place.known_s)
            yield partition, Behind(place.next_offset, lag_records, behind_s)
