"""The answers that the document tells of. The code that answers requests makes them, so they are what partners get."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.problem import Problem
from contracts.result import Outcome, StoredRequest, outcomes_of
from ingress import answers, bad_requests, errors, problems
from ingress.batch import parse_body
from ingress.body import BODY_BYTES_MAX
from ingress.connections import PROGRESS_BYTES, PROGRESS_S
from ingress.idempotency import parse_key
from ingress.json_answers import Json, json_response
from ingress.openapi.schemas import READINESS
from ingress.preferences import parse_preferences
from ingress.settings import IngressSettings

Answers = dict[str, Response]
"""By what they are examples of. Each has its status, headers and body."""

REQUEST_ID = UUID("019e0000-0000-7000-8000-000000000001")
_ERROR_ID = UUID("7f1b2f0c-52d7-4c5e-9a1f-3f6f6a0e8d11")
_ORDER = '{"name": "John Doe", "email": "john@example.com", "order_id": "ORD-7", "refferral_code": "REF-42", '
_ORDER += '"user_id": "U-7", "products": [], "total_amount": 3000, "discount": 0'
_BODY_TIMEOUT_S: float = IngressSettings.model_fields["body_timeout_s"].default


def post_orders() -> Answers:
    """Of the orders' path."""
    one = outcomes_of([(0, Outcome.INSERTED)])
    three = outcomes_of([(0, Outcome.INSERTED), (1, Outcome.UNCHANGED)])
    represented = {
        **answers.counts_body(three, invalid=1),
        "orders": answers.representation(["ORD-7", "ORD-8", "ORD-9"], {2: "discount is negative"}, three),
    }
    return {
        "counts": answers.counts_response(one, invalid=0),
        "with return=representation": json_response(200, represented, _applied("return=representation")),
        "the same Idempotency-Key again": json_response(
            200, answers.counts_body(one, invalid=0), {"Idempotent-Replayed": "true"}
        ),
        "accepted": answers.accepted_response(REQUEST_ID, _applied("respond-async")),
        "a field is missing": _of_body(f'{{"data": [{_ORDER.replace("email", "mail")}}}]}}'),
        "not JSON": _of_body("data=1"),
        "all violations, with handling=strict": _of_body(f'{{"data": [{_ORDER}, "note": ""}}], "x": 1}}', strict=True),
        "a wrong Idempotency-Key": _of(_raise_violation),
        **_not_http(),
        **_unauthorized(),
        "too slow": _refused(errors.BodyTimeoutError(_BODY_TIMEOUT_S, PROGRESS_BYTES, PROGRESS_S)),
        "too large": _refused(errors.BodyTooLargeError(BODY_BYTES_MAX)),
        "another encoding": _refused(errors.UnsupportedEncodingError()),
        "a key with another body": _refused(errors.KeyConflictError()),
        "above the rate": _refused(errors.RateLimitedError(1.5)),
        "above the share": _refused(errors.PartnerShareError("orders")),
        **_failed(),
        "partly refused by Kafka": _refused(errors.PartlyRefusedError(REQUEST_ID)),
        **_unavailable(
            problems.NOT_READY, problems.SHUTTING_DOWN, problems.NOT_APPLIED_NOW, problems.KAFKA_UNREACHABLE
        ),
        "too much in flight": _refused(errors.UnavailableError(problems.CROWDED, what="orders")),
        "too large for the topic": _refused(errors.TooLargeForKafkaError()),
        "not known yet": _refused(errors.NotConfirmedError(REQUEST_ID)),
    }


def read_request() -> Answers:
    """Of the status of a request."""
    done = StoredRequest(None, 3, 1, outcomes_of([(0, Outcome.INSERTED), (1, Outcome.UNCHANGED)]))
    partial = StoredRequest(None, 3, 0, outcomes_of([(1, Outcome.UPDATED)]))
    return {
        "done": answers.status_response(REQUEST_ID, done),
        "partial": answers.status_response(REQUEST_ID, partial),
        "pending": answers.status_response(REQUEST_ID, StoredRequest()),
        **_not_http(),
        **_unauthorized(),
        "unknown": _refused(errors.UnknownRequestError()),
        "above the share": _refused(errors.PartnerShareError("requests")),
        **_failed(),
        **_unavailable(problems.NOT_READY, problems.SHUTTING_DOWN, problems.LEDGER_UNREADABLE),
    }


def healthz() -> Answers:
    return {"it runs": json_response(200, {"status": "ok"}), **_not_http()}


def readyz() -> Answers:
    ready: Json = dict.fromkeys(READINESS, True)
    return {
        "ready": json_response(200, ready),
        "not ready": json_response(503, {**ready, "broker_reachable": False}),
        **_not_http(),
    }


def _not_http() -> Answers:
    told: Json = {"path": "", "error": bad_requests.NOT_HTTP.said()}
    return {"not HTTP": json_response(400, told, {"Connection": "close"})}


def _unauthorized() -> Answers:
    return {"no partner's token": _refused(errors.UnauthorizedError())}


def _failed() -> Answers:
    told: Json = {"error": problems.INTERNAL.said(error_id=_ERROR_ID)}
    return {"a bug": json_response(problems.INTERNAL.status, told)}


def _unavailable(*reasons: Problem) -> Answers:
    return {reason.name.replace("-", " "): _refused(errors.UnavailableError(reason)) for reason in reasons}


def _applied(prefer: str) -> dict[str, str]:
    preferences = parse_preferences([prefer])
    return preferences.applied(wait_s=0, representation=preferences.representation)


def _refused(error: errors.IngressError) -> Response:
    async def refuse(_: Request) -> Response:
        raise error

    return _of(refuse)


def _of_body(body: str, *, strict: bool = False) -> Response:
    async def read(_: Request) -> Response:
        await parse_body(body.encode(), strict=strict, require_room=lambda _: None)
        raise AssertionError(f"{body} is not refused")

    return _of(read)


async def _raise_violation(_: Request) -> Response:
    raise AssertionError(f"{parse_key(['two words'])} is not refused")


def _of(handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """What a request gets if `handle` serves it. It waits for nothing, so no event loop is needed."""
    serving: Any = answers.respond(Request({"type": "http", "headers": []}), handle).__await__()
    try:
        while True:
            next(serving)
    except StopIteration as end:
        made: Response = end.value
        return made
