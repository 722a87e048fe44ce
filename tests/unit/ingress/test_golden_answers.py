"""Answers beside the documented one keep their form: status, type, keys in their order, and all values but texts.

Never change a file of tests/golden/answers to pass. A new form gets a new file, written by hand.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.own_requests import OwnRequest, Page, Place
from contracts.result import Outcome, StoredRequest, outcomes_of
from contracts.strict_json import Violation
from ingress.answers import accepted_response, counts_response, respond, status_response
from ingress.errors import KeyConflictError, NoDryRunError, NotConfirmedError, RateLimitedError
from ingress.own_requests import page_response
from support.kept import ROOT

FOLDER = ROOT / "tests" / "golden" / "answers"
TEXTS = "error", "detail", "title"
"""A text may become better; who reads an answer goes by its status and its `type`."""
ID = UUID("019ee8a2-0000-7000-8000-0000bb0e8b4f")
PLACE = Place(datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC), ID)
FOREIGN = OwnRequest(PLACE, None, None, dict.fromkeys(Outcome, 0))
REQUIRED = Violation("data[0].email", "Field required")
STRICT = Violation("data[0].x", "Extra inputs are not permitted", [("data[0].x", "Extra inputs are not permitted")])


def refused(error: Exception, accept: str = "*/*") -> Response:
    async def handle(_: Request) -> Response:
        raise error

    return asyncio.run(respond(Request({"type": "http", "headers": [(b"accept", accept.encode())]}), handle))


def problem(error: Exception) -> Response:
    return refused(error, "application/problem+json")


def stored(size: int | None) -> StoredRequest:
    return StoredRequest(None, size, 1, outcomes_of([(0, Outcome.INSERTED), (2, Outcome.UNCHANGED)]))


ANSWERS: dict[str, Callable[[], Response]] = {
    "counts": lambda: counts_response(outcomes_of([(0, Outcome.INSERTED), (1, Outcome.STALE)]), 1),
    "accepted": lambda: accepted_response(ID, {}),
    "status-done": lambda: status_response(ID, stored(3)),
    "status-partial": lambda: status_response(ID, stored(9)),
    "violation": lambda: refused(REQUIRED),
    "violations": lambda: refused(STRICT),
    "key-conflict": lambda: refused(KeyConflictError()),
    "not-confirmed": lambda: refused(NotConfirmedError(ID)),
    "no-dry-run": lambda: refused(NoDryRunError()),
    "problem-violation": lambda: problem(REQUIRED),
    "problem-violations": lambda: problem(STRICT),
    "problem-rate-limited": lambda: problem(RateLimitedError(2.5)),
    "own-requests": lambda: page_response(Page([OwnRequest(PLACE, 6, 1, dict.fromkeys(Outcome, 1))], PLACE), None, 1),
    "own-requests-last": lambda: page_response(Page([FOREIGN], None), None, 9),
}


def said(response: Response) -> dict[str, Any]:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return {"status": response.status_code, "headers": headers, "body": json.loads(bytes(response.body))}


def without_texts(value: Any) -> Any:
    """With pairs for objects, so that the order of keys counts."""
    if isinstance(value, dict):
        return [(key, "…" if key in TEXTS else without_texts(inner)) for key, inner in value.items()]
    return [without_texts(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_the_form_that_it_had(name: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text())
    assert without_texts(said(ANSWERS[name]())) == without_texts(golden)


def test_each_golden_answer_is_compared() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(ANSWERS)
