"""The body of a request: from its bytes to orders."""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, FailFast, Field, ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request

from order_upsert.contracts import limits
from order_upsert.contracts.order import Order
from order_upsert.contracts.strict_json import Violation, in_order, parse, path_of
from order_upsert.contracts.strict_order import StrictOrder
from order_upsert.ingress.admission import Held
from order_upsert.ingress.errors import BodyTimeoutError, BodyTooLargeError

BODY_BYTES_MAX = 4 * 1024 * 1024
VIOLATIONS_MAX = 1_000
"""Of one body, where all are asked for: it could hold a million."""


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


def parse_body(body: bytes, *, strict: bool) -> list[Order]:
    """The orders. Raises Violation: the first one, and where `strict` the others too."""
    if not strict:
        return parse(OrderBatch, body).data
    first: Violation | None = None
    orders: list[Order] = []
    try:
        orders = parse(OrderBatch, body).data
    except Violation as violation:
        first = violation
    found = _all_violations(body) if first is None or first.path.startswith("data[") else []
    if first is not None and (first.path, first.error) not in found:
        found.insert(0, (first.path, first.error))  # what only the bytes show, and what makes a body unreadable
    if found:
        raise Violation(*found[0], found[:VIOLATIONS_MAX])
    return orders


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
    try:
        StrictOrder.model_validate_json(to_json({**item, "products": []} if too_many else item))
        found = []
    except ValidationError as error:
        found = in_order(error, item)
    if too_many:
        found.append((("products",), f"List should have at most {limits.PRODUCTS_PER_ORDER_MAX} items"))
    return found
