"""A record of orders.upserts, independent of the client library, and what decoding makes of one.

Most records of a batch never become such objects: `batch.py` keeps them as columns. Treat the dataclasses as frozen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache

from contracts.event import EventContext, Headers
from contracts.limits import ORDER_ID_CHARS_MAX
from contracts.order import Order

DAY_MS = 86_400_000
_FIRST_DAY = date(1970, 1, 1).toordinal()

OrderKey = tuple[str, str]
"""(partner_id, order_id): the primary key of an order."""


@dataclass(slots=True)
class Record:
    """A record as Kafka has it. `time_ms`: when the broker appended it, in ms since 1970.

    `leader_epoch`: which leader of the partition appended it; None if the broker does not tell.
    """

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    leader_epoch: int | None = None

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)


@lru_cache(maxsize=64)
def utc_day(days: int) -> date:
    """The date `days` days after 1970-01-01."""
    return date.fromordinal(_FIRST_DAY + days)


class Stage(StrEnum):
    """Where a record was refused, in the terms of Kafka Connect."""

    HEADER_CONVERTER = "HEADER_CONVERTER"
    VALUE_CONVERTER = "VALUE_CONVERTER"
    TRANSFORMATION = "TRANSFORMATION"
    TASK_PUT = "TASK_PUT"


class _Placed:
    """What Unread and Event have in common."""

    __slots__ = ()
    record: Record
    context: EventContext
    index: int

    @property
    def time(self) -> datetime:
        """When the broker appended the record at `place`."""
        origin = self.context.origin
        return self.record.time if origin is None or self.is_foreign else origin.time

    @property
    def is_foreign(self) -> bool:
        """Whether it was redriven from another partition. Then its origin has no place in this partition."""
        origin = self.context.origin
        return origin is not None and origin.partition != self.record.partition

    def rejected(self, stage: Stage, error: str, reason: str) -> "Rejected":
        return Rejected(self.record, self.context, self.index, stage, error, reason)


@dataclass(slots=True)
class Unread(_Placed):
    """A record whose headers are read, but not its `value`. `value_hash`: 16 bytes over the value.

    If that is the content_hash of the row, the value is the canonical order of the row and need not be read.
    `index`: that of the order in its request. `place`: the position among the events of its key, see `place_of`.
    """

    record: Record
    context: EventContext
    index: int
    key: OrderKey
    place: int
    value: bytes
    value_hash: bytes


@dataclass(slots=True)
class Event(_Placed):
    """A record that can be applied. `canonical`: the JSON of its order. `content_hash`: 16 bytes over that JSON.

    `text`: the fields of the order in the format of COPY, so most orders need not become objects.
    """

    record: Record
    context: EventContext
    index: int
    key: OrderKey
    place: int
    canonical: bytes
    content_hash: bytes
    text: str

    @property
    def order(self) -> Order:
        return Order.model_validate_json(self.canonical)


@dataclass(slots=True)
class Rejected:
    """A record that cannot be applied and becomes a dead letter. `stage` and `error` are terms of Kafka Connect.

    With a context, it belongs to a request and counts as invalid there. Without one, `index` has no meaning.
    """

    record: Record
    context: EventContext | None
    index: int
    stage: Stage
    error: str
    reason: str

    @property
    def key(self) -> OrderKey | None:
        """The key of the order in the record; None if the record has no usable key."""
        if self.context is None or self.record.key is None or len(self.record.key) > 4 * ORDER_ID_CHARS_MAX:
            return None
        try:
            order_id = self.record.key.decode()
        except UnicodeDecodeError:
            return None
        return None if "\0" in order_id else (self.context.partner_id, order_id)

    @property
    def place(self) -> int:
        """The same as that of an event."""
        return place_of(self.record, self.context)

    @property
    def time_ms(self) -> int:
        """When the broker first appended it, in ms since 1970; never later than this record: brokers refuse that."""
        if self.context is None or self.context.origin is None:
            return self.record.time_ms
        return max(0, min(self.record.time_ms, round(self.context.origin.time.timestamp() * 1000)))


def place_of(record: Record, context: EventContext | None) -> int:
    """The offset of a record; for a redriven one the offset of its origin, if that was in the same partition."""
    origin = None if context is None else context.origin
    return record.offset if origin is None or origin.partition != record.partition else origin.offset


Decoded = Event | Unread | Rejected


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send. Without a `partition`, the key selects one. `time_ms`: ms since 1970; None for the time of
    sending."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
    time_ms: int | None = None


Work = Callable[[], bool]
"""Does a little work, for a few tenths of a millisecond. False if no work is left. Raises nothing."""
