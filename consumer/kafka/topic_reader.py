"""Reads part of a topic without a consumer group: it commits nothing and disturbs no consumer."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from consumer.core.record import Record
from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.kafka.broker import stopped_by
from consumer.kafka.message import Taken, record_of, take_messages
from consumer.kafka.unreadable import UnreadableBatches
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS

RECORDS_MAX = 2_000
"""Records in one chunk. As a Python object, each takes a few kilobytes."""
FETCHED_AHEAD_BYTES = 4 << 20
"""What the client fetches ahead while a chunk is processed: about 10,000 orders. Its default of 64 MB makes no replay
faster, and each process of a replay keeps that much."""
ANSWER_TIMEOUT_S = 15.0
LEADER_WAIT_MAX_S = 15.0
"""A partition has no leader for a moment while its topic is made or its broker changes."""
SILENCE_MAX_S = 30.0
"""How long a broker may send nothing although there are records to read."""
_POLL_S = 0.2
_log = logging.getLogger(__name__)

_ENDING = (
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._FATAL,
)

Answer = TypeVar("Answer")
Ends = Mapping[int, int]
"""For each partition, the offset after its last record."""


@dataclass(frozen=True)
class Chunk:
    """What was taken, by offset within each partition, and the offset up to which each partition is read now."""

    taken: list[Taken]
    positions: dict[int, int]

    @cached_property
    def records(self) -> list[Record]:
        return [item if isinstance(item, Record) else record_of(item) for item in self.taken]


class TopicReader:
    """Reads one topic. Its methods raise ConsumerStoppedError if the topic is not as `orders setup` makes it, and
    RetryLaterError if no broker answers."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.topic = topic
        self._settings = settings
        self._bootstrap = settings.kafka_bootstrap
        self._unreadable = UnreadableBatches(self._raise_unless_passing)
        self._consumer = Consumer(
            settings.client_config(
                client_id="order-upsert-reader",
                group_id="order-upsert-no-group",  # the client demands a name; nothing is ever committed under it
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                auto_offset_reset="error",
                isolation_level="read_committed",
                fetch_queue_backoff_ms=5,
                # It reads up to known ends, so no fetch need wait for more. While one waits, another partition has to.
                fetch_wait_max_ms=10,
                queued_max_messages_kbytes=FETCHED_AHEAD_BYTES // 1024,
                fetch_max_bytes=FETCHED_AHEAD_BYTES,
                reconnect_backoff_max_ms=1000,
            ),
            logger=_log,
        )

    def close(self) -> None:
        self._consumer.close()

    def bounds(self, partitions: Collection[int]) -> tuple[dict[int, int], dict[int, int]]:
        """For each partition now: its first offset, and the offset after its last record."""
        self._require_partitions()
        first, ends = {}, {}
        for partition in partitions:
            item = TopicPartition(self.topic, partition)
            first[partition], ends[partition] = self._ask(
                partial(self._consumer.get_watermark_offsets, item, ANSWER_TIMEOUT_S, cached=False)
            )
        return first, ends

    def offsets_at(self, time: datetime, partitions: Collection[int]) -> dict[int, int]:
        """The first offset at `time` or later, for each partition that has one."""
        self._require_partitions()
        time_ms = round(time.timestamp() * 1000)

        def read_offsets() -> dict[int, int]:
            query = [TopicPartition(self.topic, partition, time_ms) for partition in partitions]
            found = self._consumer.offsets_for_times(query, timeout=ANSWER_TIMEOUT_S)
            for item in found:
                if item.error is not None:  # then its offset is the time in the query
                    raise KafkaException(item.error)
            return {item.partition: item.offset for item in found if item.offset >= 0}

        return self._ask(read_offsets)

    def read(
        self, starts: Mapping[int, int], ends: Ends, wanted: Callable[[Message], bool] | None = None
    ) -> Iterator[Chunk]:
        """All records from `starts` up to `ends` for which `wanted` is true, in chunks.

        Skips an offset without a record (the marker of a transaction). Raises ConsumerStoppedError if the broker no
        longer has a record, because the topic was truncated.
        """
        positions = dict(starts)
        left = {partition for partition, end in ends.items() if positions[partition] < end}
        self._consumer.assign([TopicPartition(self.topic, partition, positions[partition]) for partition in left])
        heard_s = time.monotonic()
        while left:
            messages = self._take()
            taken: list[Taken] = []
            again: dict[int, int] = {}
            for message in messages:
                partition, offset = message.partition(), message.offset()
                error = message.error()
                unreadable = None
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    unreadable = self._unreadable.record_of(message, positions, again)
                    if unreadable is None:
                        continue
                if partition not in left or offset is None or partition in again:
                    continue
                if unreadable is not None:
                    if wanted is None:
                        taken.append(unreadable)
                    positions[partition] = again[partition] = unreadable.offset + 1
                elif error is not None:
                    positions[partition] = max(positions[partition], offset)
                else:
                    if offset < ends[partition] and (wanted is None or wanted(message)):
                        taken.append(message)
                    positions[partition] = offset + 1
                if positions[partition] >= ends[partition]:
                    positions[partition] = ends[partition]
                    left.discard(partition)
                    self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
            for partition in again.keys() & left:
                self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
                self._consumer.incremental_assign([TopicPartition(self.topic, partition, again[partition])])
            if messages:
                yield Chunk(taken, dict(positions))
                heard_s = time.monotonic()  # the time that the caller spent on the chunk does not count as silence
            elif time.monotonic() - heard_s > SILENCE_MAX_S:
                raise RetryLaterError(
                    f"Kafka at {self._bootstrap} sent no records of {self.topic} for {SILENCE_MAX_S:.0f} s, although "
                    f"the partitions {sorted(left)} are not read to their ends. {self._advice()}"
                )

    def _take(self) -> list[Message]:
        """The client library raises what is fatal to a client."""
        try:
            return take_messages(self._consumer, RECORDS_MAX, _POLL_S)
        except KafkaException as error:
            raise self._explain(error.args[0], None) from error

    def _raise_unless_passing(self, error: KafkaError, partition: int | None) -> None:
        if error.code() in _ENDING or error.fatal():
            raise self._explain(error, partition)
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return  # the client looks for a coordinator, and nothing is ever asked of one
        _log.warning("Kafka: %s", error.str())  # the client recovers by itself, or SILENCE_MAX_S runs out

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Calls `call` again while a partition has no leader, for up to LEADER_WAIT_MAX_S.

        The client says that a partition without a leader is unknown. So check first that the partitions exist.
        """
        passing = {KafkaError._UNKNOWN_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION}
        try:
            return Retrying(
                retry=retry_if_exception(lambda e: isinstance(e, KafkaException) and e.args[0].code() in passing),
                wait=wait_fixed(0.1),
                stop=stop_after_delay(LEADER_WAIT_MAX_S),
                reraise=True,
            )(call)
        except KafkaException as error:
            raise self._explain(error.args[0], None) from None

    def _require_partitions(self) -> None:
        try:
            found = self._consumer.list_topics(self.topic, ANSWER_TIMEOUT_S).topics[self.topic]
        except KafkaException as error:
            raise self._explain(error.args[0], None) from None
        if found.error is not None and found.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
            raise self._explain(found.error, None)
        if len(found.partitions) != UPSERT_PARTITIONS:
            raise ConsumerStoppedError(
                f"The topic {self.topic} has {len(found.partitions)} partitions instead of {UPSERT_PARTITIONS}. "
                "The records of one order may be in two partitions. Check ORDERS_KAFKA_BOOTSTRAP and "
                "ORDERS_TOPIC_PREFIX. If they are right, make a new topic with `orders setup` and copy the records "
                "into it in order."
            )

    def _explain(self, error: KafkaError, partition: int | None) -> ConsumerStoppedError | RetryLaterError:
        code = error.code()
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            return ConsumerStoppedError(
                f"The topic {self.topic} does not exist. Check ORDERS_KAFKA_BOOTSTRAP and ORDERS_TOPIC_PREFIX. To "
                "make the topics, run: orders setup"
            )
        if code == KafkaError._AUTO_OFFSET_RESET:
            return ConsumerStoppedError(
                f"The topic {self.topic} no longer has the next record to read in its partition {partition}: records "
                "were removed meanwhile. Find out what removed them (retention.ms should be -1)."
            )
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return ConsumerStoppedError(f"Kafka does not allow this user to read {self.topic}.")
        if error.fatal() or code in _ENDING:
            return stopped_by(self._settings, error, self.topic, "READ")
        return RetryLaterError(f"Kafka at {self._bootstrap}: {error.str()}\n{self._advice()}")

    def _advice(self) -> str:
        """What a person should do if Kafka does not send records that it should have."""
        try:
            partitions = self._consumer.list_topics(self.topic, ANSWER_TIMEOUT_S).topics[self.topic].partitions
        except KafkaException:
            partitions = {}
        without_leader = {number: found.replicas for number, found in partitions.items() if found.leader < 0}
        if not without_leader:
            return (
                "Check ORDERS_KAFKA_BOOTSTRAP and ORDERS_KAFKA_PROPERTIES. Check that every broker runs. Then run this "
                "again."
            )
        node_ids = sorted(set(chain.from_iterable(without_leader.values())))
        return (
            f"The partitions {sorted(without_leader)} of {self.topic} have no leader, because the brokers that keep "
            f"them are down (node ids {node_ids}). Start those brokers, then run this again. Do not recreate the "
            "topic: its records are on those brokers."
        )
