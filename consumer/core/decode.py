"""Decodes records to events. Shops may write to orders.upserts themselves, so every record must fulfil the contract.

There are two steps, because the second is expensive: `identify` reads the headers, `read_order` reads the value. The
fold skips the second for an event whose value is the one that is already in the table.

These are the rules for one record. `decoder.py` does the same for many records at once.
"""

import re

from consumer.core.hashing import hash_of
from consumer.core.record import Event, Record, Rejected, Stage, Unread, place_of
from consumer.core.row_text import canonical_text, text_of
from contracts import limits
from contracts.event import EventContext, RecordError, read_headers
from contracts.order import Order, Product, invalid_reason
from contracts.order_parser import parse_order
from contracts.strict_json import Violation

_WRONG_KEY = "the key should be the order_id: it selects the partition, and so the order of events"

_OUR_PATH = re.compile(rf"(?:{'|'.join(Order.model_fields)})(?:\[\d+\](?:\.(?:{'|'.join(Product.model_fields)}))?)?")


def decode(record: Record) -> Event | Rejected:
    """Does both steps for a single record. Raises nothing: a bad record never stops a partition."""
    identified = identify(record)
    return read_order(identified) if isinstance(identified, Unread) else identified


def identify(record: Record) -> Unread | Rejected:
    """Reads which order the event belongs to, or why the record is not an event. Raises nothing."""
    try:
        context, index = read_headers(record.headers)
        # Otherwise an event could claim a place after later events, and make all of those stale.
        if (place := place_of(record, context)) > record.offset:
            raise RecordError("the headers name an origin with a higher offset than this event has")
    except RecordError as error:
        return Rejected(record, None, 0, Stage.HEADER_CONVERTER, type(error).__name__, str(error))
    return identify_in(record, context, index, place)


def identify_in(record: Record, context: EventContext, index: int, place: int) -> Unread | Rejected:
    """The same for a record whose headers are read."""
    try:
        value = require_value(record.value)
        order_id = order_id_of(record.key)
    except RecordError as error:
        return Rejected(record, context, index, Stage.VALUE_CONVERTER, type(error).__name__, str(error))
    return Unread(record, context, index, (context.partner_id, order_id), place, value, hash_of(value))


def read_order(unread: Unread) -> Event | Rejected:
    """Reads the order of the event, or why the value is not an order. Raises nothing."""
    text = canonical_text(unread.value, unread.key[1])
    if text is not None:
        return _event(unread, unread.value, unread.value_hash, text)
    try:
        order = parse_order(unread.value)
        if order.order_id != unread.key[1]:
            raise RecordError(_WRONG_KEY)
    except RecordError as error:
        return unread.rejected(Stage.VALUE_CONVERTER, type(error).__name__, str(error))
    except Violation as violation:
        return unread.rejected(Stage.VALUE_CONVERTER, type(violation).__name__, _told(violation))
    reason = invalid_reason(order)
    if reason is not None:
        return unread.rejected(Stage.TRANSFORMATION, "InvalidOrder", reason)
    canonical = order.canonical()
    return _event(unread, canonical, hash_of(canonical), text_of(order))


def _told(violation: Violation) -> str:
    """Its text. The name of a field that is not ours is part of the record, and stays out of logs and headers."""
    if not violation.path or _OUR_PATH.fullmatch(violation.path):
        return str(violation)
    return f"a field that the contract does not have: {violation.error}"


def _event(unread: Unread, canonical: bytes, hash_of_it: bytes, text: str) -> Event:
    return Event(unread.record, unread.context, unread.index, unread.key, unread.place, canonical, hash_of_it, text)


def content_hash(order: Order) -> bytes:
    """16 bytes over the canonical JSON: two orders with the same value have the same hash."""
    return hash_of(order.canonical())


def require_value(value: bytes | None) -> bytes:
    """Raises RecordError."""
    if value is None:
        raise RecordError("the record has no value: an order cannot be deleted")
    if len(value) > limits.ORDER_BYTES_MAX:
        raise RecordError(f"the value has more than {limits.ORDER_BYTES_MAX} bytes")
    return value


def order_id_of(key: bytes | None) -> str:
    """Raises RecordError."""
    key = key or b""
    if b"\0" in key:  # a text in Postgres cannot contain it
        raise RecordError(_WRONG_KEY)
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise RecordError(_WRONG_KEY) from None
