"""The order: its model, its canonical JSON, and what makes well-formed data invalid."""

import re
from collections.abc import Mapping
from decimal import Context, Inexact, InvalidOperation
from math import isfinite
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, GetCoreSchemaHandler, PlainValidator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, to_json

from contracts import json_schema, limits, violations
from contracts.strict_json import Number

ABOVE_ZERO = r"(?:[1-9][0-9]{0,14}|(?:0|[1-9][0-9]{0,9})\.[0-9]{0,4}[1-9])"
"""Matches most positive amounts in their canonical spelling; the slower code below also reads longer ones."""
_CANONICAL_AMOUNT = re.compile(f"0|-?{ABOVE_ZERO}")
_PLAIN_AMOUNT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_SMALLEST_EXPONENT = -limits.AMOUNT_DIGITS_MAX - 1
"""Of a JSON number. 1e-31 is the smallest that this contract ever took."""
_EXACT = Context(prec=limits.AMOUNT_DIGITS_MAX, traps=[Inexact, InvalidOperation])


def canonical_amount(value: object) -> str:
    """The one spelling of a decimal: no exponent, no leading or trailing zeros, no minus before zero.

    `value` comes from a JSON parser: str, int, Number, or the float of another parser. A canonical amount stays as it
    is.
    Raises PydanticCustomError if `value` is not a number, or has more than AMOUNT_DIGITS_MAX digits.
    """
    if type(value) is str:
        if _CANONICAL_AMOUNT.fullmatch(value):  # canonical records and most partners have this spelling
            return value
        if len(value) <= 2 * limits.AMOUNT_DIGITS_MAX and _PLAIN_AMOUNT.fullmatch(value):
            return _exact(value)
    elif type(value) is int and abs(value) < 10**limits.AMOUNT_DIGITS_MAX:
        return str(value)
    elif type(value) is Number:
        return _exact(value.text, _SMALLEST_EXPONENT)
    elif type(value) is float and isfinite(value):
        return _exact(repr(value), _SMALLEST_EXPONENT)
    raise PydanticCustomError("amount", violations.NOT_A_DECIMAL.text)


def _exact(text: str, smallest_exponent: int = -2 * limits.AMOUNT_DIGITS_MAX) -> str:
    """The canonical spelling of a JSON number or a plain decimal. Raises PydanticCustomError if it cannot be exact."""
    try:
        number = _EXACT.create_decimal(text)
    except ArithmeticError:
        number = None
    if number is None or (number and not smallest_exponent <= number.adjusted() < limits.AMOUNT_DIGITS_MAX):
        raise PydanticCustomError(
            "amount_digits", violations.TOO_MANY_DIGITS.text, {"digits": limits.AMOUNT_DIGITS_MAX}
        )
    return f"{number.normalize(_EXACT):f}" if number else "0"


class _Integer:
    """A 64-bit integer, as a JSON integer or a string of digits. Validated inside pydantic-core, not in Python."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.int_schema(strict=True, ge=limits.INT64_MIN, le=limits.INT64_MAX)
        digits = core_schema.str_schema(strict=True, pattern=r"^-?[0-9]{1,40}$")
        text = core_schema.chain_schema([digits, core_schema.int_schema(ge=limits.INT64_MIN, le=limits.INT64_MAX)])
        return core_schema.custom_error_schema(
            core_schema.union_schema([number, text], mode="left_to_right"),
            custom_error_type="integer",
            custom_error_message=violations.NOT_AN_INTEGER.text,
        )


Integer = Annotated[int, _Integer]
Text = Annotated[str, Field(strict=True), json_schema.text()]
Amount = Annotated[str, PlainValidator(canonical_amount)]


class Product(BaseModel):
    """One line of an order. `amount` is a decimal in its canonical spelling."""

    model_config = ConfigDict(frozen=True)

    product_sku_id: Text
    amount: Amount
    qty: Integer


class Order(BaseModel):
    """An order as it goes through the whole system. The order of the fields is that of the canonical JSON."""

    model_config = ConfigDict(frozen=True)

    name: Text
    phone: Text | None = None
    address: Text | None = None
    email: Text
    order_id: Annotated[Text, Field(max_length=limits.ORDER_ID_CHARS_MAX)]
    refferral_code: Text  # spelled so in the published contract
    user_id: Text
    products: Annotated[list[Product], FailFast(), Field(max_length=limits.PRODUCTS_PER_ORDER_MAX)]
    total_amount: Integer
    discount: Integer
    total_qty: Integer | None = None

    def canonical(self) -> bytes:
        """UTF-8 JSON: fields in model order, no white space, absent optionals left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


def canonical_json(values: Mapping[str, Any]) -> bytes:
    """The same as `Order.canonical`, for the fields of a right order, in the order of the model."""
    return to_json({name: value for name, value in values.items() if value is not None})


def invalid_reason(order: Order) -> str | None:
    """Why a well-formed order has invalid data, or None. Such an order is skipped and counted, never refused."""
    return reason_of_values({**dict(order), "products": [dict(product) for product in order.products]})


def reason_of_values(order: Mapping[str, Any]) -> str | None:
    """The same for the fields of an order, with products as dicts.

    Rules (design 3): a required string that is blank, a negative amount, discount, quantity or total, a product
    with a qty below 1.
    """
    for field in ("name", "email", "order_id", "refferral_code", "user_id"):
        if not order[field] or order[field].isspace():
            return f"{field} {violations.BLANK}"
    for field in ("total_amount", "discount", "total_qty"):
        if (order.get(field) or 0) < 0:
            return f"{field} {violations.NEGATIVE}"
    for position, product in enumerate(order["products"]):
        if not product["product_sku_id"] or product["product_sku_id"].isspace():
            return f"products[{position}].product_sku_id {violations.BLANK}"
        if product["amount"].startswith("-"):
            return f"products[{position}].amount {violations.NEGATIVE}"
        if product["qty"] < 1:
            return f"products[{position}].qty {violations.BELOW_1}"
    return None
