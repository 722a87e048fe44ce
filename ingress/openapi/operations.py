"""What the document says of each operation: parameters, body and answers, by operationId."""

import json
from typing import Any

from starlette.responses import Response

from contracts.sample import SAMPLE_BODY
from ingress.code_samples import code_samples
from ingress.idempotency import KEY_CHARS_MAX
from ingress.openapi import examples
from ingress.openapi.schemas import Schema, ref

TEXTS: dict[str, dict[int, str]] = {
    "postOrders": {
        200: "Every order is in Kafka on all in-sync replicas, and its outcome is committed in Postgres.",
        202: "Only if `Prefer` asked for it: every order is in Kafka, the outcome is not known yet. See `Location`.",
        400: "The request has a wrong structure, or is not HTTP. Nothing is applied.",
        401: "The token is missing, unknown, revoked or sent twice. After many wrong tokens the answer takes a second.",
        408: "The body did not arrive in time, or too slowly. Nothing is applied, and the connection is closed.",
        413: "The body is too large, as it arrives or unpacked. Nothing is applied.",
        415: "The body has a `Content-Encoding` that is not read. Nothing is applied.",
        422: "The `Idempotency-Key` was used with another body. Nothing is applied.",
        429: "You are over your rate or share. Nothing is applied. Send the request again after `Retry-After`.",
        500: "A bug; the server's log has it under this id. Or Kafka took only some of the orders: see `Location`.",
        503: "No order can be taken now. Nothing is applied. Send the request again after `Retry-After`.",
        504: "The orders are published, but their outcome is not known yet. They may still be applied: see `Location`.",
    },
    "readRequest": {
        200: "The status. Until it is `done`, the answer has `Retry-After`.",
        400: "The request is not HTTP, or its head is too large.",
        401: "The token is missing, unknown, revoked or sent twice. After many wrong tokens the answer takes a second.",
        404: "The id is not of a request of yours, or the request is no longer kept.",
        429: "You are over your share. Send the request again after `Retry-After`.",
        500: "A bug; the server's log has it under the id in the answer.",
        503: "The status cannot be read now. Send the request again after `Retry-After`.",
    },
    "readHealth": {200: "The process runs.", 400: "The request is not HTTP, or its head is too large."},
    "readReadiness": {
        200: "The process serves requests.",
        400: "The request is not HTTP, or its head is too large.",
        503: "The process does not serve requests; what is false is the reason.",
    },
}
BODIES: dict[str, dict[int, str]] = {
    "postOrders": {200: "Counts", 202: "Accepted"},
    "readRequest": {200: "RequestStatus"},
    "readHealth": {200: "Health"},
    "readReadiness": {200: "Readiness", 503: "Readiness"},
}
"""The schema of each answer that is neither a BadRequest (400) nor an Error."""

PREFERENCES = "respond-async", "wait=5", "return=representation", "handling=strict"
"""Those that are known, as they are sent."""
_SECONDS = {"type": "integer", "minimum": 1}
_STATUS_PATH = {"type": "string", "format": "uri-reference"}
_TEXT = {"type": "string"}
HEADERS: dict[str, tuple[str, Schema]] = {
    "retry-after": ("Wait so many seconds.", _SECONDS),
    "location": ("The status of the request, a path of this server.", _STATUS_PATH),
    "www-authenticate": ("Always the same.", _TEXT),
    "accept-encoding": ("The one encoding that is read.", {"const": "gzip"}),
    "connection": ("The connection is closed behind the answer.", {"const": "close"}),
    "preference-applied": ("What the server followed of `Prefer`.", _TEXT),
    "idempotent-replayed": ("The counts are those of the first time.", {"const": "true"}),
}


def operations() -> dict[str, Schema]:
    """The parts of each operation that FastAPI does not know, by operationId."""
    accepted = {
        "operationId": "readRequest",
        "parameters": {"request_id": "$response.body#/request_id"},
        "description": "The status of the request.",
    }
    post = _responses("postOrders", examples.post_orders())
    post["202"]["links"] = {"status": accepted}
    return {
        "postOrders": {
            "description": "Each order is inserted if its `order_id` is new for its partner, or else updated. Wrong "
            "structure refuses the whole request; invalid data is skipped and counted. The same order twice in a "
            "request is applied in order, and each is counted.",
            "parameters": [ref(name, "parameters") for name in ("IdempotencyKey", "Prefer", "Traceparent")],
            "requestBody": {
                "required": True,
                "description": "Read as JSON, whatever the `Content-Type` says. It may be packed, with "
                "`Content-Encoding: gzip`; its limit holds before and after unpacking.",
                "content": {
                    "application/json": {
                        "schema": ref("Batch"),
                        "examples": {"the published sample": {"value": json.loads(SAMPLE_BODY)}},
                    }
                },
            },
            "responses": post,
            "x-codeSamples": code_samples(),
        },
        "readRequest": {
            "description": "What became of a request, from any server, also after a restart. It is kept for some days.",
            "parameters": [ref("RequestId", "parameters")],
            "responses": _responses("readRequest", examples.read_request()),
        },
        "readHealth": {"security": [], "responses": _responses("readHealth", examples.healthz())},
        "readReadiness": {"security": [], "responses": _responses("readReadiness", examples.readyz())},
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
            "`handling=strict`: unknown fields and invalid data are refused, and all violations are told. Others are "
            "ignored.",
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
        "RequestId": {
            "name": "request_id",
            "in": "path",
            "required": True,
            "description": "As in the `Location` of a 202 or a 504, in lower case.",
            "schema": {"type": "string", "format": "uuid"},
            "example": str(examples.REQUEST_ID),
        },
    }


def _responses(operation: str, answers: examples.Answers) -> dict[str, Schema]:
    """What is said of each status. A header that every answer of a status has is required."""
    by_status: dict[int, examples.Answers] = {}
    for name, answer in answers.items():
        by_status.setdefault(answer.status_code, {})[name] = answer
    made: dict[str, Schema] = {}
    for status, given in sorted(by_status.items()):
        schema = BODIES[operation].get(status) or ("BadRequest" if status == 400 else "Error")
        shown = {name: {"value": json.loads(bytes(answer.body))} for name, answer in given.items()}
        headers = _headers(list(given.values()))
        made[str(status)] = {
            "description": TEXTS[operation][status],
            **({"headers": headers} if headers else {}),
            "content": {"application/json": {"schema": ref(schema), "examples": shown}},
        }
    return made


def _headers(given: list[Response]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, (about, schema) in HEADERS.items():
        values = [answer.headers[name] for answer in given if name in answer.headers]
        if values:
            made[name.title()] = {
                "description": about,
                "required": len(values) == len(given),
                "schema": schema,
                "example": int(values[0]) if schema is _SECONDS else values[0],
            }
    return made
