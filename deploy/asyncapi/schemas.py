"""The JSON Schemas of the records in the topics, made from the models and from the rules that the reader applies.

They are draft 7, the default dialect of AsyncAPI 3. They have no references, so that each is complete by itself. They
use only keywords that `tests/support/compatibility.py` can compare. Their descriptions are part of the published
version, so an edit of a description needs a new VERSION too.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from consumer.letters.letter import OFFSET_HEADER, PREFIX, SETTLED_HEADER, Settled
from contracts import headers, limits
from contracts.headers import Header
from contracts.json_schema import JsonSchema
from contracts.result import Outcome
from contracts.strict_order import StrictOrder

VERSION = "2.0"
"""Version of the schemas. Every published version stays in contracts/published/schemas; a change needs a new one."""


def schemas() -> dict[str, JsonSchema]:
    """All schemas by name. The consumer reads `order` and `event-headers`. This system writes all the others."""
    return {
        "order": _of_the_order(
            "validation",
            f"An order as any writer may spell it, in at most {limits.ORDER_BYTES_MAX} bytes of UTF-8. Unknown fields "
            "are ignored, null for an optional field is the same as leaving it out, and no text has a NUL character.",
        ),
        "event-headers": _of_an_event(
            [header for header in headers.EVENT if header.is_required],
            "What the consumer reads in the headers of an order event; other headers are ignored. Of a header that "
            "stands there twice the last one counts. Header values are UTF-8, but for kafka_replyPartition.",
            read_only=True,
        ),
        "canonical-order": _of_the_order(
            "serialization",
            "An order as the ingress writes it: fields in this order, no white space, absent optionals left out.",
        ),
        "ingress-event-headers": _of_an_event(
            list(headers.WRITTEN_ALWAYS), "The headers of an order event that the ingress wrote.", read_only=False
        ),
        "result": _result(),
        "results": _object(
            {"results": {"type": "array", "items": _result()}},
            ["results"],
            "Outcomes of several requests that came over HTTP, each as in `result`. The record has no key.",
        ),
        "result-headers": _object(
            {headers.CORRELATION_ID.name: {"description": "That of the event, byte for byte, or else the request id."}},
            [headers.CORRELATION_ID.name],
            "Headers of an outcome. The request id is also its key, and in its value.",
        ),
        "dead-letter-headers": _dead_letter_headers(),
        "settled-letter-headers": _object(
            {
                SETTLED_HEADER: {"type": "string", "enum": [settled.value for settled in Settled]},
                OFFSET_HEADER: _header(headers.ORIGIN_OFFSET, "Of the letter, in this partition."),
            },
            [SETTLED_HEADER, OFFSET_HEADER],
            "A note that a letter in the same partition was dealt with, or is open again.",
        ),
    }


class _Generator(GenerateJsonSchema):
    """Writes no references, titles and defaults. In what we write, an optional field is absent and never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = schema["schema"]
        return self.generate_inner(inner) if self.mode == "serialization" else super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def _of_the_order(mode: JsonSchemaMode, about: str) -> JsonSchema:
    """The schema of an order that is applied. It is that of StrictOrder, but it allows unknown fields."""
    made = StrictOrder.model_json_schema(schema_generator=_Generator, mode=mode)
    definitions = made.pop("$defs")

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(definitions[node["$ref"].removeprefix("#/$defs/")])
        return {
            name: {field: plain(said) for field, said in value.items()} if name == "properties" else plain(value)
            for name, value in node.items()
            if name not in ("title", "additionalProperties")
        }

    return {"description": about, **{name: value for name, value in plain(made).items() if name != "description"}}


def _object(properties: dict[str, JsonSchema], required: list[str], about: str) -> JsonSchema:
    return {"description": about, "type": "object", "properties": properties, "required": required}


def _of_an_event(required: list[Header], about: str, *, read_only: bool) -> JsonSchema:
    """Headers of an event. With `read_only`, a header that the consumer does not read may have any value."""
    origin = [header.name for header in headers.ORIGIN]
    properties = {
        header.name: {"description": _about(header)} if read_only and not header.is_read else _header(header)
        for header in headers.EVENT
    }
    said = _object(properties, [header.name for header in required], about)
    return {**said, "dependencies": {name: [other for other in origin if other != name] for name in origin}}


def _header(header: Header, about: str = "") -> JsonSchema:
    said = {
        "description": about or _about(header),
        "type": "string",
        "pattern": f"^(?:{header.pattern.pattern})$",
    }
    return {**said, "contentEncoding": "base16"} if header.is_binary else said


def _about(header: Header) -> str:
    return f"Should be {header.should}. {header.about}".rstrip()


def _result() -> JsonSchema:
    index = {"type": "integer", "minimum": 0, "maximum": limits.ORDERS_PER_REQUEST_MAX - 1}
    indexes = {"type": "array", "items": index, "maxItems": limits.ORDERS_PER_REQUEST_MAX}
    names = [outcome.value for outcome in Outcome]
    outcomes = _object(
        {name: dict(indexes) for name in names}, names, "The indexes of the request's events, by what became of them."
    )
    return _object(
        {
            "request_id": _header(headers.CORRELATION_ID, "That of ce_id, before the slash."),
            "digest": _header(headers.REQUEST_DIGEST, "ce_requestdigest, where the events have one."),
            "conflict": {"const": True, "description": "Nothing of the request is applied: its id has another digest."},
            "stored": {"const": True, "description": "These are the outcomes of the first time."},
            "outcomes": outcomes,
        },
        ["request_id", "outcomes"],
        "Outcomes of some or all events of a request; the same may come twice.",
    )


def _dead_letter_headers() -> JsonSchema:
    text = {"type": "string"}
    said = {
        "topic": {**text, "description": "Where the event stands."},
        "partition": _header(headers.ORIGIN_PARTITION, "Of the event in that topic."),
        "offset": _header(headers.ORIGIN_OFFSET, "Of the event in that topic."),
        "connector.name": text,
        "stage": {
            **text,
            "description": "HEADER_CONVERTER, VALUE_CONVERTER, TRANSFORMATION or TASK_PUT; more may come.",
        },
        "exception.class.name": {**text, "description": "What is wrong, for programs."},
        "exception.message": {**text, "description": "What is wrong, for people."},
    }
    return _object(
        {PREFIX + name: schema for name, schema in said.items()},
        [PREFIX + name for name in said],
        "Why an event was not applied, in the terms of Kafka Connect, behind the headers that the event has itself.",
    )
