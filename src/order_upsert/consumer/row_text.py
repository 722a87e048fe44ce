"""Rows of `orders` as text: for COPY, one line each, columns apart by tabs; or as JSON, for a few.

psycopg can format rows too, value by value; that takes more than twice as long as putting the texts into one.
"""

import json
from datetime import UTC, datetime
from functools import lru_cache

from pydantic import TypeAdapter

from order_upsert.consumer.record import Event
from order_upsert.contracts.order import Product

COLUMNS = (
    "partner_id", "order_id", "name", "phone", "address", "email", "refferral_code", "user_id", "products",
    "total_amount", "discount", "total_qty", "content_hash", "event_partition", "event_offset", "event_time",
)  # fmt: skip

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
_PRODUCTS = TypeAdapter(list[Product])


def copy_line(event: Event) -> str:
    """The row of which this event is the newest, with the end of its line."""
    order, record = event.order, event.record
    texts = (
        order.order_id, order.name, order.phone, order.address, order.email, order.refferral_code, order.user_id,
        _PRODUCTS.dump_json(order.products).decode(),
    )  # fmt: skip
    if b"\\" in (record.value or b""):  # what COPY wants escaped, JSON wants escaped too; so most need no second look
        texts = tuple(None if text is None else text.translate(_ESCAPES) for text in texts)  # type: ignore[assignment]
    order_id, name, phone, address, email, refferral_code, user_id, products = texts
    return (
        f"{event.context.partner_id}\t{order_id}\t{name}\t{_NULL if phone is None else phone}\t"
        f"{_NULL if address is None else address}\t{email}\t{refferral_code}\t{user_id}\t{products}\t"
        f"{order.total_amount}\t{order.discount}\t{_NULL if order.total_qty is None else order.total_qty}\t"
        f"\\\\x{event.content_hash.hex()}\t{record.partition}\t{record.offset}\t{_timestamp(record.time_ms)}\n"
    )


def json_row(event: Event) -> str:
    """The same row as a JSON object, its columns as fields: the canonical order, and what the table has besides."""
    record = event.record
    others = {
        "partner_id": event.context.partner_id,
        "content_hash": f"\\x{event.content_hash.hex()}",
        "event_partition": record.partition,
        "event_offset": record.offset,
        "event_time": _timestamp(record.time_ms),
    }
    return event.order.canonical().decode()[:-1] + "," + json.dumps(others)[1:]


@lru_cache(maxsize=1024)
def _timestamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
