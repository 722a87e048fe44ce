"""The fields of an order in the format of COPY."""

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import TypeAdapter, ValidationError

from contracts.canonical import CANONICAL, ORDER_ID_FIELD, match_canonical
from contracts.order import Order, Product, invalid_reason

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
_ORDER_ID_GROUP = ORDER_ID_FIELD + 1
_PRODUCTS = TypeAdapter(list[Product])


def canonical_text(value: bytes, order_id: str) -> str | None:
    """The same as `text_of` for the order whose canonical JSON is `value`.

    None if `value` does not match the regular expression for canonical orders, or is another order.

    JSON escapes every character that COPY escapes, so nothing is left to escape.
    """
    match = match_canonical(value)
    if match is None or match[_ORDER_ID_GROUP] != order_id:
        return None
    return "\t".join(match.groups(_NULL))


def canonical_texts(values: Sequence[bytes | None], order_ids: Sequence[str | None]) -> list[str | None]:
    """The same for many values. None for a value or an order_id that is None."""
    try:
        matches = list(map(CANONICAL.fullmatch, map(bytes.decode, cast(Sequence[bytes], values))))
    except (TypeError, UnicodeDecodeError):
        return [
            None if value is None or order_id is None else canonical_text(value, order_id)
            for value, order_id in zip(values, order_ids, strict=True)
        ]
    return [
        "\t".join(match.groups(_NULL)) if match is not None and match[_ORDER_ID_GROUP] == order_id else None
        for match, order_id in zip(matches, order_ids, strict=True)
    ]


def text_of(order: Order) -> str:
    """The fields of the order in the format of COPY, separated by tabs."""
    fields = {**dict(order), "products": _PRODUCTS.dump_json(order.products).decode()}
    return "\t".join(_NULL if value is None else str(value).translate(_ESCAPES) for value in fields.values())


def order_of_row(fields: Mapping[str, object]) -> Order | None:
    """The order of a row, given by column. None if the row is not a valid order: somebody changed it by hand."""
    try:
        order = Order.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError:
        return None
    return order if invalid_reason(order) is None else None
