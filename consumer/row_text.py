"""Rows of `orders` as text: for COPY, one line each, columns apart by tabs; or as JSON, for a few.

psycopg can format rows too, value by value; that takes more than twice as long as putting the texts into one.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from pydantic import TypeAdapter

from consumer.record import Event
from contracts.canonical import FIELDS, match_canonical
from contracts.order import Order, Product

KEY_COLUMNS = ("partner_id", "order_id")
COLUMNS = (*FIELDS, "partner_id", "content_hash", "event_partition", "event_offset", "event_time")
"""In the order of `copy_line`."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
_PRODUCTS = TypeAdapter(list[Product])


def canonical_columns(value: bytes) -> Sequence[str] | None:
    """What `columns_of` gives for the order whose canonical JSON `value` is; None where that is not seen at a glance.

    What COPY wants escaped, JSON wants escaped too: so there is nothing to escape in it.
    """
    match = match_canonical(value)
    return None if match is None else match.groups(_NULL)


def columns_of(order: Order) -> Sequence[str]:
    """The order's fields, as COPY wants them."""
    fields = {**dict(order), "products": _PRODUCTS.dump_json(order.products).decode()}
    return [_NULL if value is None else str(value).translate(_ESCAPES) for value in fields.values()]


def copy_line(event: Event) -> str:
    """The row of which this event is the newest, with the end of its line."""
    return "\t".join(event.columns) + (
        f"\t{event.context.partner_id}\t\\\\x{event.content_hash.hex()}\t{event.record.partition}\t{event.offset}\t"
        f"{_time(event)}\n"
    )


def json_row(event: Event) -> str:
    """The same row as a JSON object, its columns as fields: the canonical order, and what the table has besides."""
    record = event.record
    others = {
        "partner_id": event.context.partner_id,
        "content_hash": f"\\x{event.content_hash.hex()}",
        "event_partition": record.partition,
        "event_offset": event.offset,
        "event_time": _time(event),
    }
    return event.canonical.decode()[:-1] + "," + json.dumps(others)[1:]


def _time(event: Event) -> str:
    """Of most events that of their record, and many records have the same."""
    return _timestamp(event.record.time_ms) if event.context.origin is None else event.time.isoformat()


@lru_cache(maxsize=1024)
def _timestamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
