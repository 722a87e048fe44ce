"""The schemas of the document: bodies as they come, and as they are answered.

They use only keywords that `tests/support/compatibility.py` can compare. The order's schema is that of its model, so it
says what is refused with 400: all that JSON Schema can say of it. The rest is in descriptions.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from contracts import limits
from contracts.json_schema import any_amount, any_integer
from contracts.order import Order, Product, canonical_amount
from contracts.own_requests import REQUESTS_PER_PAGE_MAX
from contracts.result import Outcome
from ingress.batch import PART_VALUES_MAX, VALUES_MAX
from ingress.body import BODY_BYTES_MAX

Schema = dict[str, Any]

_COUNTS = {
    "skipped": "Orders with the same value as before, with invalid data, or older than what was applied before.",
    "inserted": "Orders that were new.",
    "updated": "Orders that were known, with another value.",
}
READINESS = (
    "partners_read",
    "reply_partition_assigned",
    "topics_as_set_up",
    "broker_reachable",
    "accepting",
    "log_as_applied",
    "consumers_not_halted",
)


def ref(name: str, kind: str = "schemas") -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def schemas() -> dict[str, Schema]:
    """All schemas by name."""
    request_id = {"type": "string", "format": "uuid", "description": "In lower case."}
    text = {"type": "string"}
    index = {"type": "integer", "minimum": 0, "maximum": limits.ORDERS_PER_REQUEST_MAX - 1}
    outcome = {
        "type": "string",
        "enum": list(Outcome),
        "description": "`stale`: a newer event of the order was applied before.",
    }
    counts = {name: {**_count(), "description": about} for name, about in _COUNTS.items()}
    order_outcomes = {
        "type": "array",
        "items": object_of({"index": index, "outcome": outcome}, "What became of one order."),
        "maxItems": limits.ORDERS_PER_REQUEST_MAX,
    }
    return {
        "Batch": object_of(
            {"data": {"type": "array", "items": ref("Order"), "maxItems": limits.ORDERS_PER_REQUEST_MAX}},
            f"JSON in UTF-8 of at most {BODY_BYTES_MAX} bytes and {VALUES_MAX} values ({PART_VALUES_MAX} in one order, "
            "or beside `data`). Unknown fields are ignored; like all of the body, they have no NUL character.",
        ),
        **_of_the_model(Order),
        "Counts": object_of(
            {
                "message": {**text, "description": "The counts as a sentence."},
                **counts,
                "orders": {
                    "type": "array",
                    "items": ref("OrderOutcome"),
                    "maxItems": limits.ORDERS_PER_REQUEST_MAX,
                    "description": "Only with `Prefer: return=representation`.",
                },
            },
            "inserted + updated + skipped is the number of orders in `data`.",
            optional=["orders"],
            closed=True,
        ),
        "OrderOutcome": object_of(
            {
                "index": {**index, "description": "Its place in `data`, from 0."},
                "order_id": text,
                "outcome": outcome,
                "reason": {**text, "description": "Why it is invalid."},
            },
            "What became of one order.",
            optional=["reason"],
        ),
        "Accepted": object_of(
            {"request_id": request_id, "status": {"const": "pending"}},
            "Every order is in Kafka; the outcome is not known yet.",
        ),
        "RequestStatus": object_of(
            {
                "request_id": request_id,
                "status": {
                    "type": "string",
                    "enum": ["pending", "partial", "done"],
                    "description": "`pending`: nothing is applied yet. `partial`: some orders have no outcome yet.",
                },
                "size": {
                    "anyOf": [_count(), {"type": "null"}],
                    "description": "Orders of the request; null as long as nothing is known of it.",
                },
                **counts,
                "orders": order_outcomes,
            },
            "The status of a request, with the outcomes that are known.",
        ),
        "Requests": object_of(
            {
                "requests": {"type": "array", "items": ref("OwnRequest"), "maxItems": REQUESTS_PER_PAGE_MAX},
                "next": {
                    "anyOf": [text, {"type": "null"}],
                    "description": "The path of the next page; null if there is none. A page may be empty and not the "
                    "last one.",
                },
            },
            "A page of your own requests, the newest first.",
        ),
        "OwnRequest": object_of(
            {
                "request_id": request_id,
                "published_at": {"type": "string", "format": "date-time", "description": "Its first event, in Kafka."},
                "status": {"type": "string", "enum": ["partial", "done"]},
                "size": {"anyOf": [_count(), {"type": "null"}], "description": "Orders of the request."},
                **counts,
            },
            "One request. Its status has the outcome of each order.",
        ),
        "Violation": object_of({"path": _PATH, "error": text}, "What is wrong, and with which value."),
        "BadRequest": object_of(
            {
                "path": _PATH,
                "error": text,
                "violations": {
                    "type": "array",
                    "items": ref("Violation"),
                    "maxItems": limits.VIOLATIONS_MAX,
                    "description": "Only with `Prefer: handling=strict`: all of them, in document order.",
                },
            },
            "The first violation in document order.",
            optional=["violations"],
        ),
        "Error": object_of({"error": {**text, "description": "What is wrong, and what to do."}}, "Why it was refused."),
        "Problem": object_of(
            {
                "type": {**text, "format": "uri", "description": "A page about this kind of error."},
                "title": {**text, "description": "The kind of error."},
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "That of the answer."},
                "detail": {**text, "description": "What is wrong this time, and what to do."},
                "violations": {"type": "array", "items": ref("Violation"), "maxItems": limits.VIOLATIONS_MAX},
            },
            "The same as RFC 9457 has it, for clients that accept `application/problem+json`.",
            optional=["violations"],
        ),
        "Health": object_of({"status": {"const": "ok"}}, "The process runs."),
        "Readiness": object_of(
            {name: {"type": "boolean"} for name in READINESS}, "The process serves requests if all are true."
        ),
    }


_PATH = {"type": "string", "description": "As in `data[0].email`. Empty for the body itself; or the name of a header."}


def object_of(
    properties: dict[str, Schema], about: str, *, optional: list[str] | None = None, closed: bool = False
) -> Schema:
    required = [name for name in properties if name not in (optional or ())]
    made: Schema = {"description": about, "type": "object", "properties": properties, "required": required}
    return {**made, "additionalProperties": False} if closed else made


def _count() -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": limits.ORDERS_PER_REQUEST_MAX}


class _Generator(GenerateJsonSchema):
    """Writes no titles and defaults, and what the order's own validators do."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def custom_error_schema(self, schema: core_schema.CustomErrorSchema) -> JsonSchemaValue:
        assert schema["custom_error_type"] == "integer"
        return any_integer()

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        assert schema["function"]["function"] is canonical_amount
        return any_amount()


def _of_the_model(model: type[BaseModel]) -> dict[str, Schema]:
    """Its schema and those of its parts, each by its name."""
    made = model.model_json_schema(schema_generator=_Generator, ref_template=ref("{model}")["$ref"])
    about = {
        Order.__name__: f"In at most {limits.ORDER_BYTES_MAX} bytes, without white space and ignored fields. Null for "
        "an optional field is the same as leaving it out. Skipped and counted as invalid if a required text is blank, "
        "if an amount, total, discount or quantity is negative, or if a `qty` is below 1.",
        Product.__name__: "One line of an order.",
    }
    parts = {**made.pop("$defs"), model.__name__: made}
    return {
        name: {
            "description": about[name],
            **{word: said for word, said in part.items() if word not in ("title", "description")},
        }
        for name, part in parts.items()
    }
