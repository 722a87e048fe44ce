"""The watermark *answered*: the offsets that the consumer group has committed in Kafka."""

import logging
import time
from collections.abc import Collection, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer.errors import RetryLaterError
from contracts.topics import UPSERT_PARTITIONS

COMMIT_TIMEOUT_S = 10.0
COMMIT_EVERY_S = 0.1
"""A commit after every batch costs one more request. With batches of one order that is a fifth of the broker's work."""
_log = logging.getLogger(__name__)


class Answered:
    """Commits offsets through the client of a member of the group. Its client calls `on_commit`."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._uncommitted: dict[int, int] = {}
        self.done: dict[int, int] = {}
        """Up to where each partition of ours is answered."""
        self._committed_s = 0.0

    def begin(self, starts: Mapping[int, int]) -> None:
        """These partitions are ours, and are read from these offsets on."""
        self.done.update(starts)

    def note(self, consumer: Consumer, next_offsets: Mapping[int, int]) -> None:
        """Commits soon, without waiting. An offset whose commit failed is committed by a later call."""
        self._uncommitted.update(next_offsets)
        self.done.update(next_offsets)
        if time.monotonic() - self._committed_s >= COMMIT_EVERY_S:
            self.commit_noted(consumer)

    def commit_noted(self, consumer: Consumer) -> None:
        if self._uncommitted:
            self._committed_s = time.monotonic()
            consumer.commit(offsets=self._at(self._uncommitted), asynchronous=True)

    def commit_now(self, consumer: Consumer, next_offsets: Mapping[int, int]) -> None:
        """Returns when it is done. Raises KafkaException."""
        consumer.commit(offsets=self._at(next_offsets), asynchronous=False)

    def forget(self, partition: int) -> None:
        self._uncommitted.pop(partition, None)
        self.done.pop(partition, None)

    def on_commit(self, error: KafkaError | None, committed: list[TopicPartition]) -> None:
        """Called by the client inside of poll.

        The client sends a commit again if its broker went away, so an older one may be done after a newer one.
        """
        for item in committed:
            if error is None and item.error is None:
                if self._uncommitted.get(item.partition) == item.offset:
                    del self._uncommitted[item.partition]
                elif item.offset < (done := self.done.get(item.partition, 0)):
                    self._uncommitted[item.partition] = done
            else:
                _log.warning("partition %d: offset %d was not committed: %s", item.partition, item.offset, error)

    def read(self, consumer: Consumer, partitions: Collection[int]) -> dict[int, int]:
        """The committed offset of each of these partitions that has one. Raises KafkaException."""
        committed = consumer.committed(self._at(dict.fromkeys(partitions, 0)), timeout=COMMIT_TIMEOUT_S)
        return {item.partition: item.offset for item in committed if item.offset >= 0}

    def read_all(self, consumer: Consumer) -> dict[int, int]:
        """The same for all partitions of the topic, with what is not committed yet. Raises RetryLaterError."""
        self.commit_noted(consumer)
        try:
            answered = self.read(consumer, range(UPSERT_PARTITIONS))
        except KafkaException as error:
            raise RetryLaterError(f"Kafka: {error.args[0].str()}") from error
        for partition, offset in self._uncommitted.items():
            answered[partition] = max(offset, answered.get(partition, 0))
        return answered

    def _at(self, offsets: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
