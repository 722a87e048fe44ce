"""The log is known again by its topic id, its ends, and the hash of its last applied record."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consumer.core.log_mark import LogMark, Watermark, mark_of
from consumer.errors import ClientStuckError, LogChangedError
from consumer.kafka.log_check import LogCheck
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import TopicReader
from consumer.log_guard import LOOK_EVERY_S, LogGuard
from consumer.postgres.fence import note_source
from consumer.postgres.session import SessionHolder
from deploy.local.ports import LOOPBACK
from support.installation import Installation, headers_of
from support.orders import an_order
from support.waiting import HANG_S, eventually

PARTITION, RECORDS = 4, 5


@pytest.fixture
def filled(installation: Installation) -> Installation:
    installation.produce(
        [
            {"key": "a", "value": json.dumps(an_order("a")), "headers": headers_of("p"), "partition": PARTITION}
            for _ in range(RECORDS)
        ]
    )
    return installation


@pytest.fixture
def source(filled: Installation) -> tuple[str, str]:
    topic = filled.settings.topics.upserts
    return topic, topic_id(AdminClient({"bootstrap.servers": filled.bootstrap}), topic)


@pytest.fixture
def mark(filled: Installation) -> LogMark:
    """Of the record at offset 2."""
    with closing(TopicReader(filled.settings, filled.settings.topics.upserts)) as reader:
        (record,) = (record for chunk in reader.read({PARTITION: 2}, {PARTITION: 3}) for record in chunk.records)
    return mark_of(record)


def test_the_log_that_was_applied_passes(filled: Installation, source: tuple[str, str], mark: LogMark) -> None:
    check = LogCheck(filled.settings)
    for watermark in (Watermark(0), Watermark(3, mark), Watermark(RECORDS), Watermark(3)):
        check.require(source, {PARTITION: watermark, 0: Watermark(0)})


def test_another_log_does_not(filled: Installation, source: tuple[str, str], mark: LogMark) -> None:
    check = LogCheck(filled.settings)
    other = mark._replace(record_hash=bytes(16))
    for wrong, text in (
        (Watermark(RECORDS + 2, mark), f"lost the 2 records from offset {RECORDS} on"),
        (Watermark(3, other), "at offset 2 of partition 4"),
        (Watermark(2, mark), "at offset 1 of partition 4"),
    ):
        with pytest.raises(LogChangedError, match=text) as raised:
            check.require(source, {PARTITION: wrong})
        assert raised.value.partition == PARTITION
    with pytest.raises(LogChangedError, match="deleted and created again"):
        check.require((source[0], "another id"), {PARTITION: Watermark(3, mark)})


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += LOOK_EVERY_S + 1
        return self.now_s


@pytest.fixture
def guard(filled: Installation, source: tuple[str, str]) -> Iterator[LogGuard]:
    with closing(SessionHolder(filled.postgres_url, 7)) as holder:
        with holder.session() as session:
            note_source(session.connection, *source)
        yield LogGuard(filled.settings, holder, AcknowledgedProducer(filled.settings), Clock())


def test_a_client_that_gives_nothing_although_there_is_something_is_replaced(guard: LogGuard) -> None:
    guard.read_applied([PARTITION])
    with pytest.raises(ClientStuckError, match="given none from offset 3 on"):
        eventually(lambda: guard.look({PARTITION: 3}))


def test_a_client_that_is_slow_is_not(guard: LogGuard) -> None:
    guard.read_applied([PARTITION])
    for position in range(RECORDS + 1):
        for _ in range(2):
            guard.look({PARTITION: position})
    for _ in range(20):
        guard.look({PARTITION: RECORDS})


def test_an_open_transaction_is_told_of_once_with_its_end(
    filled: Installation, guard: LogGuard, caplog: pytest.LogCaptureFixture
) -> None:
    guard.read_applied([PARTITION, 0])
    writer = Producer({"bootstrap.servers": filled.bootstrap, "transactional.id": f"{filled.prefix}-t"})
    writer.init_transactions(HANG_S)
    writer.begin_transaction()
    for number in range(2):
        writer.produce(filled.settings.topics.upserts, b"{}", f"{number}", partition=PARTITION)
    writer.flush(HANG_S)

    def is_told(text: str) -> bool:
        guard.look({PARTITION: RECORDS, 0: 0})
        return text in caplog.text

    eventually(lambda: is_told(f"a transaction of another writer has been open at offset {RECORDS}. 2 records wait"))
    writer.abort_transaction(HANG_S)
    eventually(lambda: is_told(f"the transaction at offset {RECORDS} ended after"))
    told = [record.getMessage() for record in caplog.records if "transaction" in record.getMessage()]
    assert len(told) == 2
    assert all(text.startswith(f"Partition {PARTITION}: ") for text in told)


def test_a_suspicion_during_an_outage_does_not_end_the_consumer(
    filled: Installation, guard: LogGuard, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that has just started again may give an older end for a moment, and then be away again."""
    guard.read_applied([PARTITION])
    guard._check = LogCheck(filled.settings.model_copy(update={"kafka_bootstrap": f"{LOOPBACK}:1"}))

    def has_looked_again() -> bool:
        guard.look({PARTITION: RECORDS + 2})
        return "what was suspected" in caplog.text

    eventually(has_looked_again)
