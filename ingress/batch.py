"""From the bytes of a body to its orders, one after the other. No order costs more than its bytes.

The short cut decodes the body at once. If there is something to say about it, the body is split where orders begin and
end, without reading them. Then the orders are read one after the other, and the event loop serves others in between.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import msgspec

from contracts import limits, violations
from contracts.order import Order, canonical_json, reason_of_values
from contracts.order_parser import read_values
from contracts.strict_json import Violation, first_nul, load, malformed, marked, outside_texts, path_of
from contracts.strict_order import StrictOrder
from ingress import bad_requests
from ingress.body import BODY_BYTES_MAX
from ingress.fast_path import ParsedOrder, decode_orders, parse_fast

VALUES_MAX = 4 * BODY_BYTES_MAX // limits.SMALLEST_PRODUCT_BYTES
"""The most opening brackets, braces and commas in a body. A body full of the smallest products has no more."""
PART_VALUES_MAX = 131_072
"""The same for one order, and for all fields beside `data`: what is read without a break. A good order has 25,000."""
TURN_S = 0.02
"""How long a body may be read before others get their turn."""

_BOM = b"\xef\xbb\xbf"


class _Body(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: list[msgspec.Raw]


class _Data(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class _Batch:
    """A body as JSON that nobody has read yet. `rest`: the body without its `data`, or None without other fields."""

    orders: list[msgspec.Raw]
    rest: bytes | None = None


_body, _data = msgspec.json.Decoder(_Body), msgspec.json.Decoder(_Data)
_items = msgspec.json.Decoder(list[msgspec.Raw])


async def parse_body(body: bytes, *, strict: bool, require_room: Callable[[int], None]) -> list[ParsedOrder]:
    """Every order. `require_room` is asked with their number before they are read, and may raise.

    Raises Violation with the first violation, and with VIOLATIONS_MAX of them if `strict`.
    """
    try:
        return await _parse(body[3:] if body[:3] == _BOM else body, require_room, strict=strict)
    except Violation as violation:
        if strict and not violation.others:  # nothing more can be told of a body that cannot be read
            raise Violation(violation.path, violation.error, [(violation.path, violation.error)]) from None
        raise


async def _parse(body: bytes, require_room: Callable[[int], None], *, strict: bool) -> list[ParsedOrder]:
    decoded = decode_orders(body)
    batch = _split(body) if decoded is None else None
    found = len(decoded or ()) if batch is None else len(batch.orders)
    size = found if found <= limits.ORDERS_PER_REQUEST_MAX else limits.ORDERS_PER_REQUEST_MAX
    require_room(size)
    told, after = ([], []) if batch is None else _wrong_beside(batch.rest, strict=strict)
    enough = limits.VIOLATIONS_MAX if strict else 1
    orders: list[ParsedOrder] = []
    clock_s = time.monotonic
    turn_ends_s = clock_s() + TURN_S
    for index in range(size):
        if told and len(told) >= enough:
            break
        order = None if decoded is None else parse_fast(decoded[index])
        if order is None:
            batch = batch or _split(body)
            try:
                order = _parse_order(bytes(batch.orders[index]), StrictOrder if strict else Order)
            except Violation as violation:
                told += _inside(f"data[{index}]", violation)
        if order is not None:
            orders.append(order)
        if clock_s() >= turn_ends_s:
            await asyncio.sleep(0)
            turn_ends_s = clock_s() + TURN_S
    if found > size:
        told.append(("data", violations.TOO_MANY_ITEMS.said(items_max=limits.ORDERS_PER_REQUEST_MAX)))
    told += after
    if told:
        raise Violation(*told[0], told[:enough] if strict else ())
    return orders


def _split(body: bytes) -> _Batch:
    """Raises Violation if the body is not JSON, has too many values, or has no list as its `data`."""
    if b"\0" in body[:4]:
        raise Violation("", bad_requests.UTF_16.said())
    if _has_more_values(body, VALUES_MAX):
        raise Violation("", bad_requests.TOO_MANY_VALUES.said(values_max=VALUES_MAX))
    try:
        return _split_readable(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        readable = marked(body)
        if readable is not None:
            with suppress(msgspec.MsgspecError, RecursionError):
                return _split_readable(readable)
        raise malformed(error, body) from None


def _split_readable(body: bytes) -> _Batch:
    try:
        return _Batch(_body.decode(body).data)
    except msgspec.ValidationError:  # it has other fields, or is not what it should be
        pass
    try:
        data = bytes(_data.decode(body).data)
    except msgspec.ValidationError:
        raise Violation("", violations.NOT_AN_OBJECT.said()) from None
    if not data.startswith(b"["):
        raise Violation("data", (violations.NOT_AN_ARRAY if data else violations.FIELD_REQUIRED).said())
    rest = body.replace(data, b"0", 1)
    if _has_more_values(rest, PART_VALUES_MAX):
        raise Violation("", bad_requests.TOO_MANY_VALUES_BESIDE.said(values_max=PART_VALUES_MAX))
    return _Batch(_items.decode(data), rest)


def _parse_order(document: bytes, model: type[Order]) -> ParsedOrder:
    """Raises Violation. The canonical JSON counts: white space and unknown fields make no order too large."""
    if _has_more_values(document, PART_VALUES_MAX):
        raise Violation("", bad_requests.TOO_MANY_VALUES_OF_AN_ORDER.said(values_max=PART_VALUES_MAX))
    order = read_values(document, model)
    value = canonical_json(order)
    if len(value) > limits.ORDER_BYTES_MAX:
        raise Violation("", violations.ORDER_TOO_LARGE.said())
    return ParsedOrder(order["order_id"], value, reason_of_values(order))


def _wrong_beside(rest: bytes | None, *, strict: bool) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(path, error) of what is wrong before `data`, and after it. Raises Violation if it cannot be read."""
    if rest is None:
        return [], []
    values, may_have_nul = load(rest)
    nul = first_nul(values) if may_have_nul else None
    wrong = [] if nul is None else [nul]
    if strict:
        wrong += [((name,), violations.UNKNOWN_FIELD.said()) for name in islice(values, limits.VIOLATIONS_MAX)]
    names = list(values)
    before = set(names[: names.index("data")])
    told = [(location[0], (path_of(location), error)) for location, error in wrong if location[0] != "data"]
    return [entry for name, entry in told if name in before], [entry for name, entry in told if name not in before]


def _inside(place: str, violation: Violation) -> list[tuple[str, str]]:
    told = violation.others or [(violation.path, violation.error)]
    return [(f"{place}.{path}" if path else place, error) for path, error in told]


def _has_more_values(document: bytes, most: int) -> bool:
    if len(document) <= most or _separators(document) <= most:
        return False
    return _separators(outside_texts(document)) > most


def _separators(document: bytes) -> int:
    return document.count(b"{") + document.count(b"[") + document.count(b",")
