"""Records to events. Shops may write to orders.upserts themselves, so every record is held to the whole contract.

In two steps, because the second is the dear one: `identify` reads the headers, `read_order` the value. The fold takes
the second for every event whose value is not the very one that stands in the table.
"""

from hashlib import blake2b

from pydantic import ValidationError

from order_upsert.consumer.headers import HeaderReader
from order_upsert.consumer.record import Event, Record, Rejected, Unread
from order_upsert.contracts import limits
from order_upsert.contracts.order import Order, invalid_reason
from order_upsert.contracts.record import RecordError
from order_upsert.contracts.strict_json import Violation, parse

CONTENT_HASH_BYTES = 16
_WRONG_KEY = "the key should be the order_id: it decides on the partition, and so on the order of events"


def decode(record: Record) -> Event | Rejected:
    """Both steps, for a record by itself. Raises nothing: a bad record never stops a partition."""
    identified = identify(record, HeaderReader())
    return read_order(identified) if isinstance(identified, Unread) else identified


def identify(record: Record, headers: HeaderReader) -> Unread | Rejected:
    """Whose event it is, or why it is none. Raises nothing."""
    try:
        context = headers.read(record.headers)
    except RecordError as error:
        return Rejected(record, None, "HEADER_CONVERTER", type(error).__name__, str(error))
    try:
        order_id, value = _key_and_value(record)
    except RecordError as error:
        return Rejected(record, context, "VALUE_CONVERTER", type(error).__name__, str(error))
    return Unread(record, context, (context.partner_id, order_id), value, _hash(value))


def read_order(unread: Unread) -> Event | Rejected:
    """The event with its order, or why it has none. Raises nothing."""
    record, context = unread.record, unread.context
    try:
        order = _canonical(unread.value)
        hash_of_value = unread.value_hash
        if order is None:
            order = parse(Order, unread.value)
            hash_of_value = content_hash(order)
        if order.order_id != unread.key[1]:
            raise RecordError(_WRONG_KEY)
    except (RecordError, Violation) as error:
        return Rejected(record, context, "VALUE_CONVERTER", type(error).__name__, str(error))
    reason = invalid_reason(order)
    if reason is not None:
        return Rejected(record, context, "TRANSFORMATION", "InvalidOrder", reason)
    return Event(record, context, order, hash_of_value)


def _canonical(value: bytes) -> Order | None:
    """The order whose canonical JSON this is, as our ingress writes it; None for any other text.

    What `parse` looks for besides the model cannot stand in canonical JSON, except a NUL.
    """
    try:
        order = Order.model_validate_json(value)
    except ValidationError:
        return None
    return order if order.canonical() == value and b"\\u0000" not in value else None


def content_hash(order: Order) -> bytes:
    """Two orders have the same hash when they are the same value: it is taken over the canonical JSON."""
    return _hash(order.canonical())


def _hash(canonical: bytes) -> bytes:
    return blake2b(canonical, digest_size=CONTENT_HASH_BYTES).digest()


def _key_and_value(record: Record) -> tuple[str, bytes]:
    if record.value is None:
        raise RecordError("the record has no value: an order cannot be deleted")
    if len(record.value) > limits.ORDER_BYTES_MAX:
        raise RecordError(f"the value has more than {limits.ORDER_BYTES_MAX} bytes")
    try:
        return (record.key or b"").decode(), record.value
    except UnicodeDecodeError:
        raise RecordError(_WRONG_KEY) from None
