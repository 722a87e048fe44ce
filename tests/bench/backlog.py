"""Backlogs to catch up with: events as our ingress writes them, and the same orders as Debezium's sink can read them.

The sink needs a schema and has no column for a list of objects. So its values have the same fields, with the partner,
which is a header of ours, and with `products` as the text of its JSON. Keys, headers and compression are the same.
"""

import json
import random
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from bench.sample import order_template
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.order import Order

PARTNER = "bench"
ORDERS_PER_REQUEST = 500
_TEMPLATES = 500
_FLUSH_EVERY_EVENTS = 20_000


def canonical_templates() -> list[bytes]:
    """Canonical JSON with `%d` where an order's number and its total stand."""
    rng = random.Random(5)
    orders = [Order.model_validate_json(order_template(rng, 1) % (0, 0)) for _ in range(_TEMPLATES)]
    return [_with_places(order.canonical()) for order in orders]


def flat_templates() -> list[bytes]:
    """The same for Debezium's sink."""
    return [_with_places(_flat(template % (0, 0))) for template in canonical_templates()]


def _flat(canonical: bytes) -> bytes:
    order = json.loads(canonical)
    order["products"] = json.dumps(order["products"], separators=(",", ":"))
    return json.dumps({"partner_id": PARTNER, **order}, separators=(",", ":")).encode()


def _with_places(value: bytes) -> bytes:
    return value.replace(b'"ORD-0000000000"', b'"ORD-%010d"').replace(b'"total_amount":0', b'"total_amount":%d')


def write_backlog(bootstrap: str, topic: str, templates: list[bytes], events: int, first: int, total: int) -> None:
    """Orders numbered from `first` on, in requests that nobody waits for."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    for number, (key, value, headers) in enumerate(_events(templates, events, first, total)):
        producer.produce(topic, value, key, headers=headers)
        if number % _FLUSH_EVERY_EVENTS == 0:
            producer.flush()
    if producer.flush(30):
        raise RuntimeError("the backlog was not written")


def _events(templates: list[bytes], events: int, first: int, total: int) -> Iterator[tuple[bytes, bytes, list[Any]]]:
    for start in range(first, first + events, ORDERS_PER_REQUEST):
        context = RequestContext(uuid4(), PARTNER, ORDERS_PER_REQUEST, 0, ReplyTo(None, 0))
        headers = HeaderWriter(context)
        for index in range(min(ORDERS_PER_REQUEST, first + events - start)):
            number = start + index
            value = templates[number % len(templates)] % (number, total)
            yield b"ORD-%010d" % number, value, headers.headers(index)
