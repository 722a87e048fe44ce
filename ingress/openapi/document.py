"""The OpenAPI document, whole."""

from contracts import limits
from ingress.auth import TOKEN_CHARS_MAX
from ingress.batch import PART_VALUES_MAX, VALUES_MAX
from ingress.body import BODY_BYTES_MAX
from ingress.openapi.operations import operations, parameters
from ingress.openapi.schemas import Schema, schemas
from ingress.protocol import HEADER_BYTES_MAX, HEADERS_MAX, PIECES_MAX, PIPELINED_REQUESTS_MAX

VERSION = "1.0"
"""Of the HTTP API. Every published version stays in contracts/published/http; what programs rely on needs a new one."""
INFO: Schema = {
    "title": "order-upsert",
    "version": VERSION,
    "description": (
        "Post orders in batches. The answer says how many were inserted, updated and skipped. After a 4xx or a 503, "
        "nothing of the request is or will be applied. After a 504, or if the connection broke, the orders may be "
        "applied, now or later: with an `Idempotency-Key`, send the request again. Whatever can be read with GET has a "
        "HEAD too. Another path is answered with 404, another method with 405 and `Allow`, each with an `error`."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS = [
    {"name": "orders", "description": "For partners."},
    {"name": "operation", "description": "For who operates the server. They need no token."},
]
LIMITS = {
    "orders_per_request_max": limits.ORDERS_PER_REQUEST_MAX,
    "products_per_order_max": limits.PRODUCTS_PER_ORDER_MAX,
    "body_bytes_max": BODY_BYTES_MAX,
    "order_bytes_max": limits.ORDER_BYTES_MAX,
    "body_values_max": VALUES_MAX,
    "order_values_max": PART_VALUES_MAX,
    "body_chunks_max": PIECES_MAX,
    "head_bytes_max": HEADER_BYTES_MAX,
    "headers_max": HEADERS_MAX,
    "token_chars_max": TOKEN_CHARS_MAX,
    "requests_waiting_per_connection_max": PIPELINED_REQUESTS_MAX,
    "violations_max": limits.VIOLATIONS_MAX,
}
"""Those that no schema says."""


def completed(of_fastapi: Schema) -> Schema:
    """The document, from what FastAPI makes of the routes: paths, operationIds, summaries and tags."""
    about = operations()
    paths: Schema = {
        path: {method: {**operation, **about.pop(operation["operationId"])} for method, operation in item.items()}
        for path, item in of_fastapi["paths"].items()
    }
    assert not about, f"no route has {about.keys()}"
    return {
        **of_fastapi,
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "parameters": parameters(),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "token",
                    "description": "Your token, once. It says which partner you are.",
                }
            },
        },
        "x-limits": LIMITS,
    }
