"""The AsyncAPI 3.0 document, from the point of view of a shop: `receive` is what a shop reads."""

import json
from typing import Any
from uuid import UUID

from contracts import limits
from contracts.event import Headers, HeaderWriter, ReplyTo, RequestContext
from contracts.headers import CORRELATION_ID, REPLY_PARTITION
from contracts.order import Order
from contracts.result import Outcome, encode_outcomes, encode_result, encode_results, outcomes_of
from contracts.sample import SAMPLE_BODY
from contracts.topic_spec import TopicSpec
from contracts.topics import Topics
from deploy.asyncapi.schemas import VERSION, schemas

Document = dict[str, Any]

_BINDING = {"bindingVersion": "0.5.0"}
_EXAMPLE_ID = UUID("019e0000-0000-7000-8000-000000000001")
_BOOLEANS = {"true": True, "false": False}
_LISTS, _TEXTS = {"cleanup.policy"}, {"message.timestamp.type"}


def document() -> Document:
    topics = Topics()
    specs = {spec.name: spec for spec in topics.specs()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "order-upsert",
            "version": VERSION,
            "description": (
                "For shops that read or write the topics themselves. A shop reads what `receive` names and writes what "
                "`send` names. An installation with another ORDERS_TOPIC_PREFIX uses that prefix instead of `orders`. "
                "The topic of partners' tokens is not for shops and is not described here."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "upserts": _channel(
                specs[topics.upserts],
                ["orderUpsert"],
                "Every order event, kept forever. Events count in offset order, except redriven ones. The "
                f"partition is murmur2(key) modulo {specs[topics.upserts].partitions}, as in Java's producer; with "
                "librdkafka, set the partitioner `murmur2_random`. An event in another partition becomes a dead "
                "letter, and so does a record that does not match this description. A reader sees such records too "
                "and skips them.",
            ),
            "results": _channel(
                specs[topics.results],
                ["outcome", "outcomes"],
                "Outcomes of orders that came over HTTP, of one request or of several in a record. Other writers name "
                "a topic of their own; it gets a record for each request.",
            ),
            "replies": {
                "address": None,
                "description": "A topic of the writer. Its events name it in the header kafka_replyTopic. If the topic "
                "does not accept a record, it gets no records for a minute. It must not be compacted "
                "(cleanup.policy=delete): several outcomes of a request have the same key, and each has other indexes.",
                "messages": {"outcome": _ref("components", "messages", "outcome")},
            },
            "deadLetters": _channel(
                specs[topics.dlq],
                ["deadLetter", "settledLetter"],
                "Events that could not be applied, unchanged, each with the reason. Notes say which were redriven, "
                "discarded or reopened.",
            ),
        },
        "operations": {
            "readOrders": _operation("receive", "upserts", ["orderUpsert"], "Follow every change of every order."),
            "writeOrder": {
                **_operation("send", "upserts", ["orderUpsert"], "Write an order without the ingress."),
                "reply": {
                    "address": {"location": "$message.header#/kafka_replyTopic"},
                    "channel": _ref("channels", "replies"),
                    "messages": [_ref("channels", "replies", "messages", "outcome")],
                },
            },
            "receiveOutcome": _operation("receive", "replies", ["outcome"], "Receive the outcomes of your own events."),
            "watchOutcomes": _operation(
                "receive", "results", ["outcome", "outcomes"], "Watch the outcomes of all HTTP orders."
            ),
            "readDeadLetters": _operation(
                "receive",
                "deadLetters",
                ["deadLetter", "settledLetter"],
                "Read what could not be applied, and why.",
            ),
        },
        "components": {"messages": _messages(), "schemas": schemas()},
    }


def _messages() -> Document:
    order_key = {"type": "string", "maxLength": limits.ORDER_ID_CHARS_MAX, "description": "The order_id, as UTF-8."}
    any_key = {"description": "The key of the event."}
    return {
        "orderUpsert": {
            "title": "An order, new or changed",
            "summary": "CloudEvents 1.0, Kafka protocol binding, binary content mode.",
            "description": "The ingress writes a narrower form: the schemas `canonical-order` and "
            "`ingress-event-headers`. An event is a repeat and changes nothing if an earlier event has the same "
            "ce_source, ce_id and ce_requestdigest. An event with the headers ce_origin… was redriven from the dead "
            "letters. It counts at the partition and offset that these headers name. The header ce_type names the form "
            "of the value. An order in a later form has another type. Stop at a type that you do not know, and get a "
            "newer reader.",
            "headers": _schema("event-headers"),
            "payload": _schema("order"),
            "bindings": {"kafka": {"key": order_key, **_BINDING}},
            "examples": [_order_example()],
        },
        "outcome": {
            "title": "Outcomes of a request",
            "description": "A request is complete when ce_requestsize less ce_requestinvalid different indexes have "
            "arrived.",
            "headers": _schema("result-headers"),
            "payload": _schema("result"),
            "correlationId": {"location": "$message.header#/kafka_correlationId"},
            "bindings": {"kafka": {"key": {"type": "string", "description": "The request id."}, **_BINDING}},
            "examples": [_outcome_example()],
        },
        "outcomes": {
            "title": "Outcomes of several requests",
            "description": "Those of one partition of orders.results that were applied together.",
            "payload": _schema("results"),
            "bindings": {"kafka": {**_BINDING}},
            "examples": [_outcomes_example()],
        },
        "deadLetter": {
            "title": "An event that could not be applied",
            "description": "Key, value and all other headers are those of the event. They may be invalid. What is "
            "too large for the letter is left out, the value first: then orders_letter_left_out_value_bytes and "
            "…_sha256 describe it (the same for `headers` and `key`), and the event itself is in orders.upserts. If "
            "the broker does not take the time of the event, orders_letter_time has it, in ms since 1970.",
            "contentType": "application/octet-stream",
            "headers": _schema("dead-letter-headers"),
            "bindings": {"kafka": {"key": any_key, **_BINDING}},
        },
        "settledLetter": {
            "title": "A letter was redriven or discarded, or is open again",
            "description": "Has no value. The letter stays in the topic forever. `reopened` takes a discard back.",
            "headers": _schema("settled-letter-headers"),
            "bindings": {"kafka": {"key": any_key, **_BINDING}},
        },
    }


def _channel(spec: TopicSpec, messages: list[str], about: str) -> Document:
    return {
        "address": spec.name,
        "description": about,
        "messages": {name: _ref("components", "messages", name) for name in messages},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": {name: _config(name, value) for name, value in spec.config.items()},
                **_BINDING,
            }
        },
    }


def _config(name: str, value: str) -> object:
    """The value as the Kafka binding types it: a list, a string or a number."""
    if name in _LISTS:
        return value.split(",")
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    return value if name in _TEXTS else int(value)


def _operation(action: str, channel: str, messages: list[str], summary: str) -> Document:
    return {
        "action": action,
        "channel": _ref("channels", channel),
        "summary": summary,
        "messages": [_ref("channels", channel, "messages", name) for name in messages],
    }


def _ref(*steps: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(steps)}


def _schema(name: str) -> dict[str, str]:
    return _ref("components", "schemas", name)


def _order_example() -> Document:
    order = Order.model_validate(json.loads(SAMPLE_BODY)["data"][0])
    context = RequestContext(_EXAMPLE_ID, "demo", size=1, invalid=0, reply_to=ReplyTo("shop.outcomes", 0))
    headers: Any = HeaderWriter(context).headers(0)
    return {"headers": readable(headers), "payload": json.loads(order.canonical())}


def _outcome_example() -> Document:
    outcomes = encode_outcomes(outcomes_of([(0, Outcome.INSERTED)]))
    return {
        "headers": {CORRELATION_ID.name: str(_EXAMPLE_ID)},
        "payload": json.loads(encode_result(_EXAMPLE_ID, outcomes)),
    }


def _outcomes_example() -> Document:
    result = encode_result(_EXAMPLE_ID, encode_outcomes(outcomes_of([(0, Outcome.INSERTED)])))
    return {"payload": json.loads(encode_results([result]))}


def readable(headers: Headers) -> dict[str, str]:
    """Headers of a record in the form that the schemas describe: strings, with the reply partition in hex digits."""
    return {
        name: value.hex() if name == REPLY_PARTITION.name else value.decode(errors="replace")
        for name, value in headers
        if value is not None
    }
