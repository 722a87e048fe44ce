"""Bodies of requests, read without a server."""

from collections.abc import Callable

from contracts.strict_json import Violation
from ingress.batch import parse_body
from ingress.fast_path import ParsedOrder


def parsed(
    body: bytes, *, strict: bool = False, require_room: Callable[[int], None] = lambda _: None
) -> list[ParsedOrder]:
    """Every order of the body. Raises Violation. Nothing else runs when it gives way."""
    reading = parse_body(body, strict=strict, require_room=require_room)
    try:
        while True:
            reading.send(None)
    except StopIteration as end:
        orders: list[ParsedOrder] = end.value
        return orders


def outcome(body: bytes, *, strict: bool = False) -> object:
    """What a partner can tell: the orders, or (path, error) of every violation that is told."""
    try:
        return parsed(body, strict=strict)
    except Violation as violation:
        return violation.path, violation.error, list(violation.others)
