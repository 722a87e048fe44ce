"""Records as the consumer takes them, for tests that need no broker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consumer.core.decode import decode
from consumer.core.record import Batch, Event, Record
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.order import Order
from contracts.partitioner import partition_of
from support.orders import an_order

TIME = datetime(2026, 3, 24, tzinfo=UTC)
REPLY_TO = ReplyTo("replies", 3)


def record(
    order: dict[str, Any],
    offset: int,
    *,
    partner: str = "p",
    request: int = 1,
    index: int = 0,
    time: datetime = TIME,
    reply_to: ReplyTo | None = None,
    digest: str | None = None,
) -> Record:
    parsed = Order.model_validate(order)
    key = parsed.order_id.encode()
    context = RequestContext(UUID(int=request), partner, 1000, 0, reply_to, digest=digest)
    headers: Any = HeaderWriter(context).headers(index)
    return Record(partition_of(key, 12), offset, int(time.timestamp() * 1000), key, parsed.canonical(), headers)


def event(offset: int, name: str = "Ada", order_id: str = "O-1", **about: Any) -> Event:
    decoded = decode(record(an_order(order_id, name=name), offset, **about))
    assert isinstance(decoded, Event)
    return decoded


def batch(events: Sequence[Event]) -> Batch:
    """Starting in each partition at its first event."""
    found: dict[int, int] = {}
    for item in events:
        found.setdefault(item.record.partition, item.record.offset)
    return Batch(events, found)
