"""The request headers that this endpoint knows, found in one pass. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class RequestHeaders(NamedTuple):
    """The values of all headers of each name, in their order; of `traceparent`, the first."""

    token: list[str]
    idempotency_key: list[str]
    prefer: list[str]
    traceparent: str


_KNOWN = {b"token": 0, b"idempotency-key": 1, b"prefer": 2, b"traceparent": 3}


def read_request_headers(raw: Iterable[tuple[bytes, bytes]]) -> RequestHeaders:
    """`raw`: lower-case names and values, as ASGI has them."""
    found: tuple[list[str], ...] = [], [], [], []
    for name, value in raw:
        place = _KNOWN.get(name)
        if place is not None:
            found[place].append(value.decode("latin-1"))
    token, key, prefer, traceparent = found
    return RequestHeaders(token, key, prefer, traceparent[0] if traceparent else "")
