"""Errors that a partner gets instead of counts (design 3). Their texts are in `ingress/problems.py`.

400 is `contracts.strict_json.Violation`. The router answers 404 and 405 for other paths and methods.
"""

import math
from uuid import UUID

from contracts.errors import OrdersError
from contracts.problem import Problem
from ingress import problems

STATUS_PATH = "/api/integration/orders/requests/{request_id}"
RETRY_AFTER_S = 1


def location(request_id: UUID) -> dict[str, str]:
    """The Location header with the status resource of a request."""
    return {"Location": STATUS_PATH.format(request_id=request_id)}


class IngressError(OrdersError):
    """Root of the ingress's errors. The answer has the status of the problem, `headers`, and the text as its `error`.

    `fields`: what the text of the problem leaves open.
    """

    status = 500
    """Of every problem that an error of the class tells."""

    def __init__(self, problem: Problem, **fields: object) -> None:
        super().__init__(problem.said(**fields))
        self.problem = problem

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
        super().__init__(problems.UNAUTHORIZED)
        self.wait_s = wait_s

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Token realm="orders"'}


class BodyTimeoutError(IngressError):
    """The body did not arrive within `timeout_s`, or too slowly. Nothing was published."""

    status = 408

    def __init__(self, whole_s: float, part_bytes: int, part_s: float) -> None:
        super().__init__(problems.BODY_TOO_SLOW, whole_s=whole_s, bytes=part_bytes, part_s=part_s)

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class BodyTooLargeError(IngressError):
    """The body is larger than it may be, as it arrives or unpacked. The rest is discarded."""

    status = 413

    def __init__(self, bytes_max: int) -> None:
        super().__init__(problems.BODY_TOO_LARGE, bytes_max=bytes_max)


class UnsupportedEncodingError(IngressError):
    """The body has a Content-Encoding that is not read here. The answer names the one that is (RFC 9110, 15.5.16)."""

    status = 415

    def __init__(self) -> None:
        super().__init__(problems.UNSUPPORTED_ENCODING)

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "gzip"}


class UnknownRequestError(IngressError):
    """The id was not given to this partner, or is no longer kept. The server cannot tell which."""

    status = 404

    def __init__(self) -> None:
        super().__init__(problems.UNKNOWN_REQUEST)


class KeyConflictError(IngressError):
    """The Idempotency-Key belongs to a request with another body. Nothing of this one is or will be applied."""

    status = 422

    def __init__(self) -> None:
        super().__init__(problems.KEY_CONFLICT)


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
        super().__init__(problems.RATE_LIMITED)
        self.retry_after_s = retry_after_s


class PartnerShareError(LaterError):
    """The partner has as much in flight as it leaves free for others."""

    status = 429

    def __init__(self, what: str) -> None:
        super().__init__(problems.OVER_SHARE, what=what)


class UnavailableError(LaterError):
    """Not ready, draining, halted consumers, an unreachable Kafka, or too much in flight."""

    status = 503


class TooLargeForKafkaError(UnavailableError):
    """Kafka takes no record of this size. Its topic was changed; until that is noticed, orders end here."""

    def __init__(self) -> None:
        super().__init__(problems.TOO_LARGE_FOR_KAFKA)


class NoDryRunError(IngressError):
    """Nobody has allowed this server to know what is in the orders."""

    status = 501

    def __init__(self) -> None:
        super().__init__(problems.NO_DRY_RUN)


class PartlyRefusedError(IngressError):
    """Kafka took some orders of the request, and will never take the others: they are too large for its topic."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(problems.PARTLY_REFUSED)
        self._location = location(request_id)

    @property
    def headers(self) -> dict[str, str]:
        return self._location


class NotConfirmedError(IngressError):
    """Published, or perhaps published, and the outcome is not known yet. The text must not say that it failed."""

    status = 504

    def __init__(self, request_id: UUID) -> None:
        super().__init__(problems.NOT_CONFIRMED)
        self._location = location(request_id)

    @property
    def headers(self) -> dict[str, str]:
        return self._location
