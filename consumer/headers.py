"""Headers of many events: what the events of one request share is read once."""

from contracts import limits
from contracts.headers import ID
from contracts.record import EventContext, Headers, read_headers

REQUESTS_MAX = 1024
"""Requests that are remembered. When there are more all are forgotten: a request's events come close together."""

_INDEXES = {str(index).encode(): index for index in range(limits.ORDERS_PER_REQUEST_MAX)}


class HeaderReader:
    """As `read_headers`, for events whose first header is ce_id and which otherwise repeat those of their request."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Headers, EventContext]] = {}

    def read(self, headers: Headers) -> tuple[EventContext, int]:
        """Raises RecordError."""
        name, event_id = headers[0] if headers else ("", None)
        if name != ID.name or event_id is None:
            return read_headers(headers)
        request, _, digits = event_id.rpartition(b"/")
        shared, known = headers[1:], self._known.get(request)
        if known is not None and known[0] == shared and digits in _INDEXES:
            return known[1], _INDEXES[digits]
        context, index = read_headers(headers)
        if all(name != ID.name for name, _ in shared):
            if len(self._known) >= REQUESTS_MAX:
                self._known.clear()
            self._known[request] = shared, context
        return context, index
