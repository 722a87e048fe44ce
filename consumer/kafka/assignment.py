"""Which partitions this consumer owns, and up to which offset it has read each: the member of the consumer group."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from threading import Event as Flag

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from consumer.core.log_mark import Watermark
from consumer.errors import RetryLaterError
from consumer.kafka.answered import Answered
from consumer.kafka.broker import require_known
from consumer.kafka.ends_of_records import EndsOfRecords, ends_of_answered
from consumer.kafka.group import group_config
from consumer.kafka.known_ends import known_ends
from consumer.kafka.message import Taken, take_messages
from consumer.kafka.positions import Positions
from consumer.kafka.reading_errors import report
from consumer.metrics import ConsumerMetrics
from consumer.retry import attempts
from consumer.settings import ConsumerSettings

ReadApplied = Callable[[Collection[int]], Mapping[int, Watermark]]
"""How far these partitions were applied. Raises RetryLaterError if Postgres does not answer."""

_POLL_SLICE_S = 0.1
_log = logging.getLogger(__name__)


class Assignment:
    """Our partitions with positions of our own: `take` returns no gap and no record of a revoked partition."""

    def __init__(
        self,
        settings: ConsumerSettings,
        read_applied: ReadApplied,
        stop: Flag,
        on_restored: Callable[[], None],
        metrics: ConsumerMetrics,
        ends_of_records: EndsOfRecords = lambda _, ends: ends,
    ) -> None:
        """`stop` ends every wait. `on_restored` is called if Postgres lacks records before the committed offsets."""
        self._stop = stop
        self._metrics = metrics
        self._closing = False
        self._topic = settings.topics.upserts
        self._read_applied = read_applied
        self._on_restored = on_restored
        self._ends_of_records = ends_of_records
        self._positions = Positions(settings.topics.upserts, report)
        self._revoked: set[int] = set()
        self._answered = Answered(settings.topics.upserts)
        self._held: set[int] = set()
        self._is_paused = False
        self.is_assigned = False
        """Whether the group has told which partitions are ours; they may be none."""
        self._consumer = Consumer({**group_config(settings), "on_commit": self._answered.on_commit}, logger=_log)
        self._read_ends = partial(known_ends, self._consumer, self._topic)

    def subscribe(self) -> None:
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)

    @property
    def positions(self) -> Mapping[int, int]:
        """For each of our partitions, the offset after the last record that was taken."""
        return self._positions.offsets

    @property
    def read_to(self) -> Mapping[int, int]:
        """The same with the markers of transactions behind that record: nothing before it is still to be taken."""
        return {p: max(position, self._positions.read_to[p]) for p, position in self.positions.items()}

    @property
    def held(self) -> Collection[int]:
        """The partitions that are not read until `release`."""
        return self._held

    def drain_revoked(self) -> set[int]:
        """The partitions that were revoked since the last call, also those that were assigned again."""
        revoked, self._revoked = self._revoked, set()
        return revoked

    def take(self, records_max: int, timeout_s: float) -> tuple[list[Taken], dict[int, int]]:
        """The records that have arrived, and for each of their partitions the offset from which on none is missing.

        Both are empty if nothing arrives in `timeout_s`. Raises ConsumerStoppedError if Kafka refuses this consumer.
        """
        self._positions.new.clear()
        self._metrics.look(self._answered.done, self._read_ends)
        messages = take_messages(self._consumer, records_max, timeout_s)
        if not messages:
            self._answered.commit_noted(self._consumer)
            return [], {}
        taken, starts = self._accept(messages)
        if not taken:  # what is read without giving a record are markers of transactions
            self._note_answered({})
        return taken, starts

    def wait(self, duration_s: float) -> None:
        """Waits without reading, and stays in the group: an outage of Postgres costs no partition. Ends with `stop`."""
        until_s = time.monotonic() + duration_s
        # An outage may end with a restored Postgres. What is answered but not committed looks new then.
        self._answered.commit_noted(self._consumer)
        self._set_paused(True)
        while not self._stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            message = self._consumer.poll(min(left_s, _POLL_SLICE_S))
            if message is not None:  # it was already fetched when we paused: read it again later
                _, starts = self._accept([message])
                self.rewind(starts)
        self._set_paused(False)

    def rewind(self, offsets: Mapping[int, int]) -> None:
        """Reads these partitions again from these offsets on, also those that were held. Ignores partitions that are
        not ours."""
        self._held.difference_update(offsets)
        self._assign_again(offsets)

    def hold(self, offsets: Mapping[int, int]) -> None:
        """As `rewind`, but reads nothing of these partitions before `release`."""
        self._held.update(offsets.keys() & self.positions.keys())
        self._assign_again(offsets)

    def release(self) -> None:
        """Reads on in all partitions that were held."""
        self._held.clear()
        self._pause_or_resume(self.positions)

    def read_answered(self) -> dict[int, int]:
        """The watermark *answered* of each partition that has one, also of those that are not ours.

        Raises RetryLaterError.
        """
        return self._answered.read_all(self._consumer)

    def _assign_again(self, offsets: Mapping[int, int]) -> None:
        for partition in offsets.keys() & self.positions.keys():
            # seek() fails if the partition was assigned a moment ago.
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
            self._assign({partition: offsets[partition]})

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Sets the watermark *answered*, soon and without waiting. If a commit is lost, replies are only sent again.

        A commit that failed in a rebalance is repeated by the next call, even if that call has no new offsets. If all
        that was taken is answered, the offset goes past the markers of transactions: else the group had a lag.
        """
        self._note_answered(next_offsets)

    def _note_answered(self, next_offsets: Mapping[int, int]) -> None:
        done = {**self._answered.done, **next_offsets}
        past = {p: end for p, end in self.read_to.items() if self.positions[p] <= done.get(p, -1) < end}
        self._answered.note(self._consumer, {**next_offsets, **past})

    def close(self) -> None:
        """Leaves the group. Commits what `commit` has noted."""
        self._closing = True
        self._answered.commit_noted(self._consumer)
        self._consumer.close()

    def _on_assign(self, _: Consumer, assigned: list[TopicPartition]) -> None:
        if self._closing or self._stop.is_set():
            return  # a rebalance ends while we leave: we read nothing more, so we need no start offsets
        partitions = [item.partition for item in assigned]
        require_known(self._topic, partitions)
        # No poll is possible inside a rebalance. If this takes too long, we lose the assignment, but nothing else.
        for attempt in attempts(self._stop, self._sleep):
            with attempt:
                starts = self._read_start_offsets(partitions)
                self._assign(starts)
                self._answered.begin(starts)
        self._positions.new.update(partitions)
        self.is_assigned = True
        self._metrics.on_rebalance(len(self.positions))
        _log.info("assigned: %s", self.positions)

    def _on_revoke(self, _: Consumer, revoked: list[TopicPartition]) -> None:
        self._answered.commit_noted(self._consumer)
        for item in revoked:
            self._positions.forget(item.partition)
            self._held.discard(item.partition)
            self._answered.forget(item.partition)  # the new owner sends these replies again
            self._revoked.add(item.partition)
        self.is_assigned = bool(self.positions)  # without any, the group tells again
        self._metrics.on_rebalance(len(self.positions))
        _log.info("revoked: %s", sorted(self._revoked))
        self._consumer.incremental_unassign(revoked)

    def _read_start_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        """For each partition, the lower of the two watermarks *applied* and *answered*. But not below what Postgres
        knows to be answered: somebody may have put the committed offsets back."""
        watermarks = self._read_applied(partitions)
        applied = {partition: watermarks[partition].next_offset for partition in partitions}
        try:
            answered = self._answered.read(self._consumer, partitions)
            # Without this, a crash between the first commit in Postgres and its replies would lose those replies.
            unanswered = {partition: applied[partition] for partition in partitions if partition not in answered}
            if unanswered:
                self._answered.commit_now(self._consumer, unanswered)
        except KafkaException as error:
            raise RetryLaterError(f"Kafka: {error.args[0].str()}") from error
        ends = ends_of_answered(answered, applied, self._ends_of_records)
        if any(applied[partition] < end for partition, end in ends.items()):
            self._on_restored()
        for partition in partitions:
            known = watermarks[partition].answered_to or 0
            if answered.get(partition, known) < known:
                _log.info("partition %d: all below offset %d was answered, so it is not read again", partition, known)
            answered[partition] = max(known, answered.get(partition, applied[partition]))
        return {partition: min(applied[partition], answered[partition]) for partition in partitions}

    def _sleep(self, duration_s: float) -> None:
        self._stop.wait(duration_s)

    def _assign(self, offsets: Mapping[int, int]) -> None:
        self._consumer.incremental_assign(self._at(offsets))
        self._positions.set(offsets)
        self._pause_or_resume(offsets)  # the client keeps the pause of a partition that is revoked and assigned again

    def _set_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        self._pause_or_resume(self.positions)

    def _pause_or_resume(self, offsets: Mapping[int, int]) -> None:
        paused = {
            partition: offset for partition, offset in offsets.items() if self._is_paused or partition in self._held
        }
        self._consumer.pause(self._at(paused))
        self._consumer.resume(self._at({p: offset for p, offset in offsets.items() if p not in paused}))

    def _accept(self, messages: list[Message]) -> tuple[list[Taken], dict[int, int]]:
        taken, starts, again = self._positions.accept(messages)
        self.rewind(again)
        return taken, starts

    def _at(self, offsets: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
