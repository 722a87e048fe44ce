"""A record of orders.upserts, free of the client library, and the batches in which records are taken.

What is made for every record is a dataclass that is not frozen: a frozen one takes three times as long to make. Nobody
changes one all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from order_upsert.contracts.order import Order
from order_upsert.contracts.record import EventContext, Headers

_FIRST_DAY, _DAY_MS = date(1970, 1, 1).toordinal(), 86_400_000

Key = tuple[str, str]
"""(partner_id, order_id): the primary key of an order."""


@dataclass(slots=True)
class Record:
    """What Kafka gave. `time_ms` is when the broker appended it, in ms since 1970."""

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)

    @property
    def day(self) -> int:
        """The date of its time in UTC, as a proleptic Gregorian ordinal (`date.fromordinal`)."""
        return _FIRST_DAY + self.time_ms // _DAY_MS


@dataclass(slots=True)
class Unread:
    """A record whose headers were read, and whose `value` was not. `value_hash` is 16 bytes over it.

    Where that is the content_hash of the row, the value is the canonical order that stands there: nobody need read it.
    """

    record: Record
    context: EventContext
    key: Key
    value: bytes
    value_hash: bytes


@dataclass(slots=True)
class Event:
    """A record that can be applied. `content_hash` is 16 bytes over the canonical order."""

    record: Record
    context: EventContext
    order: Order
    content_hash: bytes

    @property
    def key(self) -> Key:
        return self.context.partner_id, self.order.order_id


@dataclass(slots=True)
class Rejected:
    """A record that cannot be applied: it goes to the dead-letter topic. `stage` and `error` are Kafka Connect's terms.

    With a context it belongs to a request, and counts as invalid there.
    """

    record: Record
    context: EventContext | None
    stage: str
    error: str
    reason: str


Decoded = Event | Unread | Rejected


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order in which they came: in each partition by offset.

    `starts` has, for each partition of the batch, the offset from which on nothing was left out: everything from there
    to the last record is in the batch, or is no record (a transaction's marker).
    """

    records: Sequence[Decoded]
    starts: dict[int, int]

    @property
    def ends(self) -> dict[int, int]:
        """For each partition, the offset after its last record."""
        return {decoded.record.partition: decoded.record.offset + 1 for decoded in self.records}

    def halves(self) -> tuple["Batch", "Batch"]:
        middle = len(self.records) // 2
        first = Batch(self.records[:middle], self.starts)
        return first, Batch(self.records[middle:], {**self.starts, **first.ends})

    def only(self, partitions: set[int]) -> "Batch":
        """Without the records of all other partitions."""
        kept = [decoded for decoded in self.records if decoded.record.partition in partitions]
        return Batch(kept, {partition: start for partition, start in self.starts.items() if partition in partitions})
