"""What an error among the records that arrive means."""

import logging

from confluent_kafka import KafkaError, KafkaException

from consumer.errors import LogChangedError
from contracts.kafka_errors import ENDING

_log = logging.getLogger(__name__)


def report(error: KafkaError, partition: int | None) -> None:
    """Raises ConsumerStoppedError if going on would be wrong. The client recovers from all other errors by itself."""
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise LogChangedError(
            partition,
            f"Kafka no longer has the next record of partition {partition}: {error.str()}. Nothing was skipped.",
        )
    if error.fatal() or error.name() in ENDING:
        raise KafkaException(error)  # `run` says what it means
    _log.warning("Kafka: %s", error.str())
