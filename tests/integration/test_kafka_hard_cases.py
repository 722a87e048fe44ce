"""Errors that the client library raises, and records that a broker refuses: on a real broker."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from consumer.core.record import Outgoing, Record, Rejected, Stage
from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import read_letter
from consumer.letters.writer import LetterWriter
from contracts.topics import Topics
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from ingress.reader import PartitionReader
from support.installation import Installation, headers_of
from support.orders import an_order
from support.waiting import HANG_S, eventually

DAY_MS = 86_400_000


def rejected(time_ms: int, value: bytes = b"v") -> Rejected:
    return Rejected(Record(3, 7, time_ms, b"k", value, headers_of("p")), None, 0, Stage.TASK_PUT, "RecordError", "why")


def test_a_letter_of_a_time_that_the_broker_does_not_take_says_it_in_a_header(installation: Installation) -> None:
    """The broker's clock was ahead when it appended the event: INVALID_TIMESTAMP, for ever."""
    ahead_ms = int(time.time() * 1000) + 30 * DAY_MS
    now_ms = int(time.time() * 1000)
    writer = LetterWriter(AcknowledgedProducer(installation.settings), installation.settings.topics)
    writer.bury([rejected(now_ms), rejected(ahead_ms), rejected(now_ms - 30 * DAY_MS)])
    found = installation.records(installation.settings.topics.dlq)
    letters = [read_letter(Record(0, 0, m.timestamp()[1], m.key(), m.value(), m.headers() or ())) for m in found]  # type: ignore[arg-type]
    assert sorted(letter.time_ms for letter in letters if letter) == [now_ms - 30 * DAY_MS, now_ms, ahead_ms]
    assert all(abs(letter.record.time_ms - now_ms) < 31 * DAY_MS for letter in letters if letter)


def test_a_dead_letter_topic_that_takes_nothing_stops_the_consumer(installation: Installation) -> None:
    """It does not exist: that is an outage, which `orders setup` ends. It takes no letter: nothing can be skipped."""
    topics = Topics("no-such")
    producer = AcknowledgedProducer(installation.settings)
    with pytest.raises(RetryLaterError, match="orders setup"):
        LetterWriter(producer, topics).bury([rejected(0)])

    class KeylessTopics(Topics):
        @property
        def dlq(self) -> str:
            return self.partners  # compacted: it takes no record without a key

    writer = LetterWriter(producer, KeylessTopics(installation.prefix))
    keyless = rejected(0)
    keyless.record.key = None
    with pytest.raises(ConsumerStoppedError, match="takes no letter, not even a small one: INVALID_RECORD"):
        writer.bury([keyless])


def test_a_producer_that_failed_for_good_is_replaced(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are sent again by the next attempt."""
    producer = AcknowledgedProducer(installation.settings)
    record = Outgoing(installation.settings.topics.results, b"k", b"v", [])

    class Failed:
        """No broker makes a producer fail for good on demand."""

        def produce(self, *_: object, **__: object) -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL, "Local: Fatal error"))

        def flush(self, _: float) -> int:
            raise KafkaException(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True))

        def __len__(self) -> int:
            return 0

    monkeypatch.setattr(producer, "_producer", Failed())
    with pytest.raises(RetryLaterError, match="another one was made"):
        producer.send([record])
    assert producer.send([record]) == []
    assert len(installation.records(record.topic)) == 1


def test_an_ingress_reads_on_behind_a_record_that_the_client_library_cannot_read(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """A few kilobytes that decompress to more than it takes. It asked for them again for ever, without a word."""
    topic = installation.settings.topics.results
    megabyte = 1 << 20
    bomb = Producer(
        {
            "bootstrap.servers": installation.bootstrap,
            "compression.type": "zstd",
            "message.max.bytes": 200 * megabyte,
            "batch.size": 200 * megabyte,
        }
    )
    reader = PartitionReader(installation.settings, topic, 0, from_beginning=True)
    with closing(reader):
        bomb.produce(topic, bytes(120 * megabyte), partition=0)
        assert bomb.flush(HANG_S) == 0
        installation.produce([{"topic": topic, "partition": 0, "key": "behind", "value": "v"}])
        reader.start()
        assert eventually(reader.read) == [(b"behind", b"v")]
        eventually(lambda: reader.read() or reader.at_end)
        assert reader.has_read_all()
    assert "the record at offset 0 cannot be read" in caplog.text


@pytest.fixture
def classic_broker(folder: Path) -> Iterator[KafkaBroker]:
    """One that has no groups of the new protocol."""

    class Classic(KafkaBroker):
        def properties(self, log: Path) -> str:
            return super().properties(log) + "group.coordinator.rebalance.protocols=classic\n"

    broker = Classic(folder / "classic", free_port())
    broker.start()
    yield broker
    broker.stop()


def test_a_fatal_error_of_the_consumer_ends_it_with_a_sentence(
    classic_broker: KafkaBroker, database: str, install: Callable[[str, str], Installation]
) -> None:
    running = install(classic_broker.bootstrap, database)
    consumer = running.start("consumer", {"ORDERS_GROUP_PROTOCOL": "consumer"})
    eventually(lambda: consumer.exit_code is not None)
    assert consumer.exit_code == 1
    text = consumer.log.read_text()
    assert "ConsumerGroupHeartbeat fatal error: Broker: API version not supported" in text.splitlines()[-1]
    assert "A bug" not in text
    assert "Traceback" not in text


def test_a_record_with_an_impossible_time_is_applied_and_not_filed(installation: Installation) -> None:
    """Written before `orders setup` gave the topic the broker's time: no date has that year."""
    topic = installation.settings.topics.upserts
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in (
            ("message.timestamp.type", "CreateTime"),
            ("message.timestamp.after.max.ms", str(2**63 - 1)),
        )
    ]
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([change])[change].result()
    asked = ConfigResource(ResourceType.TOPIC, topic)
    eventually(lambda: admin.describe_configs([asked])[asked].result()["message.timestamp.type"].value == "CreateTime")
    for n, time_ms in enumerate((2**62, 253_402_300_800_000, 1)):
        order = {"key": f"O-{n}", "value": json.dumps(an_order(f"O-{n}")), "headers": headers_of("p")}
        installation.produce([{**order, "timestamp": time_ms}])
    installation.set_up()
    installation.start_consumer()
    installation.wait_until_answered()
    assert installation.rows("p").keys() == {"O-0", "O-1", "O-2"}
