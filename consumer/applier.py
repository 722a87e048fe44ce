"""Applies a batch to Postgres in one transaction, whatever the batch contains (design 6)."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import chain

from consumer.applied import Applied, BuryRejected, OnApplied, require_fence, require_known, sum_of
from consumer.core.batch import Batch, Run
from consumer.core.fold import fold
from consumer.core.known_requests import KnownRequests
from consumer.core.log_mark import Watermark, mark_of
from consumer.core.record import OrderKey, Rejected, Work
from consumer.core.repeats import Classified, LostClaims, classify, conflict, digests, mask_of
from consumer.core.replies import Reply, StoredPart, conflict_replies, first_replies, request_parts, stored_replies
from consumer.errors import (
    PlanLostError,
    RefusedByPostgresError,
    TooMuchAtOnceError,
)
from consumer.postgres.connection import JSON_ROWS_MAX, Pending, pipelined_transaction
from consumer.postgres.lost_rows import require_new
from consumer.postgres.session import Session, SessionHolder
from consumer.refusals import KNOWN_MAX, Portion
from consumer.refuser import Refuser
from consumer.restore_barrier import RestoreBarrier
from contracts.result import indexes_of

COPIES_WITHIN = timedelta(days=1)
"""A producer may send a record again, up to this long after the first copy. With a key it may be later."""

PLANS_LOST_MAX = 3
"""After this number of new sessions, a row is to blame."""
TOO_SLOW_MAX = 5
"""After this number of attempts, a record that is alone is to blame for the time that a function of the shop takes."""


class Applier:
    """Applies batches. To apply a batch twice changes nothing and gives the stored outcomes."""

    def __init__(
        self,
        holder: SessionHolder,
        bury: BuryRejected,
        barrier: RestoreBarrier | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        on_applied: OnApplied = lambda _: None,
    ) -> None:
        """`barrier`: None for a replay, whose tables nobody restores while it runs."""
        self._holder = holder
        self._bury = bury
        self._barrier = barrier
        self._lost_claims = LostClaims()
        self._known = KnownRequests()
        self._known_in: Session | None = None
        self._portion = Portion()
        self._on_applied = on_applied
        self._refuser = Refuser(holder, bury, lambda batch: self._in_one_transaction(batch, None), clock_s, on_applied)
        self._plans_lost = self._too_slow = 0  # since a whole batch was applied
        self._answered_to: Mapping[int, int] = {}  # all below it was answered before the whole batch is applied

    @property
    def written_lately(self) -> Sequence[OrderKey]:
        """Some orders whose rows were written, if there were any."""
        return self._refuser.known

    def heed(self, lost_claims: LostClaims) -> None:
        """After a restore: the events of these requests are conflicts, whatever the tables say. What is remembered of
        the tables as they were is forgotten."""
        self._lost_claims = lost_claims
        self._known.forget({})

    def apply(self, batch: Batch, meanwhile: Work | None = None) -> Applied:
        """Commits the whole batch. Calls `meanwhile` while Postgres works. All before the batch was answered.

        Raises FenceBehindError, AheadOfRestoreError, RetryLaterError or ConsumerStoppedError. Then a part of the batch,
        or nothing, is committed, and the whole batch can be applied again.
        """
        self._answered_to = batch.starts
        part, rest = self._portion.cut(batch)
        applied = [self._halving(part, meanwhile)]
        while rest is not None:
            part, rest = self._portion.cut(rest)
            applied.append(self._halving(part, meanwhile))
        self._plans_lost = self._too_slow = 0
        return sum_of(applied)

    def _halving(self, batch: Batch, meanwhile: Work | None) -> Applied:
        """Applies the records that the tables take, and buries the others."""
        try:
            applied = self._in_one_transaction(batch, meanwhile)
        except TooMuchAtOnceError as error:
            self._portion.fail(len(batch))
            if len(batch) > 1 or error.reason is None:
                raise
            self._too_slow += 1
            if self._too_slow <= TOO_SLOW_MAX:
                raise
            refused = RefusedByPostgresError(str(error), error.reason)
        except PlanLostError as error:
            self._plans_lost += 1
            if self._plans_lost <= PLANS_LOST_MAX:
                raise
            refused = RefusedByPostgresError(str(error), error.reason)
        except RefusedByPostgresError as error:
            refused = error
        else:
            self._portion.succeed(len(batch))
            self._refuser.accept(applied)
            return applied
        if len(batch) == 1:
            return self._refuser.refuse(batch, refused)
        return sum_of([self._halving(half, meanwhile) for half in batch.cut(len(batch) // 2)])

    def _in_one_transaction(self, batch: Batch, meanwhile: Work | None) -> Applied:
        barrier = self._barrier
        with self._holder.session() as session:
            # Here, because a session may be opened anew before any transaction.
            if barrier is not None and (barrier.session is not session or barrier.answered):
                barrier.require_passed(session, batch)
            if session is not self._known_in:  # between two sessions, Postgres may have been restored
                self._known.forget({})
                self._known_in = session
            session.ledger.ensure_days(batch.days)
        with (
            self._holder.session(meanwhile, writes_rows=True) as session,
            session.ledger.noticing_dropped_days(),
            pipelined_transaction(session.connection) as pipeline,
        ):
            applied = self._apply(session, batch, pipeline)
        self._known.commit()
        self._on_applied(applied.outcomes)
        return applied

    def _apply(self, session: Session, batch: Batch, pipeline: ExitStack) -> Applied:
        pending_fence = session.fence.lock(batch.starts)
        keys = _keys(batch)
        pending_rows = session.orders.read(keys)  # after the lock, so nobody changes them before the commit
        rejected_keys = {item.key for _, item in batch.objects if isinstance(item, Rejected) and item.key is not None}
        pending_letters = session.open_letters.read(keys | rejected_keys)
        pending_copies = self._read_copies(session, batch)
        if len(batch) > JSON_ROWS_MAX:
            pipeline.close()  # a pipeline has no COPY. Few rows need no COPY, and then two round trips do everything.
        fence = pending_fence.result()
        require_fence(fence, batch)
        applied_before, new = batch.split(fence)
        copies = pending_copies.result()
        if not self._known.holds(fence):
            self._known.forget(session.fence.read())
            copies = self._read_copies(session, batch).result()
        classified = self._classify(session, new, copies)
        if classified.repeats.runs:
            require_new(session.connection, classified.repeats)
        rows = pending_rows.result()
        folded = fold(classified.fresh, rows, pending_letters.result())
        parts = request_parts(classified.fresh, folded.outcomes)
        # Before the ledger is written: what this batch adds to it is answered by `first_replies`.
        replies_again = _replies_again(session, applied_before) if applied_before.runs else []
        session.orders.write(batch.columns, folded.changed, rows)
        if folded.letters:
            session.open_letters.write(folded.letters)
        session.ledger.write(parts)
        moved = {
            partition: Watermark(record.offset + 1, mark_of(record), answered_to=self._answered_to.get(partition))
            for partition, record in batch.lasts.items()
            if record.offset >= fence[partition]
        }
        session.fence.set(moved)
        if session.ledger.keeps(min(batch.days)):
            left_at = {**fence, **{partition: mark.next_offset for partition, mark in moved.items()}}
            self._known.note(classified.applied, left_at)
        else:  # the ledger has no outcomes of such a day, and what is known is what it has
            self._known.forget({})
        replies = first_replies(parts)
        if classified.repeats.runs:
            replies += _read_replies(session, classified.repeats)
        if classified.conflicts:
            replies += conflict_replies(classified.conflicts)
        replies += replies_again
        rejected = [*folded.rejected, *classified.conflicts]
        if rejected:
            # What the tables refuse is known before anything is buried: it would be buried again with each half.
            pipeline.close()
            session.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            # Before the commit. After a crash between the two, the records are buried twice, but not lost.
            self._bury(rejected)
        return Applied(replies, bool(folded.changed), list(folded.changed)[-KNOWN_MAX:], folded.outcomes)

    def _read_copies(self, session: Session, batch: Batch) -> Pending[list[StoredPart]]:
        """What the ledger has of requests without a key that are not known, for the days in which a producer may have
        sent a copy."""
        requests = {run.context.body_key.request_key for run in batch.runs if run.context and not run.context.digest}
        # A broker's clock may be ahead of what the first copy got.
        since = min(*batch.days, session.ledger.today) - COPIES_WITHIN
        return session.ledger.read(self._known.unknown(requests, since), since)

    def _classify(self, session: Session, new: Batch, copies: list[StoredPart]) -> Classified:
        """Claims the keys of the new events, and decides which events to apply."""
        owners = session.idempotency_keys.claim(digests(self._lost_claims.without(new)))
        applied = self._known.masks({run.context.body_key for run in new.runs if run.context})
        for part in chain(copies, session.ledger.read(owners.keys()).result()):
            applied[part.body_key] = applied.get(part.body_key, 0) | mask_of(indexes_of(part.outcomes_json))
        return classify(new, owners, applied)


def _keys(batch: Batch) -> set[OrderKey]:
    """Of the records that are not rejected already."""
    keys = set(batch.column(batch.columns.keys))
    return {key for key in keys if key is not None} if None in keys else keys  # type: ignore[return-value]


def _replies_again(session: Session, applied_before: Batch) -> list[Reply]:
    """The replies for events that were applied before: who applied them may have died before it replied."""
    owners = session.idempotency_keys.owners(digests(applied_before).keys())
    lost, applied = list[Run](), list[Run]()
    for run in applied_before.runs:
        context = run.context
        # A key without an owner was forgotten with its day of the ledger. Then nothing is known about it any more.
        is_lost = (
            context and context.digest and owners.get(context.body_key.request_key, context.digest) != context.digest
        )
        (lost if is_lost else applied).append(run)
    replies = conflict_replies(map(conflict, applied_before.of_runs(lost).items))
    if not applied:
        return replies
    rest = applied_before.of_runs(applied)
    requests = {run.context.body_key.request_key for run in applied if run.context is not None}
    parts = session.ledger.read(requests).result()
    require_known(rest, parts, session.ledger.oldest_day())
    return replies + stored_replies(rest, parts, repeated=False)


def _read_replies(session: Session, repeats: Batch) -> list[Reply]:
    """The replies for events that were published again; their outcomes are in the ledger."""
    requests = {
        run.context.body_key.request_key for run in repeats.runs if run.context is not None and run.context.reply_to
    }
    return stored_replies(repeats, session.ledger.read(requests).result(), repeated=True)
