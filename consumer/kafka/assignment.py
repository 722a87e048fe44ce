"""Which partitions this consumer owns, and up to which offset it has read each: the member of the consumer group."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from threading import Event as Flag

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.core.record import Record
from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.kafka.message import record_of, take_messages
from consumer.retry import attempts
from consumer.settings import ConsumerSettings

ReadApplied = Callable[[Collection[int]], Mapping[int, int]]
"""The watermark *applied* of these partitions. Raises RetryLaterError if Postgres does not answer."""

COMMIT_TIMEOUT_S = 10.0
COMMIT_EVERY_S = 0.1
"""A commit after every batch costs one more request. With batches of one order that is a fifth of the broker's work."""
_POLL_SLICE_S = 0.1
_log = logging.getLogger(__name__)


class Assignment:
    """Our partitions with positions of our own: `take` returns no gap and no record of a revoked partition."""

    def __init__(
        self, settings: ConsumerSettings, read_applied: ReadApplied, stop: Flag, on_restored: Callable[[], None]
    ) -> None:
        """`stop` ends every wait. `on_restored` is called if Postgres is behind the committed offsets."""
        self._stop = stop
        self._closing = False
        self._topic = settings.topics.upserts
        self._read_applied = read_applied
        self._on_restored = on_restored
        self._positions: dict[int, int] = {}
        self._new: set[int] = set()
        self._revoked: set[int] = set()
        self._uncommitted: dict[int, int] = {}
        self._committed_s = 0.0
        self._is_paused = False
        self._consumer = Consumer({**group_config(settings), "on_commit": self._on_commit}, logger=_log)

    def subscribe(self) -> None:
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)

    @property
    def positions(self) -> Mapping[int, int]:
        """For each of our partitions, the offset after the last record that was taken."""
        return self._positions

    def drain_revoked(self) -> set[int]:
        """The partitions that were revoked since the last call, also those that were assigned again."""
        revoked, self._revoked = self._revoked, set()
        return revoked

    def take(self, records_max: int, timeout_s: float) -> tuple[list[Record], dict[int, int]]:
        """The records that have arrived, and for each of their partitions the offset from which on none is missing.

        Both are empty if nothing arrives in `timeout_s`. Raises ConsumerStoppedError if Kafka refuses this consumer.
        """
        self._new.clear()
        messages = take_messages(self._consumer, records_max, timeout_s)
        if not messages:
            self._commit_noted()
            return [], {}
        return self._accept(messages)

    def wait(self, duration_s: float) -> None:
        """Waits without reading, and stays in the group: an outage of Postgres costs no partition. Ends with `stop`."""
        until_s = time.monotonic() + duration_s
        self._set_paused(True)
        while not self._stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            message = self._consumer.poll(min(left_s, _POLL_SLICE_S))
            if message is not None:  # it was already fetched when we paused: read it again later
                _, starts = self._accept([message])
                self.rewind(starts)
        self._set_paused(False)

    def rewind(self, offsets: Mapping[int, int]) -> None:
        """Reads these partitions again from these offsets on. Ignores partitions that are not ours."""
        for partition in offsets.keys() & self._positions.keys():
            # seek() fails if the partition was assigned a moment ago.
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
            self._assign({partition: offsets[partition]})

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Sets the watermark *answered*, soon and without waiting. If a commit is lost, replies are only sent again.

        A commit that failed in a rebalance is repeated by the next call, even if that call has no new offsets.
        """
        self._uncommitted.update(next_offsets)
        if time.monotonic() - self._committed_s >= COMMIT_EVERY_S:
            self._commit_noted()

    def close(self) -> None:
        """Leaves the group. Commits what `commit` has noted."""
        self._closing = True
        self._commit_noted()
        self._consumer.close()

    def _commit_noted(self) -> None:
        if self._uncommitted:
            self._committed_s = time.monotonic()
            self._consumer.commit(offsets=self._at(self._uncommitted), asynchronous=True)

    def _on_assign(self, _: Consumer, assigned: list[TopicPartition]) -> None:
        if self._closing or self._stop.is_set():
            return  # a rebalance ends while we leave: we read nothing more, so we need no start offsets
        partitions = [item.partition for item in assigned]
        # No poll is possible inside a rebalance. If this takes too long, we lose the assignment, but nothing else.
        for attempt in attempts(self._stop, self._sleep):
            with attempt:
                self._assign(self._read_start_offsets(partitions))
        self._new.update(partitions)
        _log.info("assigned: %s", self._positions)

    def _on_commit(self, error: KafkaError | None, committed: list[TopicPartition]) -> None:
        """Called by the client inside of poll."""
        for item in committed:
            if error is None and item.error is None:
                if self._uncommitted.get(item.partition) == item.offset:
                    del self._uncommitted[item.partition]
            else:
                _log.warning("partition %d: offset %d was not committed: %s", item.partition, item.offset, error)

    def _on_revoke(self, _: Consumer, revoked: list[TopicPartition]) -> None:
        self._commit_noted()
        for item in revoked:
            self._positions.pop(item.partition, None)
            self._uncommitted.pop(item.partition, None)  # the new owner sends these replies again
            self._revoked.add(item.partition)
        _log.info("revoked: %s", sorted(self._revoked))
        self._consumer.incremental_unassign(revoked)

    def _read_start_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        """For each partition, the lower of the two watermarks *applied* and *answered*."""
        applied = self._read_applied(partitions)
        try:
            committed = self._consumer.committed(self._at(dict.fromkeys(partitions, 0)), timeout=COMMIT_TIMEOUT_S)
            answered = {item.partition: item.offset for item in committed if item.offset >= 0}
            # Without this, a crash between the first commit in Postgres and its replies would lose those replies.
            unanswered = {partition: applied[partition] for partition in partitions if partition not in answered}
            if unanswered:
                self._consumer.commit(offsets=self._at(unanswered), asynchronous=False)
        except KafkaException as error:
            raise RetryLaterError(f"Kafka: {error.args[0].str()}") from error
        if any(applied[partition] < offset for partition, offset in answered.items()):
            self._on_restored()
        return {
            partition: min(applied[partition], answered.get(partition, applied[partition])) for partition in partitions
        }

    def _sleep(self, duration_s: float) -> None:
        self._stop.wait(duration_s)

    def _assign(self, offsets: Mapping[int, int]) -> None:
        self._consumer.incremental_assign(self._at(offsets))
        self._positions.update(offsets)
        self._pause_or_resume(offsets)  # the client keeps the pause of a partition that is revoked and assigned again

    def _set_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        self._pause_or_resume(self._positions)

    def _pause_or_resume(self, offsets: Mapping[int, int]) -> None:
        (self._consumer.pause if self._is_paused else self._consumer.resume)(self._at(offsets))

    def _accept(self, messages: list[Message]) -> tuple[list[Record], dict[int, int]]:
        records: list[Record] = []
        starts: dict[int, int] = {}
        again: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                _report(error, message.partition())
                continue
            record = record_of(message)
            partition, offset = record.partition, record.offset
            position = self._positions.get(partition)
            # consume() may return records of partitions that were revoked in this very call. If one was assigned again
            # at once, it may return records from before the gap.
            if position is None or offset < position or partition in again:
                continue
            if partition in self._new and offset != position:
                again[partition] = position
                continue
            starts.setdefault(partition, position)
            self._positions[partition] = offset + 1
            self._new.discard(partition)
            records.append(record)
        self.rewind(again)
        return records, starts

    def _at(self, offsets: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]


def _report(error: KafkaError, partition: int | None) -> None:
    """Raises ConsumerStoppedError if going on would be wrong. The client recovers from all other errors by itself."""
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        _log.error(
            "PARTITION %s STOPPED: %s. Kafka no longer has the next record that Postgres needs. Nothing was skipped. "
            "Before you go on, find out what removed records from the topic (retention.ms should be -1).",
            partition,
            error.str(),
        )
    elif error.fatal() or error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ):
        raise ConsumerStoppedError(f"Kafka refuses this consumer: {error.str()}")
    else:
        _log.warning("Kafka: %s", error.str())


def group_config(settings: ConsumerSettings) -> dict[str, object]:
    """The settings of the client library for a member of the consumer group."""
    # The broker removes a silent member after 6 s. In KIP-848 groups only the broker sets these times.
    protocol: dict[str, str | int] = (
        {"group_protocol": "consumer"}
        if settings.group_protocol == "consumer"
        else {
            "group_protocol": "classic",
            "partition_assignment_strategy": "cooperative-sticky",
            "heartbeat_interval_ms": 500,
            "session_timeout_ms": 6000,
        }
    )
    return {
        **settings.client_config(
            client_id="order-upsert-consumer",
            group_id=settings.topics.consumer_group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
            fetch_queue_backoff_ms=5,
            # These limit what is fetched ahead, and so the memory of this process. A fetch is compressed: its records
            # are usually five times as large, and sometimes a hundred times.
            queued_max_messages_kbytes=8 * 1024,
            fetch_max_bytes=1024 * 1024,
            max_partition_fetch_bytes=64 * 1024,
            fetch_wait_max_ms=500,
            reconnect_backoff_max_ms=1000,
            **protocol,
        )
    }
