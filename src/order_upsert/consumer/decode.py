"""Records to events. Shops may write to orders.upserts themselves, so every record is held to the whole contract."""

from hashlib import blake2b

from order_upsert.consumer.record import Decoded, Event, Record, Rejected, place_of
from order_upsert.contracts import limits
from order_upsert.contracts.order import Order, invalid_reason
from order_upsert.contracts.record import EventContext, RecordError, read_headers
from order_upsert.contracts.strict_json import Violation, parse

CONTENT_HASH_BYTES = 16


def decode(record: Record) -> Decoded:
    """An event, or why it is none. Raises nothing: a bad record never stops a partition."""
    try:
        context = read_headers(record.headers)
        _require_older_origin(record, context)
    except RecordError as error:
        return Rejected(record, None, "HEADER_CONVERTER", type(error).__name__, str(error))
    try:
        order = _order(record)
    except (RecordError, Violation) as error:
        return Rejected(record, context, "VALUE_CONVERTER", type(error).__name__, str(error))
    reason = invalid_reason(order)
    if reason is not None:
        return Rejected(record, context, "TRANSFORMATION", "InvalidOrder", reason)
    return Event(record, context, order, content_hash(order))


def content_hash(order: Order) -> bytes:
    """Two orders have the same hash when they are the same value: it is taken over the canonical JSON."""
    return blake2b(order.canonical(), digest_size=CONTENT_HASH_BYTES).digest()


def _require_older_origin(record: Record, context: EventContext) -> None:
    """Else an event could claim a place after events that are still to come, and make all of them stale."""
    if place_of(record, context) > record.offset:
        raise RecordError("the headers say that this event was redriven from a place behind its own")


def _order(record: Record) -> Order:
    if record.value is None:
        raise RecordError("the record has no value: an order cannot be deleted")
    if len(record.value) > limits.ORDER_BYTES_MAX:
        raise RecordError(f"the value has more than {limits.ORDER_BYTES_MAX} bytes")
    order = parse(Order, record.value)
    if record.key != order.order_id.encode():
        raise RecordError("the key should be the order_id: it decides on the partition, and so on the order of events")
    return order
