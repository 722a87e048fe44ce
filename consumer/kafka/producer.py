"""Sends records and waits until the brokers acknowledge them. For results and dead letters."""

import logging
import time
from collections.abc import Callable, Collection, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.core.record import Outgoing, Work
from consumer.errors import RetryLaterError
from contracts.settings import KafkaSettings

DELIVERY_TIMEOUT_S = 5.0
GIVEN_UP_S = 60.0
GIVEN_UP_TOPICS_MAX = 1000
_BY_KEY = -1
_log = logging.getLogger(__name__)


class AcknowledgedProducer:
    """`send` returns when every in-sync replica has every record."""

    def __init__(self, settings: KafkaSettings, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._given_up_until_s: dict[str, float] = {}
        self._producer = Producer(
            settings.client_config(
                client_id="order-upsert-consumer",
                enable_idempotence=True,
                partitioner="murmur2_random",
                linger_ms=0,
                message_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
                # How long the client waits for a topic that the broker does not know yet. Its default is 30 s.
                topic_metadata_propagation_max_ms=1000,
                message_max_bytes=2 * 1024 * 1024,
            ),
            logger=_log,
        )

    def send(self, records: Iterable[Outgoing], foreign: Collection[str] = (), meanwhile: Work | None = None) -> None:
        """Sends the records. Calls `meanwhile` until all are acknowledged or it has no more work.

        Raises RetryLaterError if a record for one of our own topics was not acknowledged.
        `foreign`: topics that the writers of events named. If one of them does not take a record, this is logged, and
        for a minute nothing is sent to it: waiting for it again and again would hold up all other replies.
        """
        failed: list[tuple[KafkaError, Outgoing]] = []
        for record in records:
            if record.topic in foreign and self._clock_s() < self._given_up_until_s.get(record.topic, 0):
                _log.warning("dropped a reply for topic %s: the topic failed less than a minute ago", record.topic)
            else:
                self._produce(record, failed)
        while len(self._producer) and meanwhile is not None and meanwhile():
            self._producer.poll(0)
        # One second longer than a record may take, so that the client gives up first.
        left = self._producer.flush(DELIVERY_TIMEOUT_S + 1)
        if left:
            raise RetryLaterError(f"Kafka has not acknowledged {left} records yet")
        for error, record in failed:
            if record.topic not in foreign:
                raise RetryLaterError(f"Kafka did not take a record for {record.topic}: {error}")
            _log.warning("dropped a reply for topic %s, partition %s: %s", record.topic, record.partition, error)
            if len(self._given_up_until_s) >= GIVEN_UP_TOPICS_MAX:
                self._given_up_until_s.clear()
            self._given_up_until_s[record.topic] = self._clock_s() + GIVEN_UP_S

    def _produce(self, record: Outgoing, failed: list[tuple[KafkaError, Outgoing]]) -> None:
        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append((error, record))

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
            except BufferError:  # the client's queue is full; polling empties it, or the records time out
                self._producer.poll(0.1)
            except KafkaException as error:
                failed.append((error.args[0], record))
                return
            else:
                self._producer.poll(0)
                return
