"""Headers of many events: what the events of one request share is read once."""

from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from order_upsert.contracts import limits
from order_upsert.contracts.record import EventContext, Headers, read_headers

REQUESTS_MAX = 1024
"""Requests that are remembered. When there are more all are forgotten: a request's events come close together."""

_INDEXES = {str(index).encode(): index for index in range(limits.ORDERS_PER_REQUEST_MAX)}


@dataclass(slots=True)
class _Known:
    shared: Headers
    request_id: UUID
    others: tuple[Any, ...]  # of an EventContext, behind request_id and index


class HeaderReader:
    """As `read_headers`, for events whose first header is ce_id and which otherwise repeat those of their request."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}

    def read(self, headers: Headers) -> EventContext:
        """Raises RecordError."""
        name, event_id = headers[0] if headers else ("", None)
        if name != "ce_id" or event_id is None:
            return read_headers(headers)
        request, _, digits = event_id.rpartition(b"/")
        shared, index = headers[1:], _INDEXES.get(digits)
        known = self._known.get(request)
        if known is not None and known.shared == shared and index is not None:
            return EventContext(known.request_id, index, *known.others)
        context = read_headers(headers)
        if all(name != "ce_id" for name, _ in shared):
            self._remember(request, shared, context)
        return context

    def _remember(self, request: bytes, shared: Headers, context: EventContext) -> None:
        if len(self._known) >= REQUESTS_MAX:
            self._known.clear()
        others = tuple(getattr(context, field.name) for field in fields(context)[2:])
        self._known[request] = _Known(shared, context.request_id, others)
