"""How fast consumers catch up with a backlog: events that are new orders, and then the same ones once more."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from bench.sample import order_template
from bench.stack import Stack
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.order import Order

ORDERS_PER_REQUEST = 500
_TEMPLATES = 500
_CHECK_S = 0.02
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class CaughtUp:
    """A backlog that was worked off, from the first commit to the last. `cpu_s_per_10k`: by process."""

    backlog: str
    consumers: int
    events_per_s: float
    cpu_s_per_10k: dict[str, float]
    consumer_mib: float
    wal_bytes_per_event: float


def write_backlog(stack: Stack, events: int, first: int, total: int) -> None:
    """Events as our ingress writes them, numbered from `first` on, in requests that nobody waits for."""
    topics = stack.installation.settings.topics
    producer = Producer(
        {
            "bootstrap.servers": stack.kafka.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    for number, (key, value, headers) in enumerate(_events(topics.results, events, first, total)):
        producer.produce(topics.upserts, value, key, headers=headers)
        if number % 20_000 == 0:
            producer.flush()
    if producer.flush(30):
        raise RuntimeError("the backlog was not written")


def catch_up(stack: Stack, backlog: str, consumers: int) -> CaughtUp:
    """Starts `consumers`, and measures from their first commit until they stand at the end; stops them again."""
    installation = stack.installation
    ends = sum(installation.end_offsets(installation.settings.topics.upserts).values())
    start = stack.applied()
    stack.consumers = [stack.launch_consumer() for _ in range(consumers)]
    meter = stack.meter()
    deadline = time.monotonic() + _TIMEOUT_S
    while (first := stack.applied()) == start:
        _wait(deadline)
    before, from_s = meter.read(), time.perf_counter()
    while (applied := stack.applied()) < ends:
        _wait(deadline)
    seconds, after = time.perf_counter() - from_s, meter.read()
    meter.close()
    events = applied - first
    for child in stack.consumers:
        child.stop()
    stack.consumers = []
    return CaughtUp(
        backlog=backlog,
        consumers=consumers,
        events_per_s=events / seconds,
        cpu_s_per_10k={name: cpu_s / events * 10_000 for name, cpu_s in after.cpu_since(before).items()},
        consumer_mib=max(size for name, size in after.memory_bytes.items() if name.startswith("consumer")) / 2**20,
        wal_bytes_per_event=(after.wal_bytes - before.wal_bytes) / events,
    )


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("the consumers did not catch up")
    time.sleep(_CHECK_S)


def _events(reply_topic: str, events: int, first: int, total: int) -> Iterator[tuple[bytes, bytes, list[Any]]]:
    rng = random.Random(5)
    templates = [Order.model_validate_json(order_template(rng, 1) % (0, 0)) for _ in range(_TEMPLATES)]
    for start in range(first, first + events, ORDERS_PER_REQUEST):
        context = RequestContext(uuid4(), "bench", ORDERS_PER_REQUEST, 0, ReplyTo(reply_topic, 0))
        headers = HeaderWriter(context)
        for index in range(min(ORDERS_PER_REQUEST, first + events - start)):
            number = start + index
            order = templates[number % _TEMPLATES].model_copy(
                update={"order_id": f"ORD-{number:010}", "total_amount": total}
            )
            yield order.order_id.encode(), order.canonical(), headers.headers(index)
