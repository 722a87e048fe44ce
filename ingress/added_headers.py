"""Headers of an answer that are not known before it is made, and that errors have too.

They wait in the scope of the request, so that an answer without them costs one look into a dict.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.responses import Response

ADDED = "orders.added_headers"
Header = tuple[bytes, bytes]


def add_later(scope: MutableMapping[str, Any], headers: Callable[[], list[Header]]) -> None:
    """`headers` is called when the answer is made."""
    scope.setdefault(ADDED, []).append(headers)


def with_added(response: Response, scope: MutableMapping[str, Any]) -> Response:
    """The answer, with what was added."""
    for headers in scope.get(ADDED, ()):
        response.raw_headers += headers()
    return response
