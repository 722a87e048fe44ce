"""What a partner is told instead of counts: one class for each line of the status table (design 3).

400 is contracts' `Violation`; 404 and 405 are the router's.
"""

import math
from uuid import UUID

from contracts.errors import OrdersError

STATUS_PATH = "/api/integration/orders/requests/{request_id}"
RETRY_AFTER_S = 1


def location(request_id: UUID) -> dict[str, str]:
    """Where the status of a request is."""
    return {"Location": STATUS_PATH.format(request_id=request_id)}


class IngressError(OrdersError):
    """Root of this branch: an answer with `status`, `headers`, and the text as `error`."""

    status = 500

    @property
    def headers(self) -> dict[str, str]:
        return {}


class UnauthorizedError(IngressError):
    """The token is missing, unknown, revoked or there twice: one answer for all, so that nobody can probe."""

    status = 401

    def __init__(self) -> None:
        super().__init__("The header `token` should be the token of a partner, once.")


class BodyTimeoutError(IngressError):
    """The body did not arrive in time. Nothing was published."""

    status = 408

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class BodyTooLargeError(IngressError):
    """Noticed while the body streams in; the rest of it is thrown away."""

    status = 413


class UnknownRequestError(IngressError):
    """An id that was not given to this partner, or is forgotten: nobody can tell which."""

    status = 404

    def __init__(self) -> None:
        super().__init__("There is no such request of this partner, or it is no longer kept.")


class KeyConflictError(IngressError):
    """The Idempotency-Key belongs to a request with another body. Nothing of this one is or will be applied."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body. Nothing was applied. Send this body with another key."
        )


class RateLimitedError(IngressError):
    """The partner has sent more orders than its rate allows. Nothing was published."""

    status = 429

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many orders in a short time. Send the request again after the time in Retry-After.")
        self._retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, math.ceil(self._retry_after_s)))}


class UnavailableError(IngressError):
    """Kafka is not reachable, too much is in flight, or this process is leaving. Nothing was published."""

    status = 503

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(RETRY_AFTER_S)}


class NotConfirmedError(IngressError):
    """Published, or perhaps published, and no outcome yet. The request must not be called failed."""

    status = 504

    def __init__(self, request_id: UUID) -> None:
        super().__init__(
            "The orders were published, but their outcome is not known yet. They may still be applied: see Location. "
            "Sending them again is safe: what was applied is then skipped as the same value, or, with an "
            "Idempotency-Key, answered as the first time."
        )
        self._location = location(request_id)

    @property
    def headers(self) -> dict[str, str]:
        return self._location
