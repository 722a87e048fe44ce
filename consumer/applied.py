"""What becomes of a batch."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from consumer.core.batch import Batch
from consumer.core.record import DAY_MS, OrderKey, Rejected, utc_day
from consumer.core.replies import Reply, StoredPart
from consumer.errors import ConsumerError, LogChangedError
from consumer.postgres.fence import require_open
from contracts.event import BodyKey
from contracts.result import Outcome, indexes_of

OnApplied = Callable[[Sequence[Outcome]], None]
"""Gets the outcomes of the events that a transaction applied, after its commit."""

BuryRejected = Callable[[list[Rejected]], None]
"""Writes records to the dead-letter topic; returns when they are acknowledged. Raises RetryLaterError."""


class FenceBehindError(ConsumerError):
    """Postgres was restored to an older state: the fence is behind the start of the batch.

    `next_offsets`: for each such partition, the offset from which to read again.
    """

    def __init__(self, next_offsets: dict[int, int]) -> None:
        super().__init__(f"Postgres was restored to an older state. Reading again from these offsets: {next_offsets}")
        self.next_offsets = next_offsets


class Applied(NamedTuple):
    """What became of a batch: the replies to send, whether it changed rows, some orders whose rows it wrote, and the
    outcomes that were decided now."""

    replies: list[Reply]
    changes_rows: bool
    written: Sequence[OrderKey] = ()
    outcomes: Sequence[Outcome] = ()


def sum_of(applied: Sequence[Applied]) -> Applied:
    if len(applied) == 1:
        return applied[0]
    replies = [reply for part in applied for reply in part.replies]
    return Applied(replies, any(part.changes_rows for part in applied))


def require_fence(fence: Mapping[int, int], batch: Batch) -> None:
    """Raises FenceBehindError, and ConsumerStoppedError while the tables are reseeded."""
    behind = {partition: fence[partition] for partition, start in batch.starts.items() if fence[partition] < start}
    if behind:
        require_open(fence)
        raise FenceBehindError(behind)


def require_known(batch: Batch, parts: list[StoredPart], oldest: date | None) -> None:
    """The events of the batch are below the fence, so they were applied, and the ledger knows them, unless their day is
    forgotten.

    Raises LogChangedError if it does not: then other records took the offsets of those that were applied.
    """
    known: dict[BodyKey, set[int]] = {}
    for part in parts:
        known.setdefault(part.body_key, set()).update(indexes_of(part.outcomes_json))
    columns = batch.columns
    for run in batch.runs:
        # The outcome of an event may be filed under the day before, if its batch spans midnight.
        if run.context is None or oldest is None:
            continue
        of_body = known.get(run.context.body_key, set())
        for position in run.positions:
            if columns.indexes[position] in of_body or utc_day(columns.times_ms[position] // DAY_MS) <= oldest:
                continue
            raise LogChangedError(
                run.partition,
                f"The record at offset {columns.offsets[position]} of partition {run.partition} is below the fence, "
                "and the ledger does not know it: it was never applied, and stands where another record was.",
            )
