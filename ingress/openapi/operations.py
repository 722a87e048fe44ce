"""What the document says of each operation: parameters, body and answers, by operationId."""

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from contracts.own_requests import REQUESTS_PER_PAGE_MAX, Place
from contracts.sample import SAMPLE_BODY
from ingress.accept import PROBLEM_JSON
from ingress.code_samples import code_samples
from ingress.idempotency import KEY_CHARS_MAX
from ingress.openapi.examples import PUBLISHED_AT, REQUEST_ID, Answers, Examples
from ingress.openapi.schemas import Schema, ref
from ingress.openapi.texts import BODIES, HEADERS, SECONDS, TEXTS
from ingress.own_requests import REQUESTS_PER_PAGE, cursor_of

PREFERENCES = "respond-async", "wait=5", "return=representation", "handling=strict", "server-timing"
"""Those that are known, as they are sent."""
_TEXT = {"type": "string"}


def operations() -> dict[str, Schema]:
    """The parts of each operation that FastAPI does not know, by operationId."""
    accepted = {
        "operationId": "readRequest",
        "parameters": {"request_id": "$response.body#/request_id"},
        "description": "The status of the request.",
    }
    post = _responses("postOrders", Examples.post_orders)
    post["202"]["links"] = {"status": accepted}
    batch = {
        "required": True,
        "description": "Read as JSON, whatever the `Content-Type` says. It may be packed, with "
        "`Content-Encoding: gzip`; its limit holds before and after unpacking.",
        "content": {
            "application/json": {
                "schema": ref("Batch"),
                "examples": {"the published sample": {"value": json.loads(SAMPLE_BODY)}},
            }
        },
    }
    return {
        "postOrders": {
            "description": "Each order is inserted if its `order_id` is new for its partner, or else updated. Wrong "
            "structure refuses the whole request; invalid data is skipped and counted. The same order twice in a "
            "request is applied in order, and each is counted.",
            "parameters": [ref(name, "parameters") for name in ("IdempotencyKey", "Prefer", "Traceparent")],
            "requestBody": batch,
            "responses": post,
            "x-codeSamples": code_samples(),
        },
        "dryRun": {
            "description": "Everything is checked, and the answer tells what the same request would do now. An order "
            "that is published meanwhile may change that. It counts for your rate as the request would.",
            "parameters": [ref(name, "parameters") for name in ("IdempotencyKey", "Prefer")],
            "requestBody": batch,
            "responses": _responses("dryRun", Examples.dry_run),
        },
        "listRequests": {
            "description": "Your own requests, the newest first, with their counts. A request is in the list once "
            "something of it is applied, and is kept for some days.",
            "parameters": [ref(name, "parameters") for name in ("Since", "Limit", "Cursor")],
            "responses": _responses("listRequests", Examples.list_requests),
        },
        "readRequest": {
            "description": "What became of a request, from any server, also after a restart. It is kept for some days.",
            "parameters": [ref("RequestId", "parameters")],
            "responses": _responses("readRequest", Examples.read_request),
        },
        "readHealth": {"security": [], "responses": _responses("readHealth", Examples.healthz)},
        "readReadiness": {"security": [], "responses": _responses("readReadiness", Examples.readyz)},
    }


def parameters() -> dict[str, Schema]:
    """All parameters by name. A token is not one of them: it is the security scheme."""
    key = {"type": "string", "pattern": f'^(?!""$)[!-~]{{1,{KEY_CHARS_MAX}}}$'}
    return {
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes the request safe to repeat: the same key with the same values counts once, and has "
            "the counts of the first time. At most once in a request; it may stand in quotation marks.",
            "schema": key,
            "examples": {"a batch": {"value": "2026-11-24-batch-17"}},
        },
        "Prefer": {
            "name": "Prefer",
            "in": "header",
            "description": "As in RFC 7240. `respond-async`: 202 as soon as every order is in Kafka. `wait=N`: 202 if "
            "the counts do not come within N seconds. `return=representation`: the outcome of each order. "
            "`handling=strict`: unknown fields and invalid data are refused, and all violations are told. "
            "`server-timing`: how long the parts of the answer took. Others are ignored.",
            "schema": {"anyOf": [{"enum": list(PREFERENCES)}, _TEXT]},
            "examples": {name: {"value": name} for name in PREFERENCES},
        },
        "Traceparent": {
            "name": "traceparent",
            "in": "header",
            "description": "As in W3C Trace Context. It is passed on with each order's event; a malformed one is not.",
            "schema": _TEXT,
            "examples": {"a trace": {"value": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}},
        },
        "Since": {
            "name": "since",
            "in": "query",
            "description": "Only requests of this time and later ones; RFC 3339, with a time zone.",
            "schema": {"type": "string", "format": "date-time"},
            "examples": {"since a day began": {"value": "2026-11-24T00:00:00Z"}},
        },
        "Limit": {
            "name": "limit",
            "in": "query",
            "description": f"The most requests of a page. {REQUESTS_PER_PAGE} without it.",
            "schema": {"type": "integer", "minimum": 1, "maximum": REQUESTS_PER_PAGE_MAX},
            "examples": {"a small page": {"value": 10}},
        },
        "Cursor": {
            "name": "cursor",
            "in": "query",
            "description": "Where a page begins: take `next` as it is. What stands in it may change.",
            "schema": _TEXT,
            "examples": {"of the next page": {"value": cursor_of(Place(PUBLISHED_AT, REQUEST_ID))}},
        },
        "RequestId": {
            "name": "request_id",
            "in": "path",
            "required": True,
            "description": "As in the `Location` of a 202 or a 504, in lower case.",
            "schema": {"type": "string", "format": "uuid"},
            "example": str(REQUEST_ID),
        },
    }


def _responses(operation: str, examples: Callable[[Examples], Answers]) -> dict[str, Schema]:
    """What is said of each status. A header that every answer of a status has is required."""
    by_status: dict[int, Answers] = {}
    for name, answer in examples(Examples()).items():
        by_status.setdefault(answer.status_code, {})[name] = answer
    problems = {
        name: answer for name, answer in examples(Examples(PROBLEM_JSON)).items() if answer.media_type == PROBLEM_JSON
    }
    made: dict[str, Schema] = {}
    for status, given in sorted(by_status.items()):
        schema = BODIES[operation].get(status) or ("BadRequest" if status == 400 else "Error")
        headers = _headers(list(given.values()))
        content = {"application/json": _content(schema, given)}
        if as_problems := {name: problems[name] for name in given if name in problems}:
            content[PROBLEM_JSON] = _content("Problem", as_problems)
        made[str(status)] = {
            "description": TEXTS[operation][status],
            **({"headers": headers} if headers else {}),
            "content": content,
        }
    return made


def _content(schema: str, given: Answers) -> Schema:
    shown = {name: {"value": json.loads(bytes(answer.body))} for name, answer in given.items()}
    return {"schema": ref(schema), "examples": shown}


def _headers(given: list[Response]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, (about, schema) in HEADERS.items():
        values = [answer.headers[name] for answer in given if name in answer.headers]
        if values:
            made[name.title()] = {
                "description": about,
                "required": len(values) == len(given),
                "schema": schema,
                "example": int(values[0]) if schema is SECONDS else values[0],
            }
    return made
