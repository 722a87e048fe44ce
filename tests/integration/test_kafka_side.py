"""What touches Kafka, on a real broker: assignment, producer, topics, partners, readers."""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from os import urandom
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from consumer.core.log_mark import Watermark
from consumer.core.record import Outgoing, Record
from consumer.errors import ConsumerStoppedError, LogChangedError, RetryLaterError
from consumer.kafka.assignment import Assignment
from consumer.kafka.broker import Broker
from consumer.kafka.ends_of_records import ends_of_records
from consumer.kafka.log_check import require_source
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import ANSWER_TIMEOUT_S, TopicReader
from consumer.letters.conflicts import read_conflicts
from consumer.metrics import ConsumerMetrics
from consumer.postgres.fence import note_source
from consumer.settings import ConsumerSettings
from contracts.partitioner import partition_of
from contracts.settings import KafkaSettings
from contracts.topic_checks import Refusal, Told
from deploy.errors import PartnerError, SetupError
from deploy.local.kafka import KafkaBroker
from deploy.setup import set_up_topics
from support import raw_headers
from support.contract_of_the_assignment import records
from support.installation import Installation, headers_of
from support.orders import an_order
from support.waiting import HANG_S, eventually


@pytest.fixture
def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def event(order_id: str, **changes: Any) -> dict[str, Any]:
    return {"key": order_id, "value": json.dumps(an_order(order_id)), "headers": headers_of("p"), **changes}


def applied_to(applied: Mapping[int, int], answered_to: int = 0) -> Callable[[Collection[int]], dict[int, Watermark]]:
    return lambda partitions: {p: Watermark(applied.get(p, 0), answered_to=answered_to) for p in partitions}


@contextmanager
def assignment_of(
    settings: ConsumerSettings, applied: dict[int, int] | None = None, answered_to: int = 0
) -> Iterator[Assignment]:
    stop = threading.Event()
    assignment = Assignment(settings, applied_to(applied or {}, answered_to), stop, lambda: None, ConsumerMetrics())
    assignment.subscribe()
    try:
        yield assignment
    finally:
        assignment.close()
        assert not stop.is_set()  # it is the flag of the whole process


def taken(assignment: Assignment) -> list[Record]:
    return records(assignment.take(100, 0.2)[0])


def take(assignment: Assignment, count: int) -> list[Record]:
    found: list[Record] = []

    def enough() -> bool:
        found.extend(taken(assignment))
        return len(found) >= count

    eventually(enough)
    return found


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_it_starts_at_the_lower_watermark_and_rewinds(installation: Installation, protocol: str) -> None:
    settings = installation.consumer_settings(group_protocol=protocol)
    installation.produce([event("a", partition=1) for _ in range(10)])
    with assignment_of(settings, {1: 4}) as assignment:
        # nothing is committed: the watermark applied counts, and is committed, so that a crash loses no replies
        assert [record.offset for record in take(assignment, 6)] == [4, 5, 6, 7, 8, 9]
        assert installation.committed()[1] == 4
        assignment.commit({1: 6})
        eventually(lambda: installation.committed()[1] == 6)
        assignment.rewind({1: 2, 99: 0})
        assert [record.offset for record in take(assignment, 8)] == [2, 3, 4, 5, 6, 7, 8, 9]
    with assignment_of(settings, {1: 8}) as assignment:
        assert [record.offset for record in take(assignment, 4)] == [6, 7, 8, 9]  # applied 8, answered 6
    with assignment_of(settings, {1: 3}) as assignment:
        assert [record.offset for record in take(assignment, 7)] == [3, 4, 5, 6, 7, 8, 9]  # restored to 3


@pytest.mark.parametrize(("answered_to", "start"), [(0, 2), (6, 6), (9, 8)])
def test_a_group_that_was_put_back_reads_nothing_again_that_was_answered(
    installation: Installation, answered_to: int, start: int
) -> None:
    installation.produce([event("a", partition=1) for _ in range(10)])
    topics = installation.settings.topics
    with installation.consumer(topics.consumer_group) as reset:
        reset.commit(offsets=[TopicPartition(topics.upserts, 1, 2)], asynchronous=False)
    with assignment_of(installation.consumer_settings(), {1: 8}, answered_to) as assignment:
        assert [record.offset for record in take(assignment, 10 - start)] == list(range(start, 10))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_while_it_waits_it_keeps_its_partitions_and_loses_no_record(installation: Installation, protocol: str) -> None:
    settings = installation.consumer_settings(group_protocol=protocol)
    with assignment_of(settings) as assignment:
        eventually(lambda: taken(assignment) == [] and len(assignment.positions) == 12)
        installation.produce([event("a", partition=1) for _ in range(5)])
        for _ in range(5):
            assignment.wait(0.1)
        installation.produce([event("a", partition=1) for _ in range(5)])
        assignment.wait(0.1)
        assert [record.offset for record in take(assignment, 10)] == list(range(10))
        assert assignment.drain_revoked() == set()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_partition_revoked_during_a_wait_is_read_when_it_comes_back(
    installation: Installation, protocol: str
) -> None:
    """The client library keeps the pause of a partition that it loses."""
    settings = installation.consumer_settings(group_protocol=protocol)
    with assignment_of(settings) as one:
        eventually(lambda: taken(one) == [] and len(one.positions) == 12)
        with assignment_of(settings) as two:

            def is_shared() -> bool:
                one.wait(0.1)
                return taken(two) == [] and (len(one.positions), len(two.positions)) == (6, 6)

            eventually(is_shared)
        eventually(lambda: taken(one) == [] and len(one.positions) == 12)
        installation.produce([event("a", partition=partition) for partition in range(12)])
        assert {record.partition for record in take(one, 12)} == set(range(12))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_share_the_partitions_and_nothing_is_missed_when_they_move(
    installation: Installation, protocol: str
) -> None:
    settings = installation.consumer_settings(group_protocol=protocol)
    found: set[tuple[int, int]] = set()

    def after(*assignments: Assignment) -> int:
        """How much was found after one more step of each."""
        for assignment in assignments:
            found_now, starts = assignment.take(3, 0.05)
            for record in records(found_now):
                assert record.offset >= starts[record.partition]
                found.add((record.partition, record.offset))
            if found_now:
                assignment.commit({record.partition: record.offset + 1 for record in records(found_now)})
        return len(found)

    with assignment_of(settings) as one:
        installation.produce([event("a", partition=n % 12) for n in range(240)])
        eventually(lambda: after(one) > 30)
        with assignment_of(settings) as two:
            eventually(lambda: after(one, two) and (len(one.positions), len(two.positions)) == (6, 6))
            installation.produce([event("a", partition=n % 12) for n in range(240)])
            eventually(lambda: after(one, two) > 250)
        eventually(lambda: after(one) == 480 and len(one.positions) == 12)
    assert found == {(partition, offset) for partition in range(12) for offset in range(40)}


def test_an_offset_that_kafka_no_longer_has_stops_the_consumer(installation: Installation) -> None:
    topic = installation.settings.topics.upserts
    installation.produce([event("a", partition=1) for _ in range(5)] + [event("b", partition=2)])
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    admin.delete_records([TopicPartition(topic, 1, 3)])[TopicPartition(topic, 1, 3)].result()
    refused = pytest.raises(LogChangedError, match="no longer has the next record of partition 1")
    with assignment_of(installation.consumer_settings()) as assignment, refused:
        eventually(lambda: taken(assignment) is None)


def test_the_partition_of_a_key_is_the_one_that_the_client_library_takes(installation: Installation) -> None:
    keys = [f"k-{number}" * (number % 5) for number in range(200)] + ["é€😀", "x" * 512]
    installation.produce([event("a", key=key) for key in keys if key])
    records = installation.records(installation.settings.topics.upserts)
    assert len(records) > 150
    for record in records:
        assert record.partition() == partition_of(record.key() or b"", 12), record.key()


def outgoing(topic: str, **changes: Any) -> Outgoing:
    return Outgoing(**{"topic": topic, "key": b"k", "value": b"v", "headers": [], **changes})


def test_a_send_returns_when_everything_is_there(installation: Installation) -> None:
    topic = installation.settings.topics.results
    producer = AcknowledgedProducer(installation.settings)
    producer.send([outgoing(topic), outgoing(topic, partition=7), outgoing(topic, key=None, value=None)])
    assert len(installation.records(topic)) == 3
    producer.send([])


def test_a_topic_of_somebody_else_that_does_not_exist_is_given_up_and_ours_is_not(installation: Installation) -> None:
    producer = AcknowledgedProducer(installation.settings)
    known = outgoing(installation.settings.topics.results)
    theirs = installation.settings.topics.partners
    missing, illegal = outgoing("no-such-topic"), outgoing("bad topic!")
    for lost in (missing, illegal):
        assert producer.send([lost, known], foreign={lost.topic}) == []
    with pytest.raises(RetryLaterError, match="orders setup"):
        producer.send([missing])  # somebody may make it yet
    for lost, why in (
        (outgoing(theirs, partition=99), "_UNKNOWN_PARTITION"),
        (outgoing(theirs, key=None), "INVALID_RECORD"),
        (outgoing(known.topic, value=b"x" * 2 * 1024 * 1024), "MSG_SIZE_TOO_LARGE"),
        (outgoing(known.topic, value=urandom(1_100_000)), "MSG_SIZE_TOO_LARGE"),
    ):
        ((told, refused),) = producer.send([lost, known])
        assert refused is lost
        assert told.startswith(why)
    assert len(installation.records(known.topic)) == 6


def test_a_topic_of_somebody_else_that_failed_gets_nothing_for_a_minute(installation: Installation) -> None:
    """Otherwise each batch would wait for it."""
    now_s = [0.0]
    producer = AcknowledgedProducer(installation.settings, lambda: now_s[0])
    theirs = installation.settings.topics.partners
    good = outgoing(theirs)
    producer.send([outgoing(theirs, partition=99), good], foreign={theirs})
    counts = [len(installation.records(theirs))]
    for now_s[0] in (59.0, 61.0):
        producer.send([good], foreign={theirs})
        counts.append(len(installation.records(theirs)))
    assert counts == [1, 1, 2]


def test_without_a_broker_a_send_is_tried_again_later() -> None:
    producer = AcknowledgedProducer(KafkaSettings(kafka_bootstrap="127.0.0.1:1"))
    with pytest.raises(RetryLaterError):
        producer.send([outgoing("any")])


def test_set_up_makes_the_topics_as_designed_and_mends_their_settings(
    installation: Installation, admin: AdminClient
) -> None:
    topics = installation.settings.topics
    known = admin.list_topics(timeout=HANG_S).topics
    found = {
        name: len(known[name].partitions)
        for name in (topics.upserts, topics.results, topics.dlq, topics.partners, topics.halts)
    }
    assert list(found.values()) == [12, 16, 12, 1, 1]
    assert set_up_topics(installation.settings, None) == []


class SlowToLearn(Broker):
    """Hides our topics from the first three questions: a real broker may learn of them late too."""

    asked = 0

    def describe(self, topics: Collection[str]) -> Told:
        self.asked += 1
        unknown = Refusal("UNKNOWN_TOPIC_OR_PART", "unknown", "DESCRIBE")
        return super().describe(topics) if self.asked > 3 else dict.fromkeys(topics, unknown)


def test_set_up_waits_until_the_broker_knows_every_topic_that_was_made(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = KafkaSettings(kafka_bootstrap=bootstrap, topic_prefix=f"slow-{uuid4()}")
    broker = SlowToLearn(settings)
    monkeypatch.setattr("deploy.setup.reach", lambda *_: broker)
    assert len(set_up_topics(settings, None)) == 5
    assert broker.asked >= 4


def test_more_copies_than_brokers_are_refused_with_the_setting_to_change(bootstrap: str) -> None:
    settings = KafkaSettings(kafka_bootstrap=bootstrap, topic_prefix=f"copies-{uuid4()}")
    with pytest.raises(SetupError, match=r"100 time.*\.\n.*ORDERS_REPLICATION_FACTOR"):
        set_up_topics(settings, 100)


def test_a_topic_with_another_number_of_partitions_is_refused(bootstrap: str, admin: AdminClient) -> None:
    prefix = f"seven-{uuid4()}"  # given servers keep their topics
    settings = ConsumerSettings(kafka_bootstrap=bootstrap, topic_prefix=prefix, postgres_url="postgresql://x")
    topic = settings.topics.upserts
    admin.create_topics([NewTopic(topic, 7, 1)])[topic].result()
    eventually(lambda: topic in admin.list_topics(timeout=HANG_S).topics)
    with pytest.raises(SetupError, match="7 partitions instead of 12"):
        set_up_topics(settings, None)
    with pytest.raises(ConsumerStoppedError, match="7 partitions instead of 12"):
        topic_id(admin, topic)


def test_a_topic_without_the_brokers_time_is_refused_until_set_up_mends_it(
    bootstrap: str, admin: AdminClient, installation: Installation
) -> None:
    installation.prefix = f"by-hand-{uuid4()}"  # not set up yet
    topic = installation.settings.topics.upserts
    admin.create_topics([NewTopic(topic, 12, 1)])[topic].result()
    eventually(lambda: topic in admin.list_topics(timeout=HANG_S).topics)
    with pytest.raises(ConsumerStoppedError, match="LogAppendTime"):
        topic_id(admin, topic)
    set_up_topics(installation.settings, None)
    assert topic_id(admin, topic)


def test_a_topic_that_was_deleted_and_created_again_is_refused(installation: Installation, admin: AdminClient) -> None:
    topic = installation.settings.topics.upserts
    consumer = installation.start_consumer()
    consumer.stop()
    admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin.list_topics(timeout=HANG_S).topics)
    installation.set_up()
    again = installation.start("consumer")
    eventually(lambda: again.exit_code is not None)
    assert again.exit_code == 1
    text = again.log.read_text()
    assert "the topic was deleted and created again" in text
    assert "Nothing more is applied" in text
    assert "Traceback" not in text


def test_a_broker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.setup.REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr("deploy.admin.REQUEST_TIMEOUT_S", 0.5)
    with pytest.raises(SetupError, match=r"Kafka at 127\.0\.0\.1:1: .*\n.*ORDERS_KAFKA_BOOTSTRAP"):
        set_up_topics(KafkaSettings(kafka_bootstrap="127.0.0.1:1"), None)


def test_partner_commands_that_cannot_be_done(installation: Installation) -> None:
    registry = installation.registry()
    registry.add("p")
    wrong: list[Callable[[], object]] = [
        lambda: registry.add("p"),
        lambda: registry.add("P"),
        lambda: registry.add("x" * 65),
        lambda: registry.rotate("q"),
        lambda: registry.revoke("p", "no-such"),
    ]
    for call in wrong:
        with pytest.raises(PartnerError):
            call()
    for _ in range(9):
        registry.rotate("p")
    with pytest.raises(PartnerError, match="Revoke one first"):
        registry.rotate("p")
    assert [partner.partner_id for partner in installation.registry().all()] == ["p"]


def test_data_survives_a_kill_of_the_local_broker(own_kafka: KafkaBroker) -> None:
    settings = KafkaSettings(kafka_bootstrap=own_kafka.bootstrap)
    assert len(set_up_topics(settings, None)) == 5
    own_kafka.kill()
    own_kafka.start()
    assert set_up_topics(settings, None) == []


def test_the_first_topic_is_noted_and_another_one_is_refused(installation: Installation) -> None:
    import psycopg

    with psycopg.connect(installation.postgres_url, autocommit=True) as connection:
        assert note_source(connection, "t", "id-1") == ("t", "id-1")
        known = note_source(connection, "t", "id-2")
    assert known == ("t", "id-1")
    require_source(known, ("t", "id-1"))
    for other in (("t", "id-2"), ("u", "id-1")):
        with pytest.raises(LogChangedError, match="orders reseed"):
            require_source(known, other)


def test_a_commit_that_the_group_refused_is_made_by_the_next_one(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a rebalance. Otherwise the lag would stay until the next record of that partition."""
    settings = installation.consumer_settings()
    late = Assignment(settings, applied_to({}), threading.Event(), lambda: None, ConsumerMetrics())
    with assignment_of(settings) as member:
        eventually(lambda: taken(member) == [] and len(member.positions) == 12)
        late.commit({1: 6})  # it is not in the group yet
        late.subscribe()
        eventually(lambda: taken(late) == taken(member) == [] and "offset 6 was not committed" in caplog.text)
        assert installation.committed().get(1) == 0
    eventually(lambda: taken(late) == [] and len(late.positions) == 12)
    late.commit({})
    eventually(lambda: taken(late) == [] and installation.committed()[1] == 6)
    late.close()


def test_conflicts_are_read_from_the_dead_letters_and_nobody_waits_for_more_of_them(installation: Installation) -> None:
    """They are read between two batches, so everybody who waits for an outcome waits for this too."""
    settings = installation.consumer_settings()
    request_id, digest = uuid4(), "d" * 32
    reasons = {"IdempotencyConflict": request_id, "InvalidOrder": uuid4()}
    topic = installation.settings.topics.dlq
    for reason, about in reasons.items():
        headers = headers_of("p", request_id=about, digest=digest)
        name = ("__connect.errors.exception.class.name", reason.encode())
        installation.produce([event("a", topic=topic, headers=[*headers, name])])
    raw_headers.produce(installation.bootstrap, topic, b"a", b"", [(b"not UTF-8 \xff", b"")])

    def is_fast() -> bool:
        """The best of several tries counts: a busy machine may be slow, but waiting for more letters is never fast."""
        started_s = time.monotonic()
        lost = read_conflicts(settings)
        assert lost.times.keys() == {((request_id, "p"), digest)}
        return time.monotonic() - started_s < ANSWER_TIMEOUT_S / 3

    eventually(is_fast, not_yet=())


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_answered_is_read_for_all_partitions_also_those_of_others(installation: Installation, protocol: str) -> None:
    settings = installation.consumer_settings(group_protocol=protocol)
    with assignment_of(settings) as one, assignment_of(settings) as two:

        def is_shared() -> bool:
            return taken(one) == taken(two) == [] and (len(one.positions), len(two.positions)) == (6, 6)

        eventually(is_shared)
        partition = min(two.positions)
        two.commit({partition: 6})
        eventually(lambda: taken(two) == [] and one.read_answered() == {**dict.fromkeys(range(12), 0), partition: 6})
        mine = min(one.positions)
        for offset in (3, 4):  # the second one comes too soon after the first to be committed at once
            one.commit({mine: offset})
        assert one.read_answered()[mine] == 4


def transactional(installation: Installation) -> Producer:
    producer = Producer({"bootstrap.servers": installation.bootstrap, "transactional.id": f"{installation.prefix}-t"})
    producer.init_transactions(HANG_S)
    return producer


def begin(producer: Producer, topic: str, *partitions: int) -> None:
    """A transaction with an event in each of these partitions."""
    producer.begin_transaction()
    for partition in partitions:
        producer.produce(topic, partition=partition, **event("a"))
    producer.flush(HANG_S)


def test_offsets_are_committed_past_the_markers_of_transactions_when_all_before_is_answered(
    installation: Installation,
) -> None:
    """Else the group shows a lag that never ends."""
    settings, topic = installation.consumer_settings(), installation.settings.topics.upserts
    producer = transactional(installation)
    begin(producer, topic, 1)
    producer.commit_transaction(HANG_S)
    begin(producer, topic, 1, 2)
    producer.abort_transaction(HANG_S)
    ends = {**dict.fromkeys(range(12), 0), 1: 4, 2: 2}  # each event has a marker
    eventually(lambda: installation.end_offsets(topic) == ends)
    with assignment_of(settings) as assignment:
        assert [(record.partition, record.offset) for record in take(assignment, 1)] == [(1, 0)]
        eventually(lambda: taken(assignment) == [] and installation.committed()[2] == 2)
        eventually(lambda: taken(assignment) == [] and assignment.read_to[1] == 4)
        assert installation.committed()[1] == 0
        assignment.commit({1: 1})
        eventually(lambda: taken(assignment) == [] and installation.committed() == ends)
        begin(producer, topic, 2)
        producer.abort_transaction(HANG_S)
        eventually(lambda: taken(assignment) == [] and installation.committed()[2] == 4)
        assert assignment.positions == {**dict.fromkeys(range(12), 0), 1: 1}  # as the fence
    restored = threading.Event()

    def ends_between(starts: Mapping[int, int], to: Mapping[int, int]) -> Mapping[int, int]:
        with closing(TopicReader(settings, topic)) as reader:
            return ends_of_records(reader, starts, to)

    for first in (1, 0):
        later = Assignment(
            settings, applied_to({1: first}), threading.Event(), restored.set, ConsumerMetrics(), ends_between
        )
        later.subscribe()
        with closing(later):
            eventually(lambda: later.take(100, 0.2)[0] == [] and len(later.positions) == 12)  # noqa: B023
        assert restored.is_set() == (first == 0)  # markers that are not applied are no sign of it


def test_where_the_last_record_before_an_offset_ends(installation: Installation) -> None:
    """Markers of transactions take offsets, and the log may end before."""
    topic = installation.settings.topics.upserts
    installation.produce([event("a", partition=1) for _ in range(3)])
    producer = transactional(installation)
    for _ in range(20):
        begin(producer, topic, 1, 2)
        producer.abort_transaction(HANG_S)

    def is_there() -> bool:
        ends = installation.end_offsets(topic)
        return (ends[1], ends[2]) == (43, 40)  # 20 aborted records, each with a marker

    eventually(is_there)
    installation.produce([event("a", partition=2)])
    with closing(TopicReader(installation.settings, topic)) as reader:
        ends = {1: 43, 2: 41, 3: 9}
        assert ends_of_records(reader, {1: 1, 2: 0, 3: 0}, ends) == {1: 3, 2: 41, 3: 0}
        assert ends_of_records(reader, {1: 3, 2: 0}, {1: 43, 2: 40}) == {1: 3, 2: 0}
        assert ends_of_records(reader, {1: 3}, {1: 3}) == {1: 3}
