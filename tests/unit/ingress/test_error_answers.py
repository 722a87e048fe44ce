"""One error in two forms: as documented, and as RFC 9457 has it."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.strict_json import Violation
from ingress.answers import respond
from ingress.catalogue import CATALOGUE
from ingress.errors import RateLimitedError

PLAIN, PROBLEM = "application/json", "application/problem+json"
UNKNOWN = "Extra inputs are not permitted"
VIOLATION = Violation("data[0].email", "Field required")
STRICT = Violation("x", UNKNOWN, [("x", UNKNOWN), ("y", "Field required")])


def answered(error: Exception, **headers: str) -> Response:
    async def handle(_: Request) -> Response:
        raise error

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return asyncio.run(respond(Request({"type": "http", "headers": raw}), handle))


def body_of(response: Response) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(bytes(response.body))
    return loaded


@pytest.mark.parametrize(
    ("error", "plain", "problem"),
    [
        (
            RateLimitedError(2.5),
            {"error": "Too many orders in a short time. Send the request again after Retry-After seconds."},
            {
                "type": "/docs/errors#rate-limited",
                "title": "Rate limited",
                "status": 429,
                "detail": "Too many orders in a short time. Send the request again after Retry-After seconds.",
            },
        ),
        (
            VIOLATION,
            {"path": "data[0].email", "error": "Field required"},
            {
                "type": "/docs/errors#field-required",
                "title": "Field required",
                "status": 400,
                "detail": "data[0].email: Field required",
                "violations": [{"path": "data[0].email", "error": "Field required"}],
            },
        ),
        (
            STRICT,
            {
                "path": "x",
                "error": UNKNOWN,
                "violations": [
                    {"path": "x", "error": UNKNOWN},
                    {"path": "y", "error": "Field required"},
                ],
            },
            {
                "type": "/docs/errors#unknown-field",
                "title": "Unknown field",
                "status": 400,
                "detail": "x: Extra inputs are not permitted",
                "violations": [
                    {"path": "x", "error": UNKNOWN},
                    {"path": "y", "error": "Field required"},
                ],
            },
        ),
    ],
)
def test_an_error_comes_as_documented_unless_the_client_asks_for_rfc_9457(
    error: Exception, plain: dict[str, Any], problem: dict[str, Any]
) -> None:
    usual, asked = answered(error), answered(error, accept=PROBLEM)
    assert (body_of(usual), usual.headers["content-type"]) == (plain, PLAIN)
    assert list(body_of(usual)) == list(plain)
    assert (body_of(asked), asked.headers["content-type"]) == (problem, PROBLEM)
    assert asked.status_code == usual.status_code == problem["status"]
    assert asked.headers.get("retry-after") == usual.headers.get("retry-after")
    assert answered(error, accept="*/*").body == answered(error, accept=PLAIN).body == usual.body
    assert problem["type"].partition("#")[2] in {entry.name for entry in CATALOGUE}


def test_a_bug_is_a_problem_too_and_shows_no_internals() -> None:
    content = body_of(answered(ValueError("secret"), accept=PROBLEM))
    assert (content["type"], content["status"]) == ("/docs/errors#internal-error", 500)
    assert "secret" not in str(content)
