"""The fields of an order as texts, as COPY wants them."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from contracts.canonical import match_canonical
from contracts.order import Order, Product

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
