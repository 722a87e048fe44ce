"""Records as the consumer takes them, for tests that need no broker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consumer.core.batch import Batch, Columns
from consumer.core.decode import decode
from consumer.core.decoder import Decoder
from consumer.core.record import Decoded, Event, Record
from consumer.core.records import Records
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.order import Order
from contracts.partitioner import partition_of
from support.orders import an_order

TIME = datetime(2026, 3, 24, tzinfo=UTC)
REPLY_TO = ReplyTo("replies", 3)
PIECE = 7


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


def batch(items: Sequence[Decoded]) -> Batch:
    """As the consumer makes it of their records. Starting in each partition at its first one."""
    return batch_of([item.record for item in items])


def batch_of(records: Sequence[Record], *, orders: bool = False) -> Batch:
    """`orders`: they are read ahead."""
    columns, starts = Columns(), dict[int, int]()
    decode_all(Decoder(), records, columns, orders=orders)
    for record in records:
        starts.setdefault(record.partition, record.offset)
    return Batch(columns, columns.runs, starts)


def decode_all(decoder: Decoder, records: Sequence[Record], columns: Columns, *, orders: bool = False) -> None:
    """In small pieces, because runs go on from one to the next."""
    for first in range(0, len(records), PIECE):
        decoder.decode(Records.of(records[first : first + PIECE]), columns, orders=orders)
