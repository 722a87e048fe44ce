"""Events written straight to orders.upserts by another client, good and bad (design 4)."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from contracts.event import ReplyTo
from contracts.partitioner import partition_of
from contracts.result import Outcome, decode_results
from support import raw_headers
from support.installation import Installation, headers_of, texts
from support.orders import an_order
from support.waiting import HANG_S, eventually


@pytest.fixture(scope="module")
def running(shared_installation: Installation) -> Installation:
    shared_installation.start_consumer()
    return shared_installation


def event(order: dict[str, Any], partner: str, **changes: Any) -> dict[str, Any]:
    key = order["order_id"]
    return {"key": key, "value": json.dumps(order), "headers": headers_of(partner), **changes}


GOOD = an_order("bad")
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    # what another client wrote, the stage at which it failed, a part of the reason
    "not JSON": ({"value": b"\x00\x01 not JSON"}, "VALUE_CONVERTER", "Invalid JSON"),
    "wrong types": (
        {"value": json.dumps({**GOOD, "name": 5})},
        "VALUE_CONVERTER",
        "name: Input should be a valid string",
    ),
    "a field is missing": ({"value": json.dumps({"order_id": "bad"})}, "VALUE_CONVERTER", "name: Field required"),
    "no headers": ({"headers": None}, "HEADER_CONVERTER", "ce_specversion is missing"),
    "headers of something else": (
        {"headers": {"ce_specversion": "1.0", "ce_type": "x"}},
        "HEADER_CONVERTER",
        "ce_type",
    ),
    "no partner": (
        {"headers": [(n, v) for n, v in headers_of("p") if n != "ce_source"]},
        "HEADER_CONVERTER",
        "ce_source is missing",
    ),
    "null value": ({"value": None}, "VALUE_CONVERTER", "no value"),
    "null key": ({"key": None, "partition": 3}, "VALUE_CONVERTER", "the key should be the order_id"),
    "another key": ({"key": "other"}, "VALUE_CONVERTER", "the key should be the order_id"),
    "a number Postgres cannot hold": (
        {"value": json.dumps({**GOOD, "total_amount": 2**63})},
        "VALUE_CONVERTER",
        "total_amount: Input should be a 64-bit integer",
    ),
    "an amount Postgres need not hold": (
        {"value": json.dumps({**GOOD, "products": [{"product_sku_id": "S", "amount": "9" * 31, "qty": 1}]})},
        "VALUE_CONVERTER",
        "products[0].amount",
    ),
    "NUL": ({"value": json.dumps({**GOOD, "name": "a\0"})}, "VALUE_CONVERTER", "\\u0000"),
    "too large": ({"value": json.dumps({**GOOD, "name": "x" * 300_000})}, "VALUE_CONVERTER", "262144 bytes"),
    "data that makes no sense": (
        {"value": json.dumps({**GOOD, "discount": -1})},
        "TRANSFORMATION",
        "discount is negative",
    ),
    "a reply topic that cannot be one": (
        {"headers": headers_of("p", reply_to=ReplyTo("a\0b"))},
        "HEADER_CONVERTER",
        "kafka_replyTopic should be the name of a topic",
    ),
    "another partitioner": (
        {"partition": (partition_of(b"bad", 12) + 1) % 12},
        "TRANSFORMATION",
        "write with the partitioner murmur2_random",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_in_the_dlq_with_its_reason_and_the_partition_goes_on(running: Installation, name: str) -> None:
    changes, stage, reason = BAD[name]
    partner, topics = f"bad-{list(BAD).index(name)}", running.settings.topics
    bad = {**event(GOOD, partner), **changes}
    key = bad["key"]
    partition = bad.get("partition", partition_of((key or "").encode(), 12))
    before = running.end_offsets(topics.upserts)
    letters_before = running.end_offsets(topics.dlq)
    follower = next(f"after-{n}" for n in range(1000) if partition_of(f"after-{n}".encode(), 12) == partition)
    running.produce([bad])
    offset = before[partition]
    running.produce([event(an_order(follower), partner)])
    eventually(lambda: list(running.rows(partner)) == [follower])
    letters = [
        letter
        for letter in running.records(topics.dlq)
        if (letter.offset() or 0) >= letters_before[letter.partition() or 0]
    ]
    assert len(letters) == 1
    letter = letters[0]
    headers = texts(letter)
    assert headers["__connect.errors.topic"] == topics.upserts
    assert headers["__connect.errors.partition"] == str(partition)
    assert headers["__connect.errors.offset"] == str(offset)
    assert headers["__connect.errors.stage"] == stage
    assert reason in headers["__connect.errors.exception.message"]
    assert letter.key() == (key.encode() if key else None)
    value = bad["value"]
    assert letter.value() == (value.encode() if isinstance(value, str) else value)


def test_good_events_are_applied_in_order_and_answered_where_the_writer_asked(running: Installation) -> None:
    request_id, topics = uuid4(), running.settings.topics
    reply_to = ReplyTo(topics.results, 5)
    orders = [an_order("g1"), an_order("g2"), an_order("g1", name="2"), an_order("g2"), an_order("g2", discount=-1)]
    running.produce(
        [
            event(order, "good", headers=headers_of("good", index, request_id, reply_to, len(orders)))
            for index, order in enumerate(orders)
        ]
    )
    running.wait_until_answered()
    assert {order_id: row["name"] for order_id, row in running.rows("good").items()} == {"g1": "2", "g2": "Ada"}
    replies = [record for record in running.records(topics.results) if record.key() == str(request_id).encode()]
    assert {record.partition() for record in replies} == {5}
    found: dict[Outcome, set[int]] = {outcome: set() for outcome in Outcome}
    for record in replies:
        (result,) = decode_results(record.value())
        for outcome, indexes in result.outcomes.items():
            found[outcome].update(indexes)
    assert found == {
        Outcome.INSERTED: {0, 1},
        Outcome.UPDATED: {2},
        Outcome.UNCHANGED: {3},
        Outcome.INVALID: {4},
        Outcome.STALE: set(),
    }


def test_without_reply_headers_an_event_is_applied_and_no_reply_is_sent(running: Installation) -> None:
    before = running.end_offsets(running.settings.topics.results)
    running.produce([event(an_order("quiet"), "quiet")])
    running.wait_until_answered()
    assert list(running.rows("quiet")) == ["quiet"]
    assert running.end_offsets(running.settings.topics.results) == before


REPLY_TOPICS = [ReplyTo("no-such-topic"), ReplyTo("no-such-topic", 3), ReplyTo("tiny"), ReplyTo("tiny", 99)]


@pytest.fixture(scope="module")
def tiny(running: Installation) -> Iterator[None]:
    """A topic that refuses every reply as too large. Given servers keep their topics, so it is taken away again."""
    client = AdminClient({"bootstrap.servers": running.bootstrap})
    client.create_topics([NewTopic("tiny", 1, config={"max.message.bytes": "50"})])["tiny"].result()
    eventually(lambda: "tiny" in client.list_topics(timeout=HANG_S).topics)
    yield
    client.delete_topics(["tiny"])["tiny"].result()
    eventually(lambda: "tiny" not in client.list_topics(timeout=HANG_S).topics)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("reply_to", REPLY_TOPICS, ids=str)
def test_a_reply_topic_that_takes_no_reply_holds_up_nobody(running: Installation, reply_to: ReplyTo) -> None:
    partner = f"lost-{REPLY_TOPICS.index(reply_to)}"
    running.produce([event(an_order("lost"), partner, headers=headers_of(partner, reply_to=reply_to))])
    running.produce([event(an_order("lost", name="2"), partner)])
    running.wait_until_answered()
    assert running.rows(partner)["lost"]["name"] == "2"


@pytest.mark.parametrize("name", ["upserts", "dlq", "partners"])
def test_a_reply_into_a_topic_of_ours_is_not_sent(running: Installation, name: str) -> None:
    """A result in the topic of the partners would stay there forever."""
    topic = getattr(running.settings.topics, name)
    before = running.end_offsets(topic)
    headers = headers_of(f"into-{name}", reply_to=ReplyTo(topic))
    running.produce([event(an_order("into"), f"into-{name}", headers=headers)])
    running.wait_until_answered()
    assert list(running.rows(f"into-{name}")) == ["into"]
    grown = sum(running.end_offsets(topic).values()) - sum(before.values())
    assert grown == (1 if name == "upserts" else 0)  # the event itself


def test_a_header_name_that_is_not_utf8_is_for_the_dead_letters(running: Installation) -> None:
    """The client library raises for such a record, and would do so at every start."""
    order = an_order("unreadable")
    headers = [(name.encode(), value) for name, value in headers_of("unreadable")] + [(b"bad\xff\xfe", b"v")]
    topics = running.settings.topics
    raw_headers.produce(running.bootstrap, topics.upserts, b"unreadable", json.dumps(order).encode(), headers)
    running.wait_until_answered()
    assert running.rows("unreadable") == {}
    [letter] = [letter for letter in running.records(topics.dlq) if letter.key() == b"unreadable"]
    assert texts(letter)["__connect.errors.exception.message"] == "the name of a header is not UTF-8"


def test_what_the_tables_refuse_is_found_by_halving_and_the_rest_is_applied(installation: Installation) -> None:
    """A constraint of the shop's own: SQLSTATE class 23."""
    installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    ingress = installation.start_ingress()
    installation.start_consumer()
    token = installation.add_partner("refused")
    orders = [an_order(f"R-{n}", name="Mallory" if n in (7, 33) else "Ada") for n in range(50)]
    assert installation.post(ingress, token, orders).counts == (48, 0, 2)
    assert len(installation.rows("refused")) == 48
    letters = installation.records(installation.settings.topics.dlq)
    assert sorted(letter.key() or b"" for letter in letters) == [b"R-33", b"R-7"]
    for letter in letters:
        headers = texts(letter)
        assert headers["__connect.errors.stage"] == "TASK_PUT"
        assert "not_mallory" in headers["__connect.errors.exception.message"]
