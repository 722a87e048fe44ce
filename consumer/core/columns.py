"""The fields of an order as texts in the format of COPY."""

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from contracts.canonical import match_canonical
from contracts.order import Order, Product, invalid_reason

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


_NULL = "\\N"
_PRODUCTS = TypeAdapter(list[Product])


def canonical_columns(value: bytes) -> Sequence[str] | None:
    """The same as `columns_of` for the order whose canonical JSON is `value`. None if `value` does not match the
    regular expression for canonical orders.

    JSON escapes every character that COPY escapes, so nothing is left to escape.
    """
    match = match_canonical(value)
    return None if match is None else match.groups(_NULL)


def columns_of(order: Order) -> Sequence[str]:
    """The fields of the order as texts in the format of COPY."""
    fields = {**dict(order), "products": _PRODUCTS.dump_json(order.products).decode()}
    return [_NULL if value is None else str(value).translate(_ESCAPES) for value in fields.values()]


def order_of_row(fields: Mapping[str, object]) -> Order | None:
    """The order of a row, given by column. None if the row is not a valid order: somebody changed it by hand."""
    try:
        order = Order.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError:
        return None
    return order if invalid_reason(order) is None else None
