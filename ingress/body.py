"""Reads and parses the body of a request: from bytes to orders."""

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
from ingress.connections import PROGRESS_BYTES, PROGRESS_S
from ingress.errors import BodyTimeoutError, BodyTooLargeError
from ingress.fast_path import ParsedOrder, parse_fast, parsed_order

BODY_BYTES_MAX = 4 * 1024 * 1024
VIOLATIONS_MAX = 1_000
"""The most violations in the answer to a strict request. A body can have a million."""
VALUES_MAX = 4 * BODY_BYTES_MAX // limits.SMALLEST_PRODUCT_BYTES
"""The most opening brackets, braces and commas in a body. A body full of the smallest products has no more."""
DENSE_VALUES = 50_000
"""A body with more values is made smaller before it is parsed (`_bounded`)."""

_SEPARATORS = b"{", b"[", b","
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ORDER_PATH = re.compile(r"data\[([0-9]+)\]")
_BODY_TOO_LARGE = f"The body should have at most {BODY_BYTES_MAX} bytes."
_TOO_LARGE = f"An order should have at most {limits.ORDER_BYTES_MAX} bytes"


class OrderBatch(BaseModel):
    """The body. FailFast: only the first violation is reported, so the error does not grow with the body."""

    data: Annotated[list[Order], FailFast(), Field(max_length=limits.ORDERS_PER_REQUEST_MAX)]


async def read_body(request: Request, held: Held, timeout_s: float) -> bytes:
    """The bytes, counted as they arrive, all of them within `timeout_s`, and PROGRESS_BYTES in each PROGRESS_S.

    Raises BodyTooLargeError, BodyTimeoutError, UnavailableError or PartnerShareError.
    """
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > BODY_BYTES_MAX:
        raise BodyTooLargeError(_BODY_TOO_LARGE)
    first_s = PROGRESS_S if timeout_s > PROGRESS_S else timeout_s
    chunks, size, awaited = [], 0, PROGRESS_BYTES
    try:
        async with asyncio.timeout(first_s) as limit:
            end_s = (limit.when() or 0.0) - first_s + timeout_s
            async for chunk in request.stream():
                size += len(chunk)
                if size >= awaited:
                    awaited = size + PROGRESS_BYTES
                    limit.reschedule(min(end_s, asyncio.get_running_loop().time() + PROGRESS_S))
                if size > BODY_BYTES_MAX:
                    raise BodyTooLargeError(_BODY_TOO_LARGE)
                held.add_bytes(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimeoutError(
            f"The body should arrive within {timeout_s:g} s, and at least {PROGRESS_BYTES} bytes of it in each "
            f"{PROGRESS_S:g} s."
        ) from None
    return b"".join(chunks)


def count_orders(body: bytes) -> int:
    """Estimates the number of orders, in a twentieth of the time that parsing takes."""
    return min(body.count(b'"order_id"'), limits.ORDERS_PER_REQUEST_MAX)


def parse_body(body: bytes, *, strict: bool) -> list[ParsedOrder]:
    """Every order. Raises Violation with the first violation, and with all of them if `strict`."""
    if not strict:
        parsed = parse_fast(body)
        return _parse(_bounded(body)) if parsed is None else parsed
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
        # `_all_violations` finds neither faults of the bytes nor unreadable JSON.
        found.insert(0, (first.path, first.error))
    if found:
        raise Violation(*found[0], found[:VIOLATIONS_MAX])
    return orders


def _parse(body: bytes) -> list[ParsedOrder]:
    """Every order, read by the models. Raises Violation, the first one in the order of the document."""
    try:
        return _canonical(parse(OrderBatch, body).data)
    except Violation as violation:
        index = _ORDER_PATH.match(violation.path)
        if index is None or len(body) <= limits.ORDER_BYTES_MAX:
            raise
        before = from_json(body)["data"][: int(index[1])]
        # If an order before the violation is too large, that is the first violation.
        _canonical([Order.model_validate_json(to_json(item)) for item in before])
        raise


def _canonical(orders: list[Order]) -> list[ParsedOrder]:
    """Raises Violation if an order is too large. White space and unknown fields do not count."""
    values = [order.canonical() for order in orders]
    for index, value in enumerate(values):
        if len(value) > limits.ORDER_BYTES_MAX:
            raise Violation(f"data[{index}]", _TOO_LARGE)
    return list(map(parsed_order, orders, values))


def _bounded(body: bytes) -> bytes:
    """The body, or a smaller one with the same meaning and the same violations.

    An error of pydantic holds a copy of the wrong value for each field. Raises Violation for more than VALUES_MAX
    values.
    """
    values = sum(map(body.count, _SEPARATORS))
    if values <= DENSE_VALUES:
        return body
    if values > VALUES_MAX:  # separators inside texts do not count
        values -= sum(sum(map(text[0].count, _SEPARATORS)) for text in _TEXTS.finditer(body))
    if values > VALUES_MAX:
        raise Violation("", f"A body should have at most {VALUES_MAX} values")
    refuse_unstorable(body)
    try:
        loaded = from_json(body)
    except ValueError:
        return body  # `parse` raises, and says why
    if not isinstance(loaded, dict) or not isinstance(loaded.get("data"), list):
        return body
    orders = [_known(item, Order) for item in loaded["data"]]
    return to_json({**dict.fromkeys(loaded), "data": orders})


def _known(item: Any, model: type[BaseModel]) -> Any:
    """`item` without unknown fields. A value of a wrong type keeps only that type."""
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
    """(path, error) of each violation. `body` is a JSON object with a list as its `data`.

    Checks order by order, and ends at VIOLATIONS_MAX, so that memory stays bounded.
    """
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
