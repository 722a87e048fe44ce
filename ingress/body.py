"""The body of a request: from its bytes to orders."""

import asyncio
import re
from typing import Annotated, Any

from pydantic import BaseModel, FailFast, Field, ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request

from contracts import limits
from contracts.order import Order, Product
from contracts.strict_json import Violation, in_order, parse, path_of, refuse_unstorable
from contracts.strict_order import StrictOrder
from ingress.admission import Held
from ingress.errors import BodyTimeoutError, BodyTooLargeError
from ingress.fast_path import ParsedOrder, parse_fast, parsed_order

BODY_BYTES_MAX = 4 * 1024 * 1024
VIOLATIONS_MAX = 1_000
"""Of one body, where all are asked for: it could hold a million."""
VALUES_MAX = 4 * BODY_BYTES_MAX // limits.SMALLEST_PRODUCT_BYTES
"""Brackets and commas: a body full of the smallest products has no more."""
DENSE_VALUES = 50_000

_SEPARATORS = b"{", b"[", b","
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ORDER_PATH = re.compile(r"data\[([0-9]+)\]")
_TOO_LARGE = f"An order should have at most {limits.ORDER_BYTES_MAX} bytes"


class OrderBatch(BaseModel):
    """The body. FailFast: the first violation is all that is told, and a large body gives no larger error."""

    data: Annotated[list[Order], FailFast(), Field(max_length=limits.ORDERS_PER_REQUEST_MAX)]


async def read_body(request: Request, held: Held, timeout_s: float) -> bytes:
    """The bytes, counted while they stream in. Raises BodyTooLargeError, BodyTimeoutError or UnavailableError."""
    too_large = BodyTooLargeError(f"The body should have at most {BODY_BYTES_MAX} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > BODY_BYTES_MAX:
        raise too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise too_large
                held.add_bytes(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimeoutError(f"The body did not arrive within {timeout_s:g} s.") from None
    return b"".join(chunks)


def count_orders(body: bytes) -> int:
    """How many orders it seems to have, in a twentieth of the time that reading it takes."""
    return min(body.count(b'"order_id"'), limits.ORDERS_PER_REQUEST_MAX)


def parse_body(body: bytes, *, strict: bool) -> list[ParsedOrder]:
    """Every order. Raises Violation: the first one, and where `strict` the others too."""
    if not strict:
        seen = parse_fast(body)
        return _parse(_bounded(body)) if seen is None else seen
    first: Violation | None = None
    orders: list[ParsedOrder] = []
    bounded: bytes | None = None
    try:
        bounded = _bounded(body)
        orders = _parse(bounded)
    except Violation as violation:
        first = violation
    readable = first is None or first.path.startswith("data[")
    found = _all_violations(bounded) if readable and bounded is not None else []
    if first is not None and (first.path, first.error) not in found:
        found.insert(0, (first.path, first.error))  # what only the bytes show, and what makes a body unreadable
    if found:
        raise Violation(*found[0], found[:VIOLATIONS_MAX])
    return orders


def _parse(body: bytes) -> list[ParsedOrder]:
    try:
        return _canonical(parse(OrderBatch, body).data)
    except Violation as violation:
        index = _ORDER_PATH.match(violation.path)
        if index is None or len(body) <= limits.ORDER_BYTES_MAX:
            raise
        before = from_json(body)["data"][: int(index[1])]
        _canonical([Order.model_validate_json(to_json(item)) for item in before])
        raise


def _canonical(orders: list[Order]) -> list[ParsedOrder]:
    """Raises Violation for an order that is too large; white space and unknown fields do not count."""
    values = [order.canonical() for order in orders]
    for index, value in enumerate(values):
        if len(value) > limits.ORDER_BYTES_MAX:
            raise Violation(f"data[{index}]", _TOO_LARGE)
    return list(map(parsed_order, orders, values))


def _bounded(body: bytes) -> bytes:
    """The body, or a shorter one that says the same: an error of pydantic holds a copy of what is wrong for each field.

    Raises Violation for more values than any batch of orders of this size can have.
    """
    values = sum(map(body.count, _SEPARATORS))
    if values <= DENSE_VALUES:
        return body
    if values > VALUES_MAX:  # but those in a text do not count
        values -= sum(sum(map(text[0].count, _SEPARATORS)) for text in _TEXTS.finditer(body))
    if values > VALUES_MAX:
        raise Violation("", f"A body should have at most {VALUES_MAX} values")
    refuse_unstorable(body)
    try:
        loaded = from_json(body)
    except ValueError:
        return body  # and `parse` says why
    if not isinstance(loaded, dict) or not isinstance(loaded.get("data"), list):
        return body
    orders = [_known(item, Order) for item in loaded["data"]]
    return to_json({**dict.fromkeys(loaded), "data": orders})


def _known(item: Any, model: type[BaseModel]) -> Any:
    """`item` without what is ignored; of what is wrong, only its type."""
    if not isinstance(item, dict):
        return [] if isinstance(item, list) else item
    known = {name: value for name, value in item.items() if name in model.model_fields}
    for name, value in known.items():
        if isinstance(value, dict):
            known[name] = {}
        elif isinstance(value, list):
            known[name] = [_known(part, Product) for part in value] if name == "products" else []
    return known


def _all_violations(body: bytes) -> list[tuple[str, str]]:
    """Order by order, so that what is collected stays bounded. `body` is a JSON object with a list as its data."""
    loaded: dict[str, Any] = from_json(body)
    found: list[tuple[str, str]] = []
    for index, item in enumerate(loaded["data"]):
        found += [(path_of(("data", index, *location)), text) for location, text in _violations_of(item)]
        if len(found) >= VIOLATIONS_MAX:
            return found
    return found + [(name, "Extra inputs are not permitted") for name in loaded if name != "data"]


def _violations_of(item: Any) -> list[tuple[tuple[int | str, ...], str]]:
    products = item.get("products") if isinstance(item, dict) else None
    too_many = isinstance(products, list) and len(products) > limits.PRODUCTS_PER_ORDER_MAX
    found: list[tuple[tuple[int | str, ...], str]] = []
    try:
        order = StrictOrder.model_validate_json(to_json({**item, "products": []} if too_many else item))
        if len(order.canonical()) > limits.ORDER_BYTES_MAX:
            found.append(((), _TOO_LARGE))
    except ValidationError as error:
        found += in_order(error, item)
    if too_many:
        found.append((("products",), f"List should have at most {limits.PRODUCTS_PER_ORDER_MAX} items"))
    return found
