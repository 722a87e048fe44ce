"""No record stops a partition: for each step of the consumer, a record that makes it fail.

Each of them ends as a letter or as a warning, and the records behind it are applied.
"""

import hashlib
import json
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.event import ReplyTo
from contracts.partitioner import partition_of
from support import raw_headers
from support.commands import orders_here
from support.installation import Installation, headers_of, texts
from support.orders import an_order

PARTNER = "shop"
MEGABYTE = 1024 * 1024
BOMB_PARTITION = 5
PREFIX = "__connect.errors."


def an_event(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": order_id,
        "value": json.dumps(an_order(order_id, **changes.pop("order", {}))),
        "headers": headers_of(PARTNER),
        "partition": partition_of(order_id.encode(), 12),
        **changes,
    }


def padded(*extra: tuple[str, bytes]) -> list[tuple[str, Any]]:
    return [*headers_of(PARTNER), *extra]


def poison(topics: Any) -> dict[str, dict[str, Any]]:
    """By the order's id, events that end as letters."""
    return {
        # headers
        "no-headers": an_event("no-headers", headers=None),
        "many-headers": an_event("many-headers", headers=[(f"h{n}", b"x" * 20) for n in range(50_000)]),
        "large-header": an_event("large-header", headers=[("large", b"x" * 3 * MEGABYTE)]),
        "long-name": an_event("long-name", headers=[("n" * 300_000, b"")]),
        # key and value
        "3-megabytes": an_event("3-megabytes", value=b"x" * 3 * MEGABYTE),
        "deep": an_event("deep", value=b"[" * 200_000),
        "no-value": an_event("no-value", value=None),
        "large-key": an_event("large-key", key=b"k" * 3 * MEGABYTE, partition=3),
        "no-key": an_event("no-key", key=None, partition=3),
        "large-and-large": an_event(
            "large-and-large", value=b"v" * 3 * MEGABYTE, headers=padded(("large", b"x" * 3 * MEGABYTE))
        ),
        # the place that it claims
        "other-place": an_event(
            "other-place",
            headers=padded(
                ("ce_originpartition", str(partition_of(b"other-place", 12)).encode()),
                ("ce_originoffset", b"9" * 18),
                ("ce_origintime", b"2026-01-01T00:00:00Z"),
            ),
        ),
        "misplaced": an_event("misplaced", partition=(partition_of(b"misplaced", 12) + 1) % 12),
        # the table
        "refused": an_event("refused", order={"name": "Mallory"}),
        # headers that a reader of letters could take for its own
        "false-note": an_event(
            "false-note",
            value=b"x" * 3 * MEGABYTE,
            headers=padded(("orders_letter_left_out_value_bytes", b"1"), ("__connect.errors.offset", b"9" * 5000)),
        ),
    }


def odd(topics: Any) -> dict[str, dict[str, Any]]:
    """By the order's id, events that are applied although something about them fails."""

    def replying(order_id: str, topic: str, partition: int | None = None) -> dict[str, Any]:
        return an_event(order_id, headers=headers_of(PARTNER, reply_to=ReplyTo(topic, partition)))

    return {
        "no-such-partition": replying("no-such-partition", topics.results, 16),
        "last-partition": replying("last-partition", topics.results, 2**31 - 1),
        "dots": replying("dots", ".."),
        "internal": replying("internal", "__consumer_offsets", 0),
        "unknown": replying("unknown", "no.such.topic"),
        "ours": replying("ours", topics.partners, 0),
        "old-origin": an_event(
            "old-origin",
            headers=padded(
                ("ce_originpartition", str(partition_of(b"old-origin", 12)).encode()),
                ("ce_originoffset", b"0"),
                ("ce_origintime", b"0001-01-01T00:00:00Z"),
            ),
        ),
    }


@pytest.fixture(scope="module")
def running(shared_installation: Installation) -> Installation:
    """With a consumer that has met every poison record, each followed by a good one in the same partition."""
    shared_installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    topics = shared_installation.settings.topics
    consumer = shared_installation.start_consumer()
    producer = Producer(
        {
            "bootstrap.servers": shared_installation.bootstrap,
            "compression.type": "gzip",
            "message.max.bytes": 10 * MEGABYTE,
        }
    )
    failed: list[object] = []
    for records in (poison(topics), odd(topics)):
        for record in records.values():
            producer.produce(topics.upserts, on_delivery=lambda e, _: failed.append(e) if e else None, **record)
            producer.flush(20)
    bomb = Producer(
        {
            "bootstrap.servers": shared_installation.bootstrap,
            "compression.type": "zstd",
            "message.max.bytes": 200 * MEGABYTE,
            "batch.size": 200 * MEGABYTE,
            "linger.ms": 1000,
        }
    )
    for _ in range(2):  # in one batch
        bomb.produce(topics.upserts, bytes(60 * MEGABYTE), partition=BOMB_PARTITION)
    bomb.flush(60)
    raw_headers.produce(shared_installation.bootstrap, topics.upserts, b"not-utf-8", b"", [(b"\xff", b"")])
    shared_installation.produce([an_event(f"behind-{n}") for n in range(60)])
    assert not failed
    shared_installation.wait_until_answered()
    assert consumer.exit_code is None
    return shared_installation


def letters(running: Installation) -> dict[str, dict[str, Any]]:
    """As `orders dlq list --json` shows them, by what their events were called."""
    return {letter["order"]: letter for letter in all_letters(running)}


def all_letters(running: Installation) -> list[dict[str, Any]]:
    done = orders_here("dlq", "list", "--json", env=running.environment)
    assert done.returncode == 0, done.stderr
    found = {(letter["partition"], letter["offset"]): letter for letter in map(json.loads, done.stdout.splitlines())}
    return list(found.values())


def test_all_records_behind_them_are_applied(running: Installation) -> None:
    topics = running.settings.topics
    behind = {f"behind-{n}" for n in range(60)}
    assert {partition_of(order_id.encode(), 12) for order_id in behind} == set(range(12))
    assert running.rows(PARTNER).keys() == behind | odd(topics).keys()


def test_what_the_client_library_cannot_read_is_a_letter(running: Installation) -> None:
    """A batch that decompresses to more than it takes: it asked for that batch again for ever."""
    found = [letter for letter in all_letters(running) if "cannot read this record" in letter["reason"]]
    assert [letter["partition"] for letter in found] == [BOMB_PARTITION] * 2
    first, second = sorted(letter["offset"] for letter in found)
    assert second == first + 1


def test_each_of_them_is_a_letter(running: Installation) -> None:
    names = {*poison(running.settings.topics), "not-utf-8", None} - {"large-key", "no-key"}
    assert letters(running).keys() == names
    records = [texts(record) for record in running.records(running.settings.topics.dlq)]
    events = {(record[f"{PREFIX}partition"], record[f"{PREFIX}offset"]) for record in records}
    assert len(events) == len(poison(running.settings.topics)) + 3


def test_a_letter_without_its_value_says_where_it_is_and_what_it_was(running: Installation) -> None:
    letter = letters(running)["3-megabytes"]
    assert letter["value"] is None
    assert letter["left_out"] == {
        "value": {"bytes": 3 * MEGABYTE, "sha256": hashlib.sha256(b"x" * 3 * MEGABYTE).hexdigest()}
    }
    assert letter["partner"] == PARTNER
    shown = orders_here("dlq", "show", letter["id"], env=running.environment)
    assert "The value of the event is not in the letter: it has 3145728 bytes" in shown.stdout
    assert f"{letter['partition']}:{letter['offset']} of" in shown.stdout.replace("\n", " ")


def test_whose_event_it_was_stays_known_without_its_headers(running: Installation) -> None:
    letter = letters(running)["large-and-large"]
    assert letter["left_out"].keys() == {"value", "headers"}
    assert letter["partner"] == PARTNER


def test_a_replay_and_a_history_read_such_letters(running: Installation) -> None:
    done = orders_here("history", "3-megabytes", "--json", env=running.environment)
    assert json.loads(done.stdout.splitlines()[0])["outcome"] == "invalid"
    done = orders_here("replay", "--yes", env=running.environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_letter_without_its_value_is_redriven_from_the_topic_as_long_as_the_event_is_there(
    running: Installation,
) -> None:
    before = letters(running)["3-megabytes"]
    done = orders_here("dlq", "redrive", before["id"], "--yes", env=running.environment)
    assert "1 letters were redriven" in done.stdout
    running.wait_until_answered()
    after = letters(running)["3-megabytes"]
    assert after["id"] != before["id"]
    assert after["left_out"] == before["left_out"]  # the same bytes, and so the same letter
    topic, partition = running.settings.topics.upserts, after["partition"]
    admin = AdminClient({"bootstrap.servers": running.bootstrap})
    gone = TopicPartition(topic, partition, after["offset"] + 1)
    admin.delete_records([gone])[gone].result()
    done = orders_here("dlq", "redrive", after["id"], "--yes", env=running.environment)
    assert "0 letters were redriven" in done.stdout
    assert "value is not in the letter" in done.stderr
    assert letters(running)["3-megabytes"]["id"] == after["id"]
