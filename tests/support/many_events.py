"""A topic with a long history, written as the ingress and other writers write it."""

import json
import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from confluent_kafka import Producer

from contracts.event import HeaderWriter, RequestContext
from contracts.order import Order
from support.installation import Installation
from support.orders import an_order
from support.waiting import HANG_S

ORDERS_PER_REQUEST = 100
PARTNERS = 3
Event = tuple[str, bytes, Any]
"""Key, value, headers."""


def history(events: int, orders: int, seed: int, changed: float = 0.6, broken: float = 0.1) -> Iterator[Event]:
    """First each order once, then any order again: a new value of it in the share `changed`, else the same value.

    In requests of ORDERS_PER_REQUEST orders of three partners; every fifth request has an Idempotency-Key, and some of
    those are asked again, with the same body. In the share `broken` of the requests one event is not an order.
    """
    chosen = random.Random(seed)
    versions = [0] * orders
    number = 0
    again: list[Event] = []
    while number < events:
        request = number // ORDERS_PER_REQUEST
        digest = f"{request:032x}" if request % 5 == 0 else None
        partner = request % PARTNERS
        request_id = UUID(int=(seed << 64) + request)
        writer = HeaderWriter(RequestContext(request_id, f"p-{partner}", ORDERS_PER_REQUEST, 0, digest=digest))
        written: list[Event] = []
        for index in range(min(ORDERS_PER_REQUEST, events - number)):
            order = number if number < orders else _any_of(partner, orders, chosen)
            versions[order] += number >= orders and chosen.random() < changed
            written.append((f"M-{order}", _value(order, versions[order]), writer.headers(index)))
            number += 1
        if chosen.random() < broken:
            key, _, headers = written[0]
            written[0] = key, b'{"broken', headers
        yield from written
        if digest is not None and chosen.random() < 0.2:
            again = written
        if again and chosen.random() < 0.1:
            yield from again
            number += len(again)
            again = []


def _any_of(partner: int, orders: int, chosen: random.Random) -> int:
    """An order of a partner: it has every third request of the first ones."""
    while True:
        order = chosen.randrange(orders)
        if order // ORDERS_PER_REQUEST % PARTNERS == partner:
            return order


def _value(order: int, version: int) -> bytes:
    changes = {"name": f"name {version}", "total_amount": order, "address": f"{order} Main Street, version {version}"}
    return Order.model_validate(an_order(f"M-{order}", **changes)).canonical()


def write(installation: Installation, events: Iterator[Event]) -> int:
    """Returns how many were written."""
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 200_000,
            "enable.idempotence": True,
        }
    )
    topic, count = installation.settings.topics.upserts, 0
    for key, value, headers in events:
        while True:
            try:
                producer.produce(topic, value, key, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        producer.poll(0)
    assert producer.flush(HANG_S) == 0
    return count


def as_json(order: int, version: int) -> dict[str, Any]:
    """The order of one such event."""
    loaded: dict[str, Any] = json.loads(_value(order, version))
    return loaded
