"""Up to which offset a partition's log is the one that was applied.

Rows and parts of the ledger say what stood at certain offsets. A log that was put back or lost its tail is the same up
to some offset, and another one from there on. So the last of these offsets that still fits is found by halving. From
there on, records are followed one by one for as long as the ledger knows them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.core.decode import decode
from consumer.core.record import Event, Record, Rejected
from consumer.postgres.connection import Connection
from consumer.postgres.ledger import IdempotencyKeys, Ledger
from contracts.event import BodyKey, RequestKey
from contracts.result import indexes_of


@dataclass(frozen=True, slots=True)
class Anchor:
    """What stood at one offset: an order with this hash, or an event of this request."""

    offset: int
    partner_id: str
    order_id: str | None
    content_hash: bytes | None
    request_id: UUID | None

    def fits(self, record: Record) -> bool:
        decoded = decode(record)
        context = decoded.context
        if context is None or context.partner_id != self.partner_id:
            return False
        if self.request_id is not None:
            return context.request_id == self.request_id
        return isinstance(decoded, Event) and (decoded.key[1], decoded.content_hash) == (
            self.order_id,
            self.content_hash,
        )


def read_anchors(connection: Connection, partition: int, end: int) -> list[Anchor]:
    """By offset. All of them are in memory: some 200 bytes for each row of the partition."""
    rows = connection.execute(
        "SELECT event_offset, partner_id, order_id, content_hash, NULL::uuid FROM orders "
        "WHERE event_partition = %(partition)s AND event_offset BETWEEN 0 AND %(end)s - 1 "
        "UNION ALL SELECT first_offset, partner_id, NULL, NULL, request_id FROM request_part "
        "WHERE partition = %(partition)s AND first_offset < %(end)s ORDER BY 1",
        {"partition": partition, "end": end},
    )
    return [Anchor(*row) for row in rows]


def find_divergence(
    anchors: Sequence[Anchor],
    record_at: Callable[[int], Record | None],
    first: int,
    end: int,
    is_known: Callable[[Sequence[Record]], Sequence[bool]],
    read: Callable[[int, int], Iterator[Sequence[Record]]],
) -> int:
    """The first offset at which the log may be another one: records before it are those that were applied.

    `record_at` gives None if no record stands there. `read` gives the records between two offsets, in chunks.
    """
    low, high = 0, len(anchors)
    while low < high:
        middle = (low + high) // 2
        record = record_at(anchors[middle].offset)
        if record is not None and anchors[middle].fits(record):
            low = middle + 1
        else:
            high = middle
    before = max(first, anchors[low - 1].offset + 1) if low else first
    stop = min(end, anchors[low].offset) if low < len(anchors) else end
    for records in read(before, stop):
        for record, known in zip(records, is_known(records), strict=True):
            if not known:
                return before
            before = record.offset + 1
    return before


class KnownEvents:
    """What the ledger says of records: whether they were applied before."""

    def __init__(self, connection: Connection, ledger_days: int) -> None:
        self._ledger = Ledger(connection, ledger_days)
        self._keys = IdempotencyKeys(connection, ledger_days)
        self._oldest = self._ledger.oldest_day()

    def are_known(self, records: Sequence[Record]) -> list[bool]:
        """False for an event that was not applied; True if its day is forgotten, or if it is nobody's event."""
        applied = {id(record) for record in self.applied_among(records)}
        return [
            id(record) in applied or self.is_forgotten(record) or decode(record).context is None for record in records
        ]

    def applied_among(self, records: Sequence[Record]) -> list[Record]:
        """Those of which the ledger has an outcome, or whose Idempotency-Key it knows to belong to another body."""
        decoded = [decode(record) for record in records]
        requests = {item.context.body_key.request_key for item in decoded if item.context is not None}
        outcomes: dict[BodyKey, set[int]] = {}
        for part in self._ledger.read(requests).result():
            outcomes.setdefault(part.body_key, set()).update(indexes_of(part.outcomes_json))
        owners = self._keys.owners(requests)
        return [item.record for item in decoded if _is_applied(item, outcomes, owners)]

    def is_forgotten(self, record: Record) -> bool:
        """Whether it is older than what the ledger keeps."""
        return self._oldest is not None and record.time.date() < self._oldest


def _is_applied(
    decoded: Event | Rejected, outcomes: Mapping[BodyKey, set[int]], owners: Mapping[RequestKey, str]
) -> bool:
    context = decoded.context
    if context is None:
        return False
    owner = owners.get(context.body_key.request_key)
    lost_its_key = context.digest is not None and owner is not None and owner != context.digest
    return lost_its_key or decoded.index in outcomes.get(context.body_key, ())
