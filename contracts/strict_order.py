"""The order as `Prefer: handling=strict` wants it: no unknown fields, and nothing that would be skipped as invalid.

`contracts.order` defines an order; this file has only the differences. A property test holds that both agree: the
strict model accepts exactly the orders that are not invalid and have no unknown field.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from contracts import json_schema, limits, violations
from contracts.order import Amount, Integer, Order, Product, Text


def _not(wrong: Callable[[object], bool], what: str) -> AfterValidator:
    def check(value: object) -> object:
        if value is not None and wrong(value):
            raise PydanticCustomError("invalid_data", violations.INVALID_DATA.text, {"what": what})
        return value

    return AfterValidator(check)


_NOT_BLANK = _not(lambda value: isinstance(value, str) and (not value or value.isspace()), violations.BLANK)
_NOT_NEGATIVE = _not(lambda value: isinstance(value, int) and value < 0, violations.NEGATIVE)

Filled = Annotated[Text, _NOT_BLANK, json_schema.filled_text()]
NotNegative = Annotated[Integer, _NOT_NEGATIVE, json_schema.integer_from(0)]


class StrictProduct(Product):
    """One line of an order."""

    model_config = ConfigDict(extra="forbid")

    product_sku_id: Filled
    amount: Annotated[
        Amount,
        _not(lambda value: isinstance(value, str) and value.startswith("-"), violations.NEGATIVE),
        json_schema.amount(),
    ]
    qty: Annotated[
        Integer,
        _not(lambda value: isinstance(value, int) and value < 1, violations.BELOW_1),
        json_schema.integer_from(1),
    ]


class StrictOrder(Order):
    """An order, with every violation told."""

    model_config = ConfigDict(extra="forbid")

    name: Filled
    email: Filled
    order_id: Annotated[Text, Field(max_length=limits.ORDER_ID_CHARS_MAX), _NOT_BLANK, json_schema.filled_text()]
    refferral_code: Filled
    user_id: Filled
    products: Annotated[list[StrictProduct], FailFast(), Field(max_length=limits.PRODUCTS_PER_ORDER_MAX)]  # type: ignore[assignment]
    total_amount: NotNegative
    discount: NotNegative
    total_qty: NotNegative | None = None
