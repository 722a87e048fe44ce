"""The order: its model, its canonical JSON, and what makes well-formed data invalid."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, GetCoreSchemaHandler, PlainValidator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from contracts import json_schema, limits

ABOVE_ZERO = r"(?:[1-9][0-9]{0,14}|(?:0|[1-9][0-9]{0,9})\.[0-9]{0,4}[1-9])"
"""Matches most positive amounts in their canonical spelling; the slower code below also reads longer ones."""
_CANONICAL_AMOUNT = re.compile(f"0|-?{ABOVE_ZERO}")
_AMOUNT = re.compile(r"(-?)0*([0-9]*)(?:\.([0-9]*?)0*)?(?:[eE]([+-]?[0-9]{1,3}))?", re.ASCII)
_PLAIN_AMOUNT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)


def canonical_amount(value: object) -> str:
    """The one spelling of a decimal: no exponent, no leading or trailing zeros, no minus before zero.

    `value` comes from a JSON parser: str, int or float. A canonical amount stays as it is.
    Raises PydanticCustomError if `value` is not a number, or has more than AMOUNT_DIGITS_MAX digits.
    """
    if type(value) is str:
        if _CANONICAL_AMOUNT.fullmatch(value):  # canonical records and most partners have this spelling
            return value
        if len(value) <= 2 * limits.AMOUNT_DIGITS_MAX and _PLAIN_AMOUNT.fullmatch(value):
            return _respell(value)
    elif type(value) is int and abs(value) < 10**limits.AMOUNT_DIGITS_MAX:
        return str(value)
    elif type(value) is float:
        return _respell(repr(value))  # the shortest text that parses to this float
    raise PydanticCustomError("amount", "Input should be a decimal, as a number or as a string of digits")


def _respell(text: str) -> str:
    match = _AMOUNT.fullmatch(text)
    if match is None:  # it is inf or nan
        raise PydanticCustomError("amount", "Input should be a finite decimal")
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits, point = whole + fraction, len(whole) + exponent
    if len(digits.strip("0")) > limits.AMOUNT_DIGITS_MAX or abs(point) > limits.AMOUNT_DIGITS_MAX:
        raise PydanticCustomError(
            "amount_digits", "Input should have at most {digits} digits", {"digits": limits.AMOUNT_DIGITS_MAX}
        )
    whole = digits[: max(point, 0)].ljust(point, "0").lstrip("0") or "0"
    fraction = ("0" * -point + digits[max(point, 0) :]).rstrip("0")
    if whole == "0" and not fraction:
        return "0"
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


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
            custom_error_message="Input should be a 64-bit integer, as a number or as a string of digits",
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


def invalid_reason(order: Order) -> str | None:
    """Why a well-formed order has invalid data, or None. Such an order is skipped and counted, never refused.

    Rules (design 3): a required string that is blank, a negative amount, discount, quantity or total, a product
    with a qty below 1.
    """
    for field in ("name", "email", "order_id", "refferral_code", "user_id"):
        text: str = getattr(order, field)
        if not text or text.isspace():
            return f"{field} is blank"
    if order.total_amount < 0:
        return "total_amount is negative"
    if order.discount < 0:
        return "discount is negative"
    if order.total_qty is not None and order.total_qty < 0:
        return "total_qty is negative"
    for position, product in enumerate(order.products):
        if not product.product_sku_id or product.product_sku_id.isspace():
            return f"products[{position}].product_sku_id is blank"
        if product.amount.startswith("-"):
            return f"products[{position}].amount is negative"
        if product.qty < 1:
            return f"products[{position}].qty is below 1"
    return None
