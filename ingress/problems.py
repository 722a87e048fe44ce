"""The entries of the catalogue of errors with another status than 400. Pure."""

from contracts.problem import Problem

_AGAIN = "Send the request again after `Retry-After` seconds. Nothing of it was applied."
_LOOK = "Look at `Location`, the request's status."

UNAUTHORIZED = Problem(
    "unauthorized",
    401,
    "The header `token` should be the token of a partner, once.",
    "The token is missing, unknown, revoked or sent twice. The answer does not say which, so that nobody can probe.",
    "Compare the token with the one that you were given. If it is right, ask the operator whether it was revoked.",
)
NO_SUCH_PATH = Problem(
    "not-found", 404, "Not Found", "There is nothing at this path.", "Compare the path with [http-api.md](http-api.md)."
)
SLASH_AT_THE_END = Problem(
    "slash-at-the-end",
    404,
    "Not Found: the path should be {path}, with no slash at its end",
    "A slash too many stands at the end of the path.",
    "Leave it out.",
)
UNKNOWN_REQUEST = Problem(
    "unknown-request",
    404,
    "This partner has no such request, or the request is no longer kept.",
    "The id is not one that you were given, or the ledger has forgotten it.",
    "Use the path of `Location` as it is. A request is kept for 7 days, unless the operator sets another time.",
)
NO_SUCH_METHOD = Problem(
    "method-not-allowed",
    405,
    "Method Not Allowed",
    "The path has no such method. `Allow` names those that it has.",
    "Use one of them.",
)
GZIP_ONLY = Problem(
    "gzip-only",
    406,
    "This file is served as gzip. Send: Accept-Encoding: gzip",
    "It is kept packed only: to unpack it for each request would cost more than a batch of orders.",
    "Send the header. Browsers do.",
)
BODY_TOO_SLOW = Problem(
    "body-too-slow",
    408,
    "The body should arrive within {whole_s:g} s, and at least {bytes} bytes of it in each {part_s:g} s.",
    "The body did not arrive in time. Nothing of it was applied, and the connection is closed.",
    "Send the request again. On a slow line, pack it with gzip, or send fewer orders at once.",
)
BODY_TOO_LARGE = Problem(
    "body-too-large",
    413,
    "The body should have at most {bytes_max} bytes, also when it is unpacked.",
    "The body is too large, as it arrives or unpacked.",
    "Send the orders in several requests.",
)
UNSUPPORTED_ENCODING = Problem(
    "unsupported-encoding",
    415,
    "The body should have no Content-Encoding, or gzip.",
    "The body is packed in a way that is not read here. `Accept-Encoding` says which one is.",
    "Pack it with gzip, or not at all.",
)
KEY_CONFLICT = Problem(
    "key-conflict",
    422,
    "This Idempotency-Key was used with another body. Nothing was applied. Send this body with another key.",
    "A key stands for one body. An earlier request with this key had other values.",
    "Make a new key for each new request, and keep it for the repeats of that request.",
)
RATE_LIMITED = Problem(
    "rate-limited",
    429,
    "Too many orders in a short time. Send the request again after Retry-After seconds.",
    "You have sent more orders than your rate allows.",
    _AGAIN,
)
OVER_SHARE = Problem(
    "over-share",
    429,
    "Too many {what} of yours are in flight: your other requests hold as much as they leave free for other "
    "partners. Send the request again when some of them are answered.",
    "You hold half of this server, or more. `what` is `requests`, `orders` or `bytes`.",
    "Send fewer requests at once, and wait for their answers.",
)
INTERNAL = Problem(
    "internal-error",
    500,
    "Internal error. The server's log has it under the id {error_id}.",
    "A bug. Orders of the request may be applied or not.",
    "Tell the operator the id. Send the request again with its `Idempotency-Key`, if it has one.",
)
PARTLY_REFUSED = Problem(
    "partly-refused",
    500,
    "Kafka took some orders of this request and refused the others, because they are too large for its topic. "
    "Those will not be applied: see Location. To send the request again helps only after the operator of this "
    "server has run: orders setup",
    "The topic was made too small while this server ran.",
    f"{_LOOK} Tell the operator.",
)
NO_DRY_RUN = Problem(
    "no-dry-run",
    501,
    "This server cannot tell outcomes beforehand: it may not read the orders.",
    "The operator of this server has not allowed dry-runs. Orders are taken in as ever.",
    "Ask the operator, who finds it in docs/operating.md under Roles and rights.",
)
SHUTTING_DOWN = Problem(
    "shutting-down", 503, "This server is shutting down.", "It is being stopped or replaced.", _AGAIN
)
NOT_READY = Problem(
    "not-ready",
    503,
    "This server is not ready yet.",
    "It has just started, or its topics in Kafka are not as they must be.",
    _AGAIN,
)
NOT_APPLIED_NOW = Problem(
    "not-applied-now",
    503,
    "Orders cannot be applied at the moment.",
    "What is behind Kafka has stopped, so no order is taken in that might never be applied.",
    f"{_AGAIN} The operator has to act first.",
)
KAFKA_UNREACHABLE = Problem(
    "kafka-unreachable", 503, "Kafka is not reachable.", "No broker of Kafka answers this server.", _AGAIN
)
KAFKA_DOES_NOT_ACCEPT = Problem(
    "kafka-does-not-accept",
    503,
    "Kafka does not accept records at the moment.",
    "What this server may hold back for Kafka is full, or its connection to Kafka has failed for good.",
    _AGAIN,
)
TOO_LARGE_FOR_KAFKA = Problem(
    "too-large-for-kafka",
    503,
    "Kafka does not take the orders of this request, because they are too large for its topic. None of "
    "them was published. To send them again helps only after the operator of this server has run: orders setup",
    "The topic was made too small while this server ran.",
    "Tell the operator, and send the request again later.",
)
CROWDED = Problem(
    "crowded",
    503,
    "Too many {what} are in flight.",
    "All partners together have sent more than this server holds. `what` is `requests`, `orders` or `bytes`.",
    _AGAIN,
)
ORDERS_UNREADABLE = Problem(
    "orders-unreadable",
    503,
    "The orders cannot be read at the moment.",
    "Postgres does not answer, so this dry-run cannot tell outcomes. Orders are still taken in.",
    "Ask again after `Retry-After` seconds.",
)
LEDGER_UNREADABLE = Problem(
    "ledger-unreadable",
    503,
    "The status of requests cannot be read at the moment.",
    "Postgres does not answer. Orders are still taken in.",
    "Ask again after `Retry-After` seconds.",
)
NOT_CONFIRMED = Problem(
    "not-confirmed",
    504,
    "The orders were published, but their outcome is not known yet. They may still be applied: see Location. "
    "If this request has an Idempotency-Key, send it again with that key: it counts once. If it has none, send "
    "it again only if you sent nothing newer for its orders meanwhile: what is sent last counts, so older "
    "values would replace newer ones.",
    "The orders are in Kafka, or perhaps are, and did not come back in time.",
    f"{_LOOK} Or do as the text says.",
)

REFUSED_LATER = "refused when it was applied: see the dead-letter topic"
"""The reason of an order that is `invalid` although the ingress took it. It stands with `violations.REASONS`."""
PROBLEMS = [value for value in vars().values() if isinstance(value, Problem)]
