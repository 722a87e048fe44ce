"""Decodes records to events. Shops may write to orders.upserts themselves, so every record must fulfil the contract.

There are two steps, because the second is expensive: `identify` reads the headers, `read_order` reads the value. The
fold skips the second for an event whose value is the one that is already in the table.
"""

from collections.abc import Sequence
from hashlib import blake2b

from consumer.core.columns import canonical_columns, columns_of
from consumer.core.record import Event, Record, Rejected, Stage, Unread, place_of
from contracts import limits
from contracts.canonical import ORDER_ID_FIELD
from contracts.event import EventContext, Headers, RecordError, read_headers
from contracts.headers import ID
from contracts.order import Order, invalid_reason
from contracts.order_parser import parse_order
from contracts.strict_json import Violation

CONTENT_HASH_BYTES = 16
_WRONG_KEY = "the key should be the order_id: it selects the partition, and so the order of events"
REQUESTS_MAX = 1024
"""How many requests are remembered. One more clears them all: the events of a request come close together."""

_INDEXES = {str(index).encode(): index for index in range(limits.ORDERS_PER_REQUEST_MAX)}


class HeaderReader:
    """Does the same as `read_headers`, faster for events that differ from others of their request only in ce_id.

    This needs ce_id to be the first header.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Headers, EventContext]] = {}

    def read(self, headers: Headers) -> tuple[EventContext, int]:
        """Raises RecordError."""
        name, event_id = headers[0] if headers else ("", None)
        if name != ID.name or event_id is None:
            return read_headers(headers)
        request, _, digits = event_id.rpartition(b"/")
        shared, known = headers[1:], self._known.get(request)
        if known is not None and known[0] == shared and digits in _INDEXES:
            return known[1], _INDEXES[digits]
        context, index = read_headers(headers)
        if all(name != ID.name for name, _ in shared):
            if len(self._known) >= REQUESTS_MAX:
                self._known.clear()
            self._known[request] = shared, context
        return context, index


def decode(record: Record) -> Event | Rejected:
    """Does both steps for a single record. Raises nothing: a bad record never stops a partition."""
    identified = identify(record, HeaderReader())
    return read_order(identified) if isinstance(identified, Unread) else identified


def identify(record: Record, headers: HeaderReader) -> Unread | Rejected:
    """Reads which order the event belongs to, or why the record is not an event. Raises nothing."""
    try:
        context, index = headers.read(record.headers)
        # Otherwise an event could claim a place after later events, and make all of those stale.
        if (place := place_of(record, context)) > record.offset:
            raise RecordError("the headers name an origin with a higher offset than this event has")
    except RecordError as error:
        return Rejected(record, None, 0, Stage.HEADER_CONVERTER, type(error).__name__, str(error))
    try:
        order_id, value = _key_and_value(record)
    except RecordError as error:
        return Rejected(record, context, index, Stage.VALUE_CONVERTER, type(error).__name__, str(error))
    return Unread(record, context, index, (context.partner_id, order_id), place, value, _hash(value))


def read_order(unread: Unread) -> Event | Rejected:
    """Reads the order of the event, or why the value is not an order. Raises nothing."""
    columns = canonical_columns(unread.value)
    if columns is not None and columns[ORDER_ID_FIELD] == unread.key[1]:
        return _event(unread, unread.value, unread.value_hash, columns)
    try:
        order = parse_order(unread.value)
        if order.order_id != unread.key[1]:
            raise RecordError(_WRONG_KEY)
    except (RecordError, Violation) as error:
        return unread.rejected(Stage.VALUE_CONVERTER, type(error).__name__, str(error))
    reason = invalid_reason(order)
    if reason is not None:
        return unread.rejected(Stage.TRANSFORMATION, "InvalidOrder", reason)
    canonical = order.canonical()
    return _event(unread, canonical, _hash(canonical), columns_of(order))


def _event(unread: Unread, canonical: bytes, hash_of_it: bytes, columns: Sequence[str]) -> Event:
    return Event(unread.record, unread.context, unread.index, unread.key, unread.place, canonical, hash_of_it, columns)


def content_hash(order: Order) -> bytes:
    """16 bytes over the canonical JSON: two orders with the same value have the same hash."""
    return _hash(order.canonical())


def _hash(canonical: bytes) -> bytes:
    return blake2b(canonical, digest_size=CONTENT_HASH_BYTES).digest()


def _key_and_value(record: Record) -> tuple[str, bytes]:
    if record.value is None:
        raise RecordError("the record has no value: an order cannot be deleted")
    if len(record.value) > limits.ORDER_BYTES_MAX:
        raise RecordError(f"the value has more than {limits.ORDER_BYTES_MAX} bytes")
    key = record.key or b""
    if b"\0" in key:  # a text in Postgres cannot contain it
        raise RecordError(_WRONG_KEY)
    try:
        return key.decode(), record.value
    except UnicodeDecodeError:
        raise RecordError(_WRONG_KEY) from None
