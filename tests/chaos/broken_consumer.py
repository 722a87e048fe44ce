"""Breakages of the consumer: each function changes the running program, and nothing else."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from chaos.patching import put
from consumer import applier
from consumer.core import fold
from consumer.core.batch import Batch, Run
from consumer.core.log_mark import Watermark
from consumer.core.replies import result_records
from consumer.kafka.assignment import Assignment
from consumer.kafka.producer import AcknowledgedProducer
from consumer.postgres import fence, ledger, orders
from consumer.postgres.connection import Pending
from consumer.restore_barrier import RestoreBarrier
from consumer.worker import Worker
from contracts.result import Outcome

REPLY_DELAY_S = 0.2
REWIND_DELAY_MAX_S = 3.0
FORGOTTEN = 0.002


def fence_not_locked() -> None:
    put(fence.Fence, "lock", lambda self, _: Pending(self.read))


def fence_not_checked() -> None:
    """Events that are applied already are applied again."""
    _change_fence(lambda _, starts: dict(starts))


def fence_not_locked_and_copies() -> None:
    """Also switches off the check behind the fence, which finds an applied event by its id."""
    fence_not_locked()
    copies_applied_again()


def fence_not_checked_and_copies() -> None:
    fence_not_checked()
    copies_applied_again()


def fence_moved_after_the_commit() -> None:
    """In a transaction of its own, so that a crash between the two applies the batch again."""
    move, in_one_transaction = fence.Fence.set, applier.Applier._in_one_transaction

    def in_two_transactions(self: Any, batch: Any, meanwhile: Any) -> Any:
        with self._holder.session() as session:
            moves: dict[int, Watermark] = {}
            session.fence.set = moves.update
            applied = in_one_transaction(self, batch, meanwhile)
            move(session.fence, moves)
        return applied

    put(applier.Applier, "_in_one_transaction", in_two_transactions)


def gap_after_restore() -> None:
    """After a restore, the consumer goes on at the end of the topic."""
    _change_fence(
        lambda fence, starts: {partition: max(fence[partition], start) for partition, start in starts.items()}
    )
    put(Worker, "_check_fence", lambda self: None)


def barrier_not_raised() -> None:
    """After a restore, new events are applied although others that were answered before it are not applied again yet.

    Consumers read again at different times, as they do if one of them has much more to read.
    """
    rewind = Assignment.rewind

    def later(self: Any, next_offsets: Mapping[int, int]) -> None:
        time.sleep(random.uniform(0, REWIND_DELAY_MAX_S))
        rewind(self, next_offsets)

    put(Assignment, "rewind", later)
    put(RestoreBarrier, "require_passed", lambda self, session, batch: None)


def _change_fence(change: Callable[[Mapping[int, int], Mapping[int, int]], dict[int, int]]) -> None:
    lock, apply = fence.Fence.lock, applier.Applier._apply
    starts: dict[int, int] = {}

    def remembering(self: Any, session: Any, batch: Any, pipeline: Any) -> Any:
        starts.clear()
        starts.update(batch.starts)
        return apply(self, session, batch, pipeline)

    put(applier.Applier, "_apply", remembering)
    put(
        fence.Fence,
        "lock",
        lambda self, partitions: Pending(partial(_changed, change, lock(self, partitions), starts)),
    )


def _changed(change: Any, locked: Pending[dict[int, int]], starts: Mapping[int, int]) -> dict[int, int]:
    found: dict[int, int] = change(locked.result(), starts)
    return found


def offsets_before_replies() -> None:
    send = AcknowledgedProducer.send

    def later(self: Any, records: Iterable[Any], *others: Any, **more: Any) -> None:
        listed = list(records)
        letters = [record for record in listed if _is_letter(record)]
        replies = [record for record in listed if not _is_letter(record)]
        send(self, letters)
        waiting = threading.Timer(REPLY_DELAY_S, send, [self, replies])
        waiting.daemon = True
        waiting.start()

    put(AcknowledgedProducer, "send", later)


def reply_before_commit() -> None:
    apply, init = applier.Applier._apply, AcknowledgedProducer.__init__
    producers: list[AcknowledgedProducer] = []

    def noted(self: Any, settings: Any) -> None:
        init(self, settings)
        producers.append(self)

    def replying(self: Any, session: Any, batch: Any, pipeline: Any) -> Any:
        applied = apply(self, session, batch, pipeline)
        results = producers[0]._settings.topics.results
        producers[0].send(result_records(applied.replies, results))
        return applied

    put(AcknowledgedProducer, "__init__", noted)
    put(applier.Applier, "_apply", replying)


def ledger_not_written() -> None:
    put(ledger.Ledger, "write", lambda self, parts: None)


def rows_not_read() -> None:
    """Outcomes are decided against an empty table."""
    put(orders.Orders, "read", lambda self, keys: Pending(dict))


def shuffled_batches() -> None:
    """Events are applied in any order, and older ones are not recognised."""
    in_order, outcome = fold.fold, fold._outcome

    def shuffled(batch: Batch, *others: Any) -> Any:
        columns = batch.columns
        positions = [position for run in batch.runs for position in run.positions]
        for position in positions:  # by the rules for one record
            columns.objects.setdefault(position, columns.decoded(position))
        mixed = random.sample(positions, len(positions))
        folded = in_order(
            batch.of_runs([Run(columns.contexts[at], columns.partitions[at], [at]) for at in mixed]), *others
        )
        outcomes = dict(zip(mixed, folded.outcomes, strict=True))
        folded.outcomes = [outcomes[position] for position in positions]
        return folded

    def never_stale(event: Any, row: Any) -> Outcome:
        found = outcome(event, row)
        return Outcome.UPDATED if found is Outcome.STALE else found

    put(applier, "fold", shuffled)
    put(fold, "_outcome", never_stale)


def lost_partitions_applied() -> None:
    """A consumer goes on with partitions that another one has by now."""

    def keep(self: Any, client: Any, revoked: Any) -> None:
        client.incremental_unassign(revoked)

    put(Assignment, "_on_revoke", keep)
    put(Assignment, "drain_revoked", lambda self: set())


def event_time_from_the_clock() -> None:
    put(orders, "timestamp", lambda time_ms: datetime.now(UTC).isoformat())


def dead_letters_dropped() -> None:
    send = AcknowledgedProducer.send

    def dropping(self: Any, records: Iterable[Any], *others: Any, **more: Any) -> None:
        send(self, (record for record in records if not _is_letter(record)), *others, **more)

    put(AcknowledgedProducer, "send", dropping)


def _is_letter(record: Any) -> bool:
    return bool(record.topic.endswith(".dlq"))


def one_record_forgotten() -> None:
    """Now and then, between other records, so that the fence passes it."""
    take = Assignment.take

    def forgetting(self: Any, records_max: int, timeout_s: float) -> Any:
        records, starts = take(self, records_max, timeout_s)
        kept = [item for item in records[:-1] if random.random() > FORGOTTEN]
        return [*kept, *records[-1:]], starts

    put(Assignment, "take", forgetting)


def offsets_never_committed() -> None:
    put(Assignment, "commit", lambda self, next_offsets: None)


def copies_applied_again() -> None:
    """Nothing checks whether an event was applied before, under another offset."""
    in_order = vars(applier)["classify"]

    def again(batch: Batch, owners: Any, _: Any) -> Any:
        found = in_order(batch, owners, {})
        lost = {(rejected.record.partition, rejected.record.offset) for rejected in found.conflicts}
        offsets = batch.columns.offsets
        found.fresh = batch.of_runs(
            [run for run in batch.runs if (run.partition, offsets[run.positions[0]]) not in lost]
        )
        found.repeats = batch.of_runs([])
        return found

    put(applier, "classify", again)


def key_not_claimed() -> None:
    """Every request gets the key that it asks for."""
    put(
        ledger.IdempotencyKeys,
        "claim",
        lambda self, claims: {request: digest for request, (digest, _) in claims.items()},
    )


def conflicts_forgotten() -> None:
    """After a restore, nothing reads from the dead letters who lost a key."""
    put(applier.Applier, "heed", lambda self, lost_claims: None)
