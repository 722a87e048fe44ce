"""Outcomes become records: one for each request, or one for all requests of a partition of orders.results."""

import json
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest
from jsonschema import Draft7Validator

from consumer.core import replies
from consumer.core.record import Outgoing, Record
from consumer.core.replies import Reply, StoredPart, first_replies, request_parts, result_records, stored_replies
from contracts.event import Headers, ReplyTo
from contracts.order import Order
from contracts.result import Outcome, decode_outcomes, decode_results, encode_outcomes, outcomes_of
from deploy.asyncapi.schemas import schemas
from support.events import batch_of
from support.installation import headers_of
from support.orders import an_order

VALUE = Order.model_validate(an_order("k")).canonical()
TEXT = encode_outcomes(outcomes_of([(0, Outcome.INSERTED)]))
VALIDATORS = {name: Draft7Validator(schema) for name, schema in schemas().items()}


def a_reply(number: int, topic: str | None, partition: int) -> Reply:
    return Reply(UUID(int=number), ReplyTo(topic, partition), TEXT, "d" * 32 if number % 2 else None)


ASKED = [a_reply(number, "shop" if number % 5 == 0 else None, number % 3) for number in range(20)]


def test_requests_that_name_no_topic_share_a_record_for_each_partition() -> None:
    records = result_records(ASKED, "orders.results")
    assert Counter((record.topic, record.partition) for record in records if record.topic == "orders.results") == {
        ("orders.results", partition): 1 for partition in range(3)
    }
    shop = [record for record in records if record.topic == "shop"]
    assert [record.key for record in shop] == [str(UUID(int=number)).encode() for number in (0, 5, 10, 15)]
    for record in records:
        name = "result" if record.key else "results"
        VALIDATORS[name].validate(json.loads(record.value or b""))
        assert bool(record.headers) == (record.key is not None)
    found = {
        (result.request_id, result.digest, record.partition, record.topic)
        for record in records
        for result in decode_results(record.value)
    }
    assert found == {
        (str(reply.request_id), reply.digest, reply.reply_to.partition, reply.reply_to.topic or "orders.results")
        for reply in ASKED
    }


def test_a_request_that_is_alone_has_a_record_as_ever() -> None:
    (record,) = result_records([a_reply(1, None, 2)], "orders.results")
    assert (record.key, record.partition) == (str(UUID(int=1)).encode(), 2)
    assert [name for name, _ in record.headers] == ["kafka_correlationId"]


def test_a_reply_has_what_its_writer_knows_it_by() -> None:
    """As Spring's ReplyingKafkaTemplate sends it: 16 bytes of any kind, other ones with each record."""
    id_text = str(UUID(int=1)).encode()
    for sent, expected in (
        (b"\xff" * 16, b"\xff" * 16),
        (b"", b""),
        (None, id_text),
        (b"x" * 1024, b"x" * 1024),
        (b"x" * 1025, id_text),
    ):
        others = [("kafka_replyTopic", b"shop"), ("kafka_correlationId", sent)]
        (record,) = replies_to([[*headers_of("p", 0, UUID(int=1)), *others]])
        assert (record.topic, record.key, record.headers) == ("shop", id_text, [("kafka_correlationId", expected)])


def test_everybody_who_asks_about_one_request_gets_a_reply() -> None:
    topics = [None, b"one", b"two", b"one"]
    asked = [
        [*headers_of("p", n, UUID(int=1)), ("kafka_replyTopic", topic), ("kafka_correlationId", b"%d" % n)]
        for n, topic in enumerate(topics)
    ]
    records = replies_to(asked)
    assert [(record.topic, record.headers[0][1]) for record in records] == [("one", b"1"), ("two", b"2"), ("one", b"3")]
    found = [decode_results(record.value)[0].outcomes[Outcome.INSERTED] for record in records]
    assert found == [[1], [2], [3]]


def stored_work(events: int, places: int, parts: int) -> tuple[int, int]:
    """How many replies, and how many bytes of them, for one request that was applied in `parts` batches, if each of its
    `events` names one of `places` and is read again."""
    headers = [
        [*headers_of("p", n, UUID(int=1)), ("kafka_replyTopic", b"shop"), ("kafka_correlationId", b"%d" % (n % places))]
        for n in range(events)
    ]
    again = batch_of([Record(4, n, 0, b"k", VALUE, written) for n, written in enumerate(headers)])
    (body_key,) = {run.context.body_key for run in again.runs if run.context}
    stored = [
        StoredPart(body_key, encode_outcomes(outcomes_of((n, Outcome.INSERTED) for n in range(part, events, parts))))
        for part in range(parts)
    ]
    replies = stored_replies(again, stored, repeated=False)
    answered = {
        (r.reply_to.correlation, n) for r in replies for n in decode_outcomes(r.outcomes_json)[Outcome.INSERTED]
    }
    assert answered >= {(b"%d" % (n % places), n) for n in range(events)}
    return len(replies), sum(len(reply.outcomes_json) for reply in replies)


@pytest.mark.parametrize(("places", "parts"), [(1, 1), (1, 50), (50, 1), (50, 50)])
def test_stored_outcomes_cost_what_their_events_cost_however_many_places_they_name(places: int, parts: int) -> None:
    """A writer may name another place, or another correlation id, in each event. All for each would be a square."""
    small, large = stored_work(100, places, parts), stored_work(200, 2 * places, 2 * parts)
    assert small[0] <= 100
    assert all(more <= 2.5 * less for less, more in zip(small, large, strict=True))


def test_each_of_several_places_gets_the_stored_outcomes_of_its_events() -> None:
    headers = [
        [*headers_of("p", index, UUID(int=1)), ("kafka_replyTopic", topic)]
        for index, topic in ((0, b"one"), (1, b"two"), (3, b"one"), (0, b"one"), (9, b"two"))
    ]
    again = batch_of([Record(4, n, 0, b"k", VALUE, written) for n, written in enumerate(headers)])
    (body_key,) = {run.context.body_key for run in again.runs if run.context}
    stored = [
        StoredPart(body_key, encode_outcomes(outcomes_of(of_part)))
        for of_part in ([(0, Outcome.INSERTED), (2, Outcome.STALE)], [(1, Outcome.INVALID), (3, Outcome.UPDATED)])
    ]
    found = {r.reply_to.topic: r.outcomes_json for r in stored_replies(again, stored, repeated=True)}
    assert found == {  # of the event 9 nothing is known
        "one": encode_outcomes(outcomes_of([(0, Outcome.INSERTED), (3, Outcome.UPDATED)])),
        "two": encode_outcomes(outcomes_of([(1, Outcome.INVALID)])),
    }


def replies_to(headers: Sequence[Headers]) -> list[Outgoing]:
    asked = batch_of([Record(4, offset, 0, b"k", VALUE, written) for offset, written in enumerate(headers)])
    return result_records(first_replies(request_parts(asked, [Outcome.INSERTED] * len(headers))), "orders.results")


@pytest.mark.parametrize("bytes_max", [1, 200, 400, 100_000])
def test_a_record_has_no_more_results_than_fit(monkeypatch: pytest.MonkeyPatch, bytes_max: int) -> None:
    monkeypatch.setattr(replies, "RESULTS_BYTES_MAX", bytes_max)
    asked = [a_reply(number, None, 0) for number in range(20)]
    records = result_records(asked, "orders.results")
    found = [[result.request_id for result in decode_results(record.value)] for record in records]
    assert [request_id for of_record in found for request_id in of_record] == [str(r.request_id) for r in asked]
    longest = len(decode_results(records[0].value))
    assert longest == {1: 1, 200: 1, 400: 2, 100_000: 20}[bytes_max]


def test_nothing_is_sent_if_nobody_asks() -> None:
    assert result_records([], "orders.results") == []
