"""Decodes many records at once, as `identify` and `read_order` do it for one.

Most records have a value and a key that are texts, and the headers of others of their request, but for ce_id, which is
the first. For these, whole columns are read. Each of the others is read by itself, and becomes an object.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import groupby
from typing import cast

from consumer.core.batch import NO_HEAD, Columns, Head
from consumer.core.decode import identify, identify_in, order_id_of, read_order, require_value
from consumer.core.hashing import CONTENT_HASH_BYTES
from consumer.core.record import Unread
from consumer.core.records import Records
from consumer.core.row_text import canonical_texts
from contracts import limits
from contracts.event import EventContext, Headers, RecordError, read_headers
from contracts.headers import ID

REQUESTS_MAX = 1024
"""How many requests are remembered. One more clears them all: the events of a request come close together."""

_INDEXES = {str(index).encode(): index for index in range(limits.ORDERS_PER_REQUEST_MAX)}
_UNKNOWN = -1
_PREFIX_CHARS = len("6f1c7d6e-5d0b-4c56-9f0a-2f3a7f0f4b11/")
"""Of ce_id: what is before the index."""


class Decoder:
    """Remembers what the headers of the last requests said."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Headers, EventContext]] = {}

    def decode(self, records: Records, columns: Columns, *, orders: bool = False) -> None:
        """Appends the records to the columns. `orders`: reads the orders too. Raises nothing."""
        if not len(records):
            return
        first = len(columns)
        columns.partitions += records.partitions
        columns.offsets += records.offsets
        columns.times_ms += records.times_ms
        columns.record_keys += records.keys
        columns.values += records.values
        columns.leader_epochs += records.leader_epochs
        self._read_headers(records.headers, columns)
        order_ids = _order_ids(records.keys, records.values)
        contexts, indexes = columns.contexts[first:], columns.indexes[first:]
        columns.keys += [
            None if context is None or order_id is None else (context.partner_id, order_id)
            for context, order_id in zip(contexts, order_ids, strict=True)
        ]
        columns.value_hashes += [
            blake2b(value or b"", digest_size=CONTENT_HASH_BYTES).digest() for value in records.values
        ]
        columns.texts += [None] * len(records)
        if None in columns.keys[first:] or _UNKNOWN in indexes:
            self._identify(columns, first)
        if orders:
            _read_orders(columns, first, order_ids)
        columns.find_runs(first)

    def _read_headers(self, written: Sequence[Headers], columns: Columns) -> None:
        """Fills `heads`, `shared`, `contexts` and `indexes`. What has to be read by itself gets None or _UNKNOWN."""
        heads = [headers[0] if headers else NO_HEAD for headers in written]
        shared = [headers[1:] for headers in written]
        ids = [event_id if event_id is not None and name == ID.name else b"" for name, event_id in heads]
        columns.heads += heads
        columns.indexes += [_INDEXES.get(event_id[_PREFIX_CHARS:], _UNKNOWN) for event_id in ids]
        for (_, others), alike in groupby(zip([event_id[:_PREFIX_CHARS] for event_id in ids], shared, strict=True)):
            count = len(list(alike))
            context = self._context(columns.heads[len(columns.contexts)], others)
            columns.contexts += [context] * count
            columns.shared += [others] * count

    def _context(self, head: Head, shared: Headers) -> EventContext | None:
        """What the headers say to all events that differ from this one only in the index of their ce_id; else None."""
        if head[0] != ID.name or head[1] is None:
            return None
        request = head[1][:_PREFIX_CHARS]
        known = self._known.get(request)
        if known is not None and known[0] == shared:
            return known[1]
        try:
            context, _ = read_headers([head, *shared])
        except RecordError:
            return None
        if context.origin is not None or any(name == ID.name for name, _ in shared):
            return None
        if len(self._known) >= REQUESTS_MAX:
            self._known.clear()
        self._known[request] = shared, context
        return context

    def _identify(self, columns: Columns, first: int) -> None:
        """Makes the objects of the records that have to be read by themselves."""
        for position in range(first, len(columns)):
            context, index = columns.contexts[position], columns.indexes[position]
            if context is None or index == _UNKNOWN:
                columns.put(position, identify(columns.record(position)))
            elif columns.keys[position] is None:
                record = columns.record(position)
                columns.put(position, identify_in(record, context, index, record.offset))


def _order_ids(keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Sequence[str | None]:
    """The order_id in each key; None for a record with a key or value that is not one."""
    try:
        order_ids = list(map(bytes.decode, cast(Sequence[bytes], keys)))
        sizes_bytes = map(len, cast(Sequence[bytes], values))
        if max(sizes_bytes) <= limits.ORDER_BYTES_MAX and b"\0" not in b"".join(cast(Sequence[bytes], keys)):
            return order_ids
    except (TypeError, UnicodeDecodeError):  # a key or value is None, or not a text
        pass
    return [_order_id(key, value) for key, value in zip(keys, values, strict=True)]


def _order_id(key: bytes | None, value: bytes | None) -> str | None:
    try:
        require_value(value)
        return order_id_of(key)
    except RecordError:
        return None


def _read_orders(columns: Columns, first: int, order_ids: Sequence[str | None]) -> None:
    """Fills `texts`, and makes objects of the events whose values are not canonical."""
    texts = canonical_texts(columns.values[first:], order_ids)
    columns.texts[first:] = texts
    if None not in texts and not columns.objects:
        return
    for position, text in enumerate(texts, first):
        item = columns.objects.get(position)
        if item is None and text is None:
            item = columns.unread(position)
        if isinstance(item, Unread):
            columns.put(position, read_order(item))
