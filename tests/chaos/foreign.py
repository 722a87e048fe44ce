"""A writer of its own: events beside those of the ingress, and records that each make a step of the consumer fail.

What must become of a record is said by its key: `foreign-letter-...` or `foreign-applied-...`.
"""

import json
import threading
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from chaos.begun import Begun
from chaos.cluster import Cluster
from chaos.workload import canonical_of
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS, Topics
from support.waiting import HANG_S

FOREIGN = "foreign"
LETTER = "foreign-letter-"
APPLIED = "foreign-applied-"
DELIVERY_S = HANG_S
_MEGABYTE = 1024 * 1024


def is_poison(key: bytes | None) -> bool:
    """Whether a record with this key must end as a dead letter."""
    return (key or b"").startswith(LETTER.encode())


def canonical_value(order_id: str) -> bytes:
    """The value of the events that must be applied."""
    return canonical_of(FOREIGN, (order_id, 1))


def records(topics: Topics, number: int) -> list[dict[str, Any]]:
    """Arguments of `Producer.produce`, for records with this number in their keys."""
    return [*_poison(number), *_odd(topics, number)]


def _poison(number: int) -> list[dict[str, Any]]:
    def record(name: str, value: bytes | None, headers: list[tuple[str, Any]], moved: int = 0) -> dict[str, Any]:
        key = f"{LETTER}{name}-{number}"
        partition = (partition_of(key.encode(), UPSERT_PARTITIONS) + moved) % UPSERT_PARTITIONS
        return {"key": key, "value": value, "headers": headers, "partition": partition}

    return [
        record("no-headers", b"{}", []),
        record("strange-headers", b"{}", [*_headers()[1:], ("ce_id", b"\xff")]),
        record("large-header", b"{}", [("large", b"x" * 3 * _MEGABYTE)]),
        record("large-value", b"x" * 3 * _MEGABYTE, _headers()),
        record("deep-value", b"[" * 200_000, _headers()),
        record("no-value", None, _headers()),
        record("misplaced", canonical_value(f"{LETTER}misplaced-{number}"), _headers(), 1),
        record("not-an-order", json.dumps({"order_id": f"{LETTER}not-an-order-{number}"}).encode(), _headers()),
    ]


def _odd(topics: Topics, number: int) -> list[dict[str, Any]]:
    def replying(name: str, topic: str, partition: int | None = None) -> dict[str, Any]:
        return applied_record(name, number, ReplyTo(topic, partition))

    return [
        replying("no-such-partition", topics.results, 16),
        replying("dots", ".."),
        replying("unknown", "no.such.topic"),
        replying("internal", "__consumer_offsets", 0),
        replying("ours", topics.partners, 0),
    ]


def applied_record(name: str, number: int, reply_to: ReplyTo | None = None) -> dict[str, Any]:
    key = f"{APPLIED}{name}-{number}"
    return {"key": key, "value": canonical_value(key), "headers": _headers(reply_to)}


def _headers(reply_to: ReplyTo | None = None) -> list[tuple[str, Any]]:
    return HeaderWriter(RequestContext(uuid4(), FOREIGN, 1, 0, reply_to)).headers(0)


def write_poison(cluster: Cluster, choice: int) -> Begun:
    """In a thread that may outlive the fault, because a broker may be away. The nemesis waits for it when it heals."""
    topics, bootstrap = cluster.installation.settings.topics, cluster.installation.bootstrap

    def write() -> None:
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "compression.type": "gzip",
                "message.max.bytes": 10 * _MEGABYTE,
                "message.timeout.ms": int(DELIVERY_S * 1000),
                "log_level": 0,
            }
        )
        for record in records(topics, choice):
            producer.produce(topics.upserts, **record)
        producer.flush(DELIVERY_S + 1)

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    cluster.writing.append(writing)
    return Begun(f"number {choice}", lambda: None)
