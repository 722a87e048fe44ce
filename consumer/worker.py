"""The loop of a consumer process: take, apply, answer, commit."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Event as Flag

from consumer.applied import FenceBehindError
from consumer.applier import Applier
from consumer.core.batch import Batch, Columns
from consumer.core.decoder import Decoder
from consumer.core.record import Work
from consumer.core.replies import Reply, result_records
from consumer.errors import LogChangedError, RetryLaterError
from consumer.kafka.assignment import Assignment
from consumer.kafka.message import Taken, records_of
from consumer.kafka.producer import AcknowledgedProducer
from consumer.log_guard import LogGuard
from consumer.metrics import ConsumerMetrics
from consumer.prefetch import Prefetched
from consumer.restore_barrier import AheadOfRestoreError, RestoreBarrier
from consumer.retry import attempts
from consumer.settings import ConsumerSettings

TAKE_TIMEOUT_S = 0.2
CHECK_EVERY_S = 5.0
BARRIER_CHECK_EVERY_S = 0.1
"""Instead of CHECK_EVERY_S, while new events wait because Postgres was restored."""
AHEAD_RECORDS_MIN = 200
"""From this size on, the next batch is taken before this one is applied. After a smaller batch, more rarely waits."""
_log = logging.getLogger(__name__)


class Worker:
    """Runs until `stop` is set. Raises ConsumerStoppedError.

    It is one thread. While Postgres works on one batch, the thread decodes the next one, so there are at most two.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        assignment: Assignment,
        applier: Applier,
        producer: AcknowledgedProducer,
        read_fence: Callable[[], Mapping[int, int]],
        guard: LogGuard,
        barrier: RestoreBarrier,
        on_restored: Callable[[], None],
        stop: Flag,
        metrics: ConsumerMetrics,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_restored` is called if Postgres was restored to an older state, before records are read again."""
        self._settings = settings
        self._assignment = assignment
        self._applier = applier
        self._producer = producer
        self._read_fence = read_fence
        self._guard = guard
        self._barrier = barrier
        self._on_restored = on_restored
        self._stop = stop
        self._metrics = metrics
        self._clock_s = clock_s
        self._checked_s = clock_s()
        self._check_every_s = CHECK_EVERY_S
        self._decoder = Decoder()
        self._ahead: Prefetched[Taken] | None = None
        self._rows_change = False
        """Whether the last batch changed rows. Then the next one probably does too, and its orders are read ahead."""

    def run(self) -> None:
        """Records that were taken ahead and not applied are read again by the next owner of their partitions."""
        self._assignment.subscribe()
        try:
            while not self._stop.is_set():
                self.step()
        except LogChangedError as error:
            raise self._explained(error) from error
        finally:
            self._assignment.close()

    def step(self) -> None:
        """Applies and answers the records that have arrived. Checks the fence every CHECK_EVERY_S."""
        began_s = self._clock_s()
        if self._ahead is None:
            self._ahead = self._take(TAKE_TIMEOUT_S)
            self._assignment.drain_revoked()  # what was just taken has no record of these partitions
        batch, self._ahead = self._ahead.batch(), None
        if len(batch):
            self._metrics.on_take(self._clock_s() - began_s)
        is_check_due = self._clock_s() - self._checked_s > self._check_every_s
        if len(batch) >= AHEAD_RECORDS_MIN and not is_check_due:
            self._ahead = self._take(0)
            batch = batch.without(self._assignment.drain_revoked())
        self._apply(batch)
        positions = self._assignment.read_to
        if self._barrier.answered:
            held = self._assignment.held
            positions = {partition: offset for partition, offset in positions.items() if partition not in held}
        self._guard.look(positions)
        if is_check_due:
            self._checked_s = self._clock_s()
            self._assignment.commit({})
            self._check_fence()

    def _take(self, timeout_s: float) -> Prefetched[Taken]:
        taken, starts = self._assignment.take(self._settings.batch_records_max, timeout_s)
        return Prefetched(taken, starts, self._decode)

    def _decode(self, taken: Sequence[Taken], columns: Columns) -> None:
        self._decoder.decode(records_of(taken), columns, orders=self._rows_change)

    def _apply(self, batch: Batch) -> None:
        """If any step fails, all steps are repeated: fence and ledger make the result exact."""
        meanwhile = None if self._ahead is None else self._ahead.decode_some
        metrics, clock_s = self._metrics, self._clock_s
        began_s = clock_s()
        for attempt in attempts(self._stop, self._assignment.wait, metrics.on_retry):
            with attempt:
                # During the wait, partitions may have moved to another consumer, which applies the same records.
                revoked = self._assignment.drain_revoked()
                batch = batch.without(revoked)
                self._drop_ahead(revoked)
                if not len(batch):
                    return
                try:
                    applied = self._applier.apply(batch, meanwhile)
                except FenceBehindError as error:
                    _log.warning("%s", error)
                    self._on_restored()
                    again = {**batch.starts, **error.next_offsets}
                    self._assignment.rewind(again)
                    self._drop_ahead(again.keys())
                    return
                except AheadOfRestoreError as error:
                    self._hold(error)
                    self._apply(batch.below(error.starts))
                    return
                applied_s = clock_s()
                metrics.on_apply(applied_s - began_s)
                metrics.on_batch(batch.lasts, len(batch))
                self._rows_change = applied.changes_rows
                self._answer(applied.replies, meanwhile)
                answered_s = clock_s()
                metrics.on_reply(answered_s - applied_s)
                ends = self._barrier.not_below_answered(batch.ends) if self._barrier.answered else batch.ends
                self._assignment.commit(ends)
                metrics.on_commit(clock_s() - answered_s)

    def _drop_ahead(self, partitions: Collection[int]) -> None:
        """Removes these partitions from the next batch: we, or their new owner, read them again."""
        if self._ahead is not None:
            self._ahead.drop(partitions)

    def _hold(self, error: AheadOfRestoreError) -> None:
        """Reads these events again when the barrier has fallen, and looks for that soon."""
        self._assignment.hold(error.starts)
        self._drop_ahead(error.starts.keys())
        self._check_every_s = BARRIER_CHECK_EVERY_S

    def _answer(self, replies: list[Reply], meanwhile: Work | None) -> None:
        """Sends the replies. A writer may name any topic for its replies, but none that we use for something else."""
        topics = self._settings.topics
        records = result_records(replies, topics.results)
        named = {record.topic for record in records}
        refused = named & {topics.upserts, topics.dlq, topics.partners, topics.halts}
        if refused:
            _log.warning("dropped replies for %s: these topics are not for replies", sorted(refused))
            records = [record for record in records if record.topic not in refused]
        for why, record in self._producer.send(records, named - {topics.results}, meanwhile):
            _log.warning("dropped a reply for %s, partition %s: %s", record.topic, record.partition, why)

    def _check_fence(self) -> None:
        """Notices that Postgres was restored while no records arrive, and that a barrier has fallen."""
        positions = self._assignment.positions
        try:
            fence = self._read_fence()
            behind = {p: fence[p] for p, position in positions.items() if fence[p] < position}
            if behind:
                _log.warning("%s", FenceBehindError(behind))
                self._on_restored()
        except RetryLaterError as error:
            _log.warning("cannot check the fence, trying again in %d s: %s", CHECK_EVERY_S, error)
            self._check_every_s = CHECK_EVERY_S
            return
        self._assignment.rewind(behind)
        if not self._barrier.notice(fence) and self._assignment.held:
            self._assignment.release()
        self._check_every_s = BARRIER_CHECK_EVERY_S if self._assignment.held else CHECK_EVERY_S

    def _explained(self, error: LogChangedError) -> LogChangedError:
        """The same with what was lost, if a look at the whole log tells; the ingresses are told."""
        try:
            self._guard.read_applied(self._assignment.positions.keys())
        except LogChangedError as found:
            error = found
        except RetryLaterError as outage:
            _log.warning("the log cannot be checked: %s", outage)
        self._guard.halt(error)
        return error
