"""The answers that the document tells of. The code that answers requests makes them, so they are what partners get."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.own_requests import REQUESTS_PER_PAGE_MAX, OwnRequest, Page, Place
from contracts.partner import Partner
from contracts.problem import Problem
from contracts.result import Outcome, StoredRequest, outcomes_of
from contracts.strict_json import Violation
from ingress import answers, bad_requests, errors, problems
from ingress.batch import parse_body
from ingress.body import BODY_BYTES_MAX
from ingress.connections import PROGRESS_BYTES, PROGRESS_S
from ingress.error_answers import error_response
from ingress.idempotency import parse_key
from ingress.json_answers import Json, json_response
from ingress.openapi.schemas import READINESS
from ingress.own_requests import REQUESTS_PER_PAGE, page_response
from ingress.preferences import parse_preferences
from ingress.rate_headers import rate_headers
from ingress.rate_limit import RateLimit
from ingress.settings import IngressSettings

Answers = dict[str, Response]
"""By what they are examples of. Each has its status, headers and body."""

REQUEST_ID = UUID("019e0000-0000-7000-8000-000000000001")
PUBLISHED_AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
_ERROR_ID = UUID("7f1b2f0c-52d7-4c5e-9a1f-3f6f6a0e8d11")
_ORDER = '{"name": "John Doe", "email": "john@example.com", "order_id": "ORD-7", "refferral_code": "REF-42", '
_ORDER += '"user_id": "U-7", "products": [], "total_amount": 3000, "discount": 0'
_BODY_TIMEOUT_S: float = IngressSettings.model_fields["body_timeout_s"].default


class Examples:
    """Those of one kind of client: it accepts what the header `accept` says."""

    def __init__(self, accept: str = "*/*") -> None:
        self._accept = accept

    def post_orders(self) -> Answers:
        """Of the orders' path."""
        return {
            **_counted(),
            "accepted": answers.accepted_response(REQUEST_ID, _applied("respond-async")),
            **self._refused_batches(),
            "partly refused by Kafka": self._refused(errors.PartlyRefusedError(REQUEST_ID)),
            "too large for the topic": self._refused(errors.TooLargeForKafkaError()),
            "not known yet": self._refused(errors.NotConfirmedError(REQUEST_ID)),
        }

    def dry_run(self) -> Answers:
        """Of a dry-run."""
        return {
            **_counted(),
            **self._refused_batches(),
            **self._unavailable(problems.ORDERS_UNREADABLE),
            "not allowed here": self._refused(errors.NoDryRunError()),
        }

    def _refused_batches(self) -> Answers:
        return {
            "a field is missing": self._of_body(f'{{"data": [{_ORDER.replace("email", "mail")}}}]}}'),
            "not JSON": self._of_body("data=1"),
            "all violations, with handling=strict": self._of_body(
                f'{{"data": [{_ORDER}, "note": ""}}], "x": 1}}', strict=True
            ),
            "a wrong Idempotency-Key": self._of(_raise_violation),
            **self._not_http(),
            **self._unauthorized(),
            "too slow": self._refused(errors.BodyTimeoutError(_BODY_TIMEOUT_S, PROGRESS_BYTES, PROGRESS_S)),
            "too large": self._refused(errors.BodyTooLargeError(BODY_BYTES_MAX)),
            "another encoding": self._refused(errors.UnsupportedEncodingError()),
            "a key with another body": self._refused(errors.KeyConflictError()),
            "above the rate": _with_rate(self._refused(errors.RateLimitedError(1.5))),
            "above the share": self._refused(errors.PartnerShareError("orders")),
            **self._failed(),
            **self._unavailable(
                problems.NOT_READY, problems.SHUTTING_DOWN, problems.NOT_APPLIED_NOW, problems.KAFKA_UNREACHABLE
            ),
            "too much in flight": self._refused(errors.UnavailableError(problems.CROWDED, what="orders")),
        }

    def read_request(self) -> Answers:
        """Of the status of a request."""
        done = StoredRequest(None, 3, 1, outcomes_of([(0, Outcome.INSERTED), (1, Outcome.UNCHANGED)]))
        partial = StoredRequest(None, 3, 0, outcomes_of([(1, Outcome.UPDATED)]))
        return {
            "done": answers.status_response(REQUEST_ID, done),
            "partial": answers.status_response(REQUEST_ID, partial),
            "pending": answers.status_response(REQUEST_ID, StoredRequest()),
            **self._not_http(),
            "unknown": self._refused(errors.UnknownRequestError()),
            **self._of_reading(),
        }

    def list_requests(self) -> Answers:
        """Of the list of a partner's own requests."""
        counts = {Outcome.INSERTED: 1, Outcome.UPDATED: 0, Outcome.UNCHANGED: 1, Outcome.INVALID: 0, Outcome.STALE: 0}
        place = Place(PUBLISHED_AT, REQUEST_ID)
        one = OwnRequest(place, size=3, invalid=1, counts=counts)
        wrong = {
            "since": bad_requests.NOT_A_TIME,
            "limit": bad_requests.NOT_A_LIMIT,
            "cursor": bad_requests.NOT_A_CURSOR,
        }
        return {
            "the last page": page_response(Page([one], None), None, REQUESTS_PER_PAGE),
            "a page before others": page_response(Page([one], place), place.time, 1),
            **{
                f"a wrong {name}": self._of(_raiser(Violation(name, told.said(requests_max=REQUESTS_PER_PAGE_MAX))))
                for name, told in wrong.items()
            },
            **self._not_http(),
            **self._of_reading(),
        }

    def healthz(self) -> Answers:
        return {"it runs": json_response(200, {"status": "ok"}), **self._not_http()}

    def readyz(self) -> Answers:
        ready: Json = dict.fromkeys(READINESS, True)
        return {
            "ready": json_response(200, ready),
            "not ready": json_response(503, {**ready, "broker_reachable": False}),
            **self._not_http(),
        }

    def _of_reading(self) -> Answers:
        return {
            **self._unauthorized(),
            "above the share": self._refused(errors.PartnerShareError("requests")),
            **self._failed(),
            **self._unavailable(problems.NOT_READY, problems.SHUTTING_DOWN, problems.LEDGER_UNREADABLE),
        }

    def _not_http(self) -> Answers:
        """Who sends no HTTP accepts nothing that could be read."""
        told: Json = {"path": "", "error": bad_requests.NOT_HTTP.said()}
        return {"not HTTP": json_response(400, told, {"Connection": "close"})}

    def _unauthorized(self) -> Answers:
        return {"no partner's token": self._refused(errors.UnauthorizedError())}

    def _failed(self) -> Answers:
        told = problems.INTERNAL.said(error_id=_ERROR_ID)
        return {"a bug": error_response(self._request(), problems.INTERNAL, told, {})}

    def _unavailable(self, *reasons: Problem) -> Answers:
        return {reason.name.replace("-", " "): self._refused(errors.UnavailableError(reason)) for reason in reasons}

    def _refused(self, error: errors.IngressError) -> Response:
        return self._of(_raiser(error))

    def _of_body(self, body: str, *, strict: bool = False) -> Response:
        async def read(_: Request) -> Response:
            await parse_body(body.encode(), strict=strict, require_room=lambda _: None)
            raise AssertionError(f"{body} is not refused")

        return self._of(read)

    def _of(self, handle: Callable[[Request], Awaitable[Response]]) -> Response:
        """What a request gets if `handle` serves it. It waits for nothing, so no event loop is needed."""
        serving: Any = answers.respond(self._request(), handle).__await__()
        try:
            while True:
                next(serving)
        except StopIteration as end:
            made: Response = end.value
            return made

    def _request(self) -> Request:
        return Request({"type": "http", "headers": [(b"accept", self._accept.encode())]})


def _counted() -> Answers:
    one = outcomes_of([(0, Outcome.INSERTED)])
    three = outcomes_of([(0, Outcome.INSERTED), (1, Outcome.UNCHANGED)])
    represented = {
        **answers.counts_body(three, invalid=1),
        "orders": answers.representation(["ORD-7", "ORD-8", "ORD-9"], {2: "discount is negative"}, three),
    }
    timing = {"Server-Timing": "read;dur=0.412, publish;dur=3.107, apply;dur=5.220, reply;dur=0.031"}
    return {
        "counts": _with_rate(answers.counts_response(one, invalid=0)),
        "with return=representation": json_response(200, represented, _applied("return=representation")),
        "with server-timing": json_response(200, answers.counts_body(one, invalid=0), timing),
        "the same Idempotency-Key again": json_response(
            200, answers.counts_body(one, invalid=0), {"Idempotent-Replayed": "true"}
        ),
    }


def _with_rate(response: Response) -> Response:
    """As a partner with a rate gets it."""
    partner = Partner(partner_id="p", tokens=[], orders_per_s=50)
    response.raw_headers += rate_headers(partner, RateLimit(lambda: 0.0))
    return response


def _applied(prefer: str) -> dict[str, str]:
    preferences = parse_preferences([prefer])
    return preferences.applied(wait_s=0, representation=preferences.representation)


def _raiser(error: Exception) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_: Request) -> Response:
        raise error

    return refuse


async def _raise_violation(_: Request) -> Response:
    raise AssertionError(f"{parse_key(['two words'])} is not refused")
