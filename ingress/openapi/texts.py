"""What the document says of each answer, by operationId and status, and of each header of an answer."""

from ingress.openapi.schemas import Schema

_TOKEN = "The token is missing, unknown, revoked or sent twice. After many wrong tokens the answer takes a second."
_NOT_HTTP = "The request is not HTTP, or its head is too large."
_BUG = "A bug; the server's log has it under the id in the answer."
_SHARE = "You are over your share. Send the request again after `Retry-After`."

TEXTS: dict[str, dict[int, str]] = {
    "postOrders": {
        200: "Every order is in Kafka on all in-sync replicas, and its outcome is committed in Postgres.",
        202: "Only if `Prefer` asked for it: every order is in Kafka, the outcome is not known yet. See `Location`.",
        400: "The request has a wrong structure, or is not HTTP. Nothing is applied.",
        401: _TOKEN,
        408: "The body did not arrive in time, or too slowly. Nothing is applied, and the connection is closed.",
        413: "The body is too large, as it arrives or unpacked. Nothing is applied.",
        415: "The body has a `Content-Encoding` that is not read. Nothing is applied.",
        422: "The `Idempotency-Key` was used with another body. Nothing is applied.",
        429: "You are over your rate or share. Nothing is applied. Send the request again after `Retry-After`.",
        500: "A bug; the server's log has it under this id. Or Kafka took only some of the orders: see `Location`.",
        503: "No order can be taken now. Nothing is applied. Send the request again after `Retry-After`.",
        504: "The orders are published, but their outcome is not known yet. They may still be applied: see `Location`.",
    },
    "dryRun": {
        200: "What the answer would be now. Nothing is published, and nothing is applied.",
        400: "The request has a wrong structure, or is not HTTP.",
        401: _TOKEN,
        408: "The body did not arrive in time, or too slowly. The connection is closed.",
        413: "The body is too large, as it arrives or unpacked.",
        415: "The body has a `Content-Encoding` that is not read.",
        422: "The `Idempotency-Key` was used with another body.",
        429: "You are over your rate or share. Send the request again after `Retry-After`.",
        500: "A bug; the server's log has it under this id.",
        501: "The operator of this server has not allowed it to know what is in the orders.",
        503: "It cannot be told now, or no order could be taken now. Send the request again after `Retry-After`.",
    },
    "listRequests": {
        200: "A page of the list. `next`, and the header `Link`, lead to the older ones.",
        400: "A parameter is wrong, or the request is not HTTP.",
        401: _TOKEN,
        429: _SHARE,
        500: _BUG,
        503: "The list cannot be read now. Send the request again after `Retry-After`.",
    },
    "readRequest": {
        200: "The status. Until it is `done`, the answer has `Retry-After`.",
        400: _NOT_HTTP,
        401: _TOKEN,
        404: "The id is not of a request of yours, or the request is no longer kept.",
        429: _SHARE,
        500: _BUG,
        503: "The status cannot be read now. Send the request again after `Retry-After`.",
    },
    "readHealth": {200: "The process runs.", 400: _NOT_HTTP},
    "readReadiness": {
        200: "The process serves requests.",
        400: _NOT_HTTP,
        503: "The process does not serve requests; what is false is the reason.",
    },
}
BODIES: dict[str, dict[int, str]] = {
    "postOrders": {200: "Counts", 202: "Accepted"},
    "dryRun": {200: "Counts"},
    "listRequests": {200: "Requests"},
    "readRequest": {200: "RequestStatus"},
    "readHealth": {200: "Health"},
    "readReadiness": {200: "Readiness", 503: "Readiness"},
}
"""The schema of each answer that is neither a BadRequest (400) nor an Error."""

SECONDS = {"type": "integer", "minimum": 1}
_STATUS_PATH = {"type": "string", "format": "uri-reference"}
_TEXT = {"type": "string"}
HEADERS: dict[str, tuple[str, Schema]] = {
    "retry-after": ("Wait so many seconds.", SECONDS),
    "location": ("The status of the request, a path of this server.", _STATUS_PATH),
    "www-authenticate": ("Always the same.", _TEXT),
    "accept-encoding": ("The one encoding that is read.", {"const": "gzip"}),
    "connection": ("The connection is closed behind the answer.", {"const": "close"}),
    "preference-applied": ("What the server followed of `Prefer`.", _TEXT),
    "link": ("The next page, as RFC 8288 has it.", _TEXT),
    "ratelimit-policy": ("Only with a rate: you may send `q` orders in `w` seconds.", _TEXT),
    "ratelimit": ("Only with a rate: `r` orders are left for the next `t` seconds.", _TEXT),
    "server-timing": ("How long each part of the answer took, in ms.", _TEXT),
    "idempotent-replayed": ("The counts are those of the first time.", {"const": "true"}),
}
