"""The events of an installation of a year: orders, some with many versions, and what becomes dead letters."""

import random
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from confluent_kafka import Producer

from contracts.event import HeaderWriter, RequestContext
from contracts.order import Order
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS
from support.installation import Installation
from support.orders import an_order
from support.waiting import HANG_S

PARTNERS = 20
ORDERS_PER_REQUEST = 500
HOT = "HOT-1"
"""The order with the most versions, of the first partner."""
REFUSED_NAME = "Mallory"
"""The shop's table refuses orders of this name."""
REFUSED_EVERY = 250
"""Of the letters, those that the table refused: each costs the consumer a dozen transactions."""
HOT_ORDERS_EVERY, HOT_VERSIONS = 1_000, 200
_QUEUED_MAX = 200_000

Event = dict[str, Any]
"""Arguments of `Producer.produce`, without the topic."""


@dataclass(frozen=True)
class Sizes:
    """`versions`: of the order HOT. `letters`: without those of `large` and `cut`. `large`: letters of 1 MB. `cut`:
    letters of events of 3 MB, which have no room for their values."""

    orders: int
    letters: int
    versions: int
    large: int
    cut: int


YEAR = Sizes(orders=1_000_000, letters=50_000, versions=12_000, large=40, cut=20)


def partner(number: int) -> str:
    return f"shop-{number % PARTNERS}"


def orders(sizes: Sizes) -> Iterator[Event]:
    """Each order once, in requests of one partner; then the orders of the first request, one of HOT_ORDERS_EVERY,
    HOT_VERSIONS times more; then the versions of HOT, of which every tenth changes nothing."""
    hot = range(min(ORDERS_PER_REQUEST, sizes.orders // HOT_ORDERS_EVERY))
    numbers = [*range(sizes.orders), *list(hot) * HOT_VERSIONS]
    template = _template()
    for request, first in enumerate(range(0, len(numbers), ORDERS_PER_REQUEST)):
        asked = numbers[first : first + ORDERS_PER_REQUEST]
        is_new = first < sizes.orders
        context = RequestContext(_id(1, request), partner(request if is_new else 0), len(asked), 0)
        writer = HeaderWriter(context)
        for index, number in enumerate(asked):
            key = f"Y-{number}"
            yield {"key": key, "value": _value(template, key, first + index), "headers": writer.headers(index)}
    for version in range(sizes.versions):
        writer = HeaderWriter(RequestContext(_id(2, version), partner(0), 1, 0))
        yield {"key": HOT, "value": _value(template, HOT, version - (version % 10 == 9)), "headers": writer.headers(0)}


def letters(sizes: Sizes) -> Iterator[Event]:
    """Events of six kinds that cannot be applied, in turn, of all partners."""
    template = _template()
    kinds = _no_json, _negative, _no_partner, _misplaced, _incomplete
    for number in range(sizes.letters):
        key = f"L-{number}"
        value = _value(template, key, number)
        request = RequestContext(_id(3, number), partner(number // 7), 1, 0)
        event: Event = {"key": key, "value": value, "headers": HeaderWriter(request).headers(0)}
        if number % REFUSED_EVERY == 0:
            yield {**event, "value": value.replace(b'"name":"', f'"name":"{REFUSED_NAME}'.encode())}
        elif number % 10 == 9:
            yield from _conflict(event, number)
        else:
            yield kinds[number % len(kinds)](event)


def large_letters(sizes: Sizes) -> Iterator[Event]:
    chosen = random.Random(1)
    for number in range(sizes.large):
        yield _too_large(5, f"B-{number}", number, b64encode(chosen.randbytes(740_000)))


def cut_letters(sizes: Sizes) -> Iterator[Event]:
    """Compressed they fit orders.upserts, and their letters do not fit the dead-letter topic."""
    for number in range(sizes.cut):
        yield _too_large(6, f"C-{number}", number, b"x" * 3_000_000)


def publish(installation: Installation, events: Iterator[Event], **config: Any) -> int:
    """Writes them as another writer does, and returns how many there were."""
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": _QUEUED_MAX,
            "enable.idempotence": True,
            **config,
        }
    )
    topic, count, failed = installation.settings.topics.upserts, 0, list[object]()
    for count, event in enumerate(events, 1):  # noqa: B007 - it is the number of all
        while True:
            try:
                producer.produce(topic, **event, on_delivery=lambda error, _: failed.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(HANG_S) == 0
    assert not failed, failed[0]
    return count


def _template() -> bytes:
    return Order.model_validate(an_order("@ID", name="@NAME", address="@NAME Main Street")).canonical()


def _value(template: bytes, key: str, version: int) -> bytes:
    return template.replace(b"@ID", key.encode()).replace(b"@NAME", b"Ada %d" % version)


def _id(kind: int, number: int) -> UUID:
    """Of a request. Two requests of one id would be repeats, and counted once."""
    return UUID(int=(kind << 64) + number)


def _no_json(event: Event) -> Event:
    return {**event, "value": event["value"][:-1]}


def _negative(event: Event) -> Event:
    return {**event, "value": event["value"].replace(b'"discount":0', b'"discount":-1')}


def _incomplete(event: Event) -> Event:
    return {**event, "value": event["value"].replace(b'"user_id"', b'"user"')}


def _no_partner(event: Event) -> Event:
    return {**event, "headers": [header for header in event["headers"] if header[0] != "ce_source"]}


def _misplaced(event: Event) -> Event:
    return {**event, "partition": (partition_of(event["key"].encode(), UPSERT_PARTITIONS) + 1) % UPSERT_PARTITIONS}


def _conflict(event: Event, number: int) -> Iterator[Event]:
    """An Idempotency-Key with one body, which is applied, and then with another."""
    for body in (1, 2):
        context = RequestContext(_id(4, number), partner(number // 7), 1, 0, digest=f"{body:032x}")
        yield {**event, "headers": HeaderWriter(context).headers(0)}


def _too_large(kind: int, key: str, number: int, filling: bytes) -> Event:
    request = RequestContext(_id(kind, number), partner(number), 1, 0)
    value = _value(_template(), key, number).replace(b"Main Street", filling)
    return {"key": key, "value": value, "headers": HeaderWriter(request).headers(0)}
