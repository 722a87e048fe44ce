"""Sending records and knowing that they arrived: for results and for dead letters."""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.core.record import Outgoing, Work
from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.kafka.broker import stopped_by
from contracts.kafka_errors import Verdict, verdict_of
from contracts.settings import KafkaProperty, KafkaSettings
from contracts.topics import LETTER_BYTES_MAX

DELIVERY_TIMEOUT_S = 5.0
GIVEN_UP_S = 60.0
GIVEN_UP_TOPICS_MAX = 1000
_BY_KEY = -1
_log = logging.getLogger(__name__)

Refused = list[tuple[str, Outgoing]]
"""Records that Kafka will never take, each with the reason."""


class Sent(NamedTuple):
    """What became of one record. `verdict`: None if every in-sync replica has it; else `why` says what is wrong."""

    record: Outgoing
    verdict: Verdict | None
    why: str = ""


class AcknowledgedProducer:
    """`send` returns when every in-sync replica has every record that Kafka takes."""

    def __init__(
        self, settings: KafkaSettings, clock_s: Callable[[], float] = time.monotonic, **changes: KafkaProperty
    ) -> None:
        """`changes`: properties of librdkafka, with underscores for dots."""
        self._settings = settings
        self._changes = changes
        self._clock_s = clock_s
        self._given_up_until_s: dict[str, float] = {}
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        ours: dict[str, KafkaProperty] = {
            "client_id": "order-upsert-consumer",
            "enable_idempotence": True,
            "partitioner": "murmur2_random",
            "linger_ms": 0,
            "message_timeout_ms": int(DELIVERY_TIMEOUT_S * 1000),
            # How long the client waits for a topic that the broker does not know yet. Its default is 30 s.
            "topic_metadata_propagation_max_ms": 1000,
            "message_max_bytes": LETTER_BYTES_MAX,
        }
        return Producer(self._settings.client_config(**{**ours, **self._changes}), logger=_log)

    def send(
        self, records: Iterable[Outgoing], foreign: Collection[str] = (), meanwhile: Work | None = None
    ) -> Refused:
        """Gives the records that were not taken and never will be. `meanwhile` is done while records are on their way.

        Raises RetryLaterError if the broker did not acknowledge all others, ConsumerStoppedError if no waiting helps.

        `foreign`: topics that the writers of events named. If one of them does not take a record, this is logged, and
        for a minute nothing is sent to it: waiting for it again and again would hold up all other replies.
        """
        failed: list[tuple[KafkaError, Outgoing]] = []
        try:
            for record in records:
                if record.topic in foreign and self._clock_s() < self._given_up_until_s.get(record.topic, 0):
                    _log.warning("dropped a reply for topic %s: the topic failed less than a minute ago", record.topic)
                else:
                    self._produce(record, failed)
            while len(self._producer) and meanwhile is not None and meanwhile():
                self._producer.poll(0)
            # One second more than a record can take, so that the client is the one to give up.
            left = self._producer.flush(DELIVERY_TIMEOUT_S + 1)
        except KafkaException as error:  # the client library raises what is fatal to this producer
            raise self._after_fatal(error.args[0], failed) from error
        if left:
            raise RetryLaterError(f"Kafka has not acknowledged {left} records yet")
        return self._judged(failed, foreign)

    def send_each(self, records: Iterable[Outgoing]) -> list[Sent]:
        """What became of each record, in their order. One that is not acknowledged in time may be there or not."""
        records, failed, taken = list(records), list[tuple[KafkaError, Outgoing]](), set[int]()
        unknown = "Kafka has not acknowledged it in time"
        try:
            for record in records:
                self._produce(record, failed, lambda record: taken.add(id(record)))
            self._producer.flush(DELIVERY_TIMEOUT_S + 1)
        except KafkaException as error:
            unknown = str(self._after_fatal(error.args[0], failed))
        errors = {id(record): error for error, record in failed}
        return [
            Sent(record, None) if id(record) in taken else self._sent(record, errors.get(id(record)), unknown)
            for record in records
        ]

    def _sent(self, record: Outgoing, error: KafkaError | None, unknown: str) -> Sent:
        if error is None:
            return Sent(record, Verdict.OUTAGE, unknown)
        verdict = verdict_of(error.name())
        if verdict is Verdict.STOP:
            return Sent(record, verdict, str(stopped_by(self._settings, error, record.topic, "WRITE")))
        return Sent(record, verdict, f"{error.name()}: {error.str()}")

    def _judged(self, failed: list[tuple[KafkaError, Outgoing]], foreign: Collection[str]) -> Refused:
        refused: Refused = []
        outage: RetryLaterError | None = None
        for error, record in failed:
            verdict = verdict_of(error.name())
            if record.topic in foreign:
                self._give_up(error, record)
            elif verdict is Verdict.RECORD:
                refused.append((f"{error.name()}: {error.str()}", record))
            elif verdict is Verdict.STOP:
                raise stopped_by(self._settings, error, record.topic, "WRITE")
            else:
                advice = " Run: orders setup" if "TOPIC" in error.name() else ""
                outage = RetryLaterError(f"Kafka did not take a record for {record.topic}: {error}{advice}")
        if outage is not None:
            raise outage
        return refused

    def _give_up(self, error: KafkaError, record: Outgoing) -> None:
        _log.warning("reply topic %s, partition %s: %s; reply given up", record.topic, record.partition, error)
        if len(self._given_up_until_s) >= GIVEN_UP_TOPICS_MAX:
            self._given_up_until_s.clear()
        self._given_up_until_s[record.topic] = self._clock_s() + GIVEN_UP_S

    def _after_fatal(
        self, error: KafkaError, failed: list[tuple[KafkaError, Outgoing]]
    ) -> ConsumerStoppedError | RetryLaterError:
        """This producer takes no more records; another one starts over with a new producer id."""
        self._producer = self._new_producer()
        if verdict_of(error.name()) is Verdict.STOP:
            topic = next((record.topic for _, record in failed), self._settings.topics.results)
            return stopped_by(self._settings, error, topic, "WRITE")
        return RetryLaterError(f"Kafka ended the producer, another one was made: {error.name()}, {error.str()}")

    def _produce(
        self,
        record: Outgoing,
        failed: list[tuple[KafkaError, Outgoing]],
        on_taken: Callable[[Outgoing], None] | None = None,
    ) -> None:
        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append((error, record))
            elif on_taken is not None:
                on_taken(record)

        partition = _BY_KEY if record.partition is None else record.partition
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=list(record.headers),
                    on_delivery=on_delivery,
                    partition=partition,
                    timestamp=record.time_ms or 0,
                )
            except BufferError:  # the client's queue is full; it empties while we poll, or the records time out
                self._producer.poll(0.1)
            except KafkaException as error:
                failed.append((error.args[0], record))
                return
            else:
                self._producer.poll(0)
                return
