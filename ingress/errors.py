"""Errors that a partner gets instead of counts: one class for each line of the status table (design 3).

400 is `contracts.strict_json.Violation`. The router answers 404 and 405 for other paths and methods.
"""

import math
from enum import StrEnum
from uuid import UUID

from contracts.errors import OrdersError

STATUS_PATH = "/api/integration/orders/requests/{request_id}"
RETRY_AFTER_S = 1


def location(request_id: UUID) -> dict[str, str]:
    """The Location header with the status resource of a request."""
    return {"Location": STATUS_PATH.format(request_id=request_id)}


class IngressError(OrdersError):
    """Root of the ingress's errors. The answer has `status` and `headers`, and the text as its `error`."""

    status = 500

    @property
    def headers(self) -> dict[str, str]:
        return {}


class UnauthorizedError(IngressError):
    """The token is missing, unknown, revoked or sent twice. The answer does not say which, so nobody can probe.

    `wait_s`: how long the answer waits, because too many tokens were wrong. `Token` is our own name for the scheme of a
    bare token in a header of its own: an answer must name one (RFC 9110, 11.6.1), and none that is registered is right.
    """

    status = 401

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__("The header `token` should be the token of a partner, once.")
        self.wait_s = wait_s

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Token realm="orders"'}


class BodyTimeoutError(IngressError):
    """The body did not arrive within `timeout_s`, or too slowly. Nothing was published."""

    status = 408

    def __init__(self, timeout_s: float, progress_bytes: int, progress_s: float) -> None:
        super().__init__(
            f"The body should arrive within {timeout_s:g} s, and at least {progress_bytes} bytes of it in each "
            f"{progress_s:g} s."
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class BodyTooLargeError(IngressError):
    """The body is larger than it may be, as it arrives or unpacked. The rest is discarded."""

    status = 413

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"The body should have at most {bytes_max} bytes, also when it is unpacked.")


class UnsupportedEncodingError(IngressError):
    """The body has a Content-Encoding that is not read here. The answer names the one that is (RFC 9110, 15.5.16)."""

    status = 415

    def __init__(self) -> None:
        super().__init__("The body should have no Content-Encoding, or gzip.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "gzip"}


class UnknownRequestError(IngressError):
    """The id was not given to this partner, or is no longer kept. The server cannot tell which."""

    status = 404

    def __init__(self) -> None:
        super().__init__("This partner has no such request, or the request is no longer kept.")


class KeyConflictError(IngressError):
    """The Idempotency-Key belongs to a request with another body. Nothing of this one is or will be applied."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body. Nothing was applied. Send this body with another key."
        )


class LaterError(IngressError):
    """The request may be right, but has to wait. Nothing was published, and no rate is charged for it."""

    retry_after_s: float = RETRY_AFTER_S

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class RateLimitedError(LaterError):
    """The partner has sent more orders than its rate allows."""

    status = 429

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many orders in a short time. Send the request again after Retry-After seconds.")
        self.retry_after_s = retry_after_s


class PartnerShareError(LaterError):
    """The partner has as much in flight as it leaves free for others."""

    status = 429

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Too many {what} of yours are in flight: your other requests hold as much as they leave free for other "
            "partners. Send the request again when some of them are answered."
        )


class Why(StrEnum):
    """Why no request can be served, beside what is in flight."""

    NOT_READY = "This server is not ready yet."
    SHUTTING_DOWN = "This server is shutting down."
    HALTED = "Orders cannot be applied at the moment."
    UNREACHABLE = "Kafka is not reachable."
    NOT_READABLE = "The status of requests cannot be read at the moment."


class UnavailableError(LaterError):
    """Not ready, draining, halted consumers, an unreachable Kafka, or too much in flight: see Why."""

    status = 503


class TooLargeForKafkaError(UnavailableError):
    """Kafka takes no record of this size. Its topic was changed; until that is noticed, orders end here."""

    def __init__(self) -> None:
        super().__init__(
            "Kafka does not take the orders of this request, because they are too large for its topic. None of "
            "them was published. To send them again helps only after the operator of this server has run: orders setup"
        )


class PartlyRefusedError(IngressError):
    """Kafka took some orders of the request, and will never take the others: they are too large for its topic."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(
            "Kafka took some orders of this request and refused the others, because they are too large for its topic. "
            "Those will not be applied: see Location. To send the request again helps only after the operator of this "
            "server has run: orders setup"
        )
        self._location = location(request_id)

    @property
    def headers(self) -> dict[str, str]:
        return self._location


class NotConfirmedError(IngressError):
    """Published, or perhaps published, and the outcome is not known yet. The text must not say that it failed."""

    status = 504

    def __init__(self, request_id: UUID) -> None:
        super().__init__(
            "The orders were published, but their outcome is not known yet. They may still be applied: see Location. "
            "If this request has an Idempotency-Key, send it again with that key: it counts once. If it has none, send "
            "it again only if you sent nothing newer for its orders meanwhile: what is sent last counts, so older "
            "values would replace newer ones."
        )
        self._location = location(request_id)

    @property
    def headers(self) -> dict[str, str]:
        return self._location
