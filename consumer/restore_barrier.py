"""After a restore of Postgres, what was answered before it is applied again before anything new.

An `Idempotency-Key` belongs to the body that is committed first, and a restore may lose that commit. Its events and
those of a new body may be in two partitions, and offsets of two partitions cannot be compared. But Kafka still has the
watermark *answered* of every partition: events below it were answered before the restore, events at or above it never
were. So while the fence of any partition is below its *answered*, no consumer applies an event at or above *answered*.
"""

import logging
from collections.abc import Callable, Mapping

from consumer.core.batch import Batch
from consumer.errors import ConsumerError
from consumer.kafka.ends_of_records import EndsOfRecords, ends_of_answered
from consumer.postgres.session import Session

ReadAnswered = Callable[[], Mapping[int, int]]
"""The watermark *answered* of each partition of the topic that has one. Raises RetryLaterError if Kafka does not
answer."""

_log = logging.getLogger(__name__)


class AheadOfRestoreError(ConsumerError):
    """The batch has events that were never answered, and Postgres still lacks events that were.

    `starts`: for each partition with such events, the offset from which on they wait.
    """

    def __init__(self, starts: dict[int, int]) -> None:
        super().__init__(f"Postgres was restored to an older state. New events wait from these offsets on: {starts}")
        self.starts = starts


class RestoreBarrier:
    """One for each consumer. Every consumer raises it by itself before it applies anything to the restored tables.

    A restore ends all connections, so the two watermarks are compared in each new session before its first batch. The
    fence is shared by all consumers, so the barrier falls for all when the last partition has caught up.
    """

    def __init__(self, read_answered: ReadAnswered, ends_of_records: EndsOfRecords) -> None:
        self._read_answered = read_answered
        self._ends_of_records = ends_of_records
        self._fence: Mapping[int, int] = {}
        self.session: Session | None = None
        """The session in which the watermarks were compared."""
        self.answered: Mapping[int, int] = {}
        """While the barrier stands: for each partition, the offset below which every event was answered. Else empty."""

    def suspect(self) -> None:
        """Compares the watermarks again before the next batch: Postgres may have been restored."""
        self.session = None

    def require_passed(self, session: Session, batch: Batch) -> None:
        """Called before a transaction of `session`, if the session is not ours or the barrier stands.

        Raises AheadOfRestoreError if some of the batch must wait. Raises RetryLaterError or ConsumerStoppedError.
        """
        if session is not self.session:
            self._compare(session)
        if self.answered:
            starts = {
                partition: max(batch.starts[partition], self.answered.get(partition, 0))
                for partition, record in batch.lasts.items()
                if record.offset >= self.answered.get(partition, 0)
            }
            if starts:
                raise AheadOfRestoreError(starts)

    def notice(self, fence: Mapping[int, int]) -> bool:
        """Looks at the fence of all partitions. Whether the barrier stands.

        A fence that has gone back means a restore, also if our connection lived on.
        """
        if any(next_offset < self._fence.get(partition, 0) for partition, next_offset in fence.items()):
            self.suspect()
        self._fence = fence
        if self.answered and not self._behind(fence):
            _log.warning("what was answered before Postgres was restored is applied again: going on with new events")
            self.answered = {}
        return bool(self.answered)

    def not_below_answered(self, next_offsets: Mapping[int, int]) -> Mapping[int, int]:
        """What to commit to Kafka. If *answered* went back, who starts later could not see what is still missing."""
        if not self.answered:
            return next_offsets
        return {partition: max(end, self.answered.get(partition, 0)) for partition, end in next_offsets.items()}

    def _compare(self, session: Session) -> None:
        # First Kafka: an event that another consumer applies and answers in between must not look like a restore.
        answered = self._read_answered()
        fence = session.fence.read()
        self.answered = ends_of_answered(answered, fence, self._ends_of_records)
        missing = self._behind(fence)
        if missing:
            _log.warning(
                "Postgres was restored to an older state: new events wait until these offsets are applied again: %s",
                missing,
            )
        else:
            self.answered = {}
        self._fence, self.session = fence, session

    def _behind(self, fence: Mapping[int, int]) -> dict[int, int]:
        return {partition: end for partition, end in self.answered.items() if fence[partition] < end}
