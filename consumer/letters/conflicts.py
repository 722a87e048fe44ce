"""Which requests lost their Idempotency-Key to another body, read from the dead letters."""

import logging
from datetime import timedelta

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer.core.record import Record
from consumer.core.repeats import CONFLICT, LostClaims
from consumer.errors import RetryLaterError
from consumer.kafka.message import record_of
from consumer.letters.letter import PREFIX
from consumer.settings import ConsumerSettings
from contracts.event import RecordError, read_headers
from contracts.topics import UPSERT_PARTITIONS

TIMEOUT_S = 10.0
_RECORDS_MAX = 1000
_log = logging.getLogger(__name__)


def read_conflicts(settings: ConsumerSettings) -> LostClaims:
    """The whole dead-letter topic, to its end of this moment. Raises RetryLaterError."""
    lost_claims = LostClaims(timedelta(days=settings.ledger_days))
    consumer = Consumer(
        settings.client_config(
            client_id="order-upsert-consumer",
            group_id="order-upsert-no-group",  # the client wants a name; nothing is ever committed under it
            enable_auto_commit=False,
            enable_partition_eof=True,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        ),
        logger=_log,
    )
    try:
        missing = set(range(UPSERT_PARTITIONS))
        consumer.assign([TopicPartition(settings.topics.dlq, partition, 0) for partition in missing])
        while missing:
            first = consumer.poll(TIMEOUT_S)  # not consume(): it waits until it has as many as it may give
            if first is None:
                raise RetryLaterError(f"Kafka did not give the records of {settings.topics.dlq}")
            for message in [first, *consumer.consume(_RECORDS_MAX, 0)]:
                error = message.error()
                if error is None:
                    _add(lost_claims, record_of(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    missing.discard(message.partition() or 0)
                else:
                    raise RetryLaterError(f"Kafka, {settings.topics.dlq}: {error.str()}")
    except KafkaException as error:
        raise RetryLaterError(f"Kafka: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return lost_claims


def _add(lost_claims: LostClaims, letter: Record) -> None:
    if (f"{PREFIX}exception.class.name", CONFLICT.encode()) not in letter.headers:
        return
    try:
        context, _ = read_headers(letter.headers)
        lost_claims.add(context, letter.time)
    except RecordError as error:
        _log.warning("a dead letter cannot be read: %s", error)
