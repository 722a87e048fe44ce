"""Applies a batch to Postgres in one transaction, whatever the batch contains (design 6)."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from consumer.core.fold import fold
from consumer.core.record import Batch, Decoded, Rejected, Stage, Work, runs
from consumer.core.repeats import Classified, LostClaims, classify, conflict, digests
from consumer.core.replies import Reply, StoredPart, conflict_replies, first_replies, request_parts, stored_replies
from consumer.errors import ConsumerError, ConsumerStoppedError, RefusedByPostgresError
from consumer.postgres.connection import JSON_ROWS_MAX, Pending, pipelined_transaction
from consumer.postgres.session import Session, SessionHolder
from contracts.event import BodyKey
from contracts.result import indexes_of

COPIES_WITHIN = timedelta(days=1)
"""A producer may send a record again, up to this long after the first copy. With a key it may be later."""

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
    """What became of a batch: the replies to send, and whether it changed rows."""

    replies: list[Reply]
    changes_rows: bool


class Applier:
    """Applies batches. To apply a batch twice changes nothing and gives the stored outcomes."""

    def __init__(self, holder: SessionHolder, bury: BuryRejected) -> None:
        self._holder = holder
        self._bury = bury
        self._lost_claims = LostClaims()

    def heed(self, lost_claims: LostClaims) -> None:
        """From now on, the events of these requests are conflicts, whatever the tables say."""
        self._lost_claims = lost_claims

    def apply(self, batch: Batch, meanwhile: Work | None = None) -> Applied:
        """Commits the whole batch. Calls `meanwhile` while Postgres works.

        Raises FenceBehindError, RetryLaterError or ConsumerStoppedError. Then a part of the batch, or nothing, is
        committed, and the whole batch can be applied again.
        """
        try:
            return self._in_one_transaction(batch, meanwhile)
        except RefusedByPostgresError as error:
            if len(batch.records) == 1:
                return self._in_one_transaction(Batch([_reject(batch.records[0], error)], batch.starts), meanwhile)
            first, second = (self.apply(half, meanwhile) for half in batch.halves())
            return Applied(first.replies + second.replies, first.changes_rows or second.changes_rows)

    def _in_one_transaction(self, batch: Batch, meanwhile: Work | None) -> Applied:
        with self._holder.session(meanwhile) as session:
            session.ledger.ensure_days(batch.days)
            with session.ledger.noticing_dropped_days(), pipelined_transaction(session.connection) as pipeline:
                return self._apply(session, batch, pipeline)

    def _apply(self, session: Session, batch: Batch, pipeline: ExitStack) -> Applied:
        pending_fence = session.fence.lock(batch.starts)
        keys = {decoded.key for decoded in batch.records if not isinstance(decoded, Rejected)}
        pending_rows = session.orders.read(keys)  # after the lock, so nobody changes them before the commit
        rejected_keys = {item.key for item in batch.records if isinstance(item, Rejected) and item.key is not None}
        pending_letters = session.open_letters.read(keys | rejected_keys)
        pending_copies = _read_copies(session, batch)
        if len(batch.records) > JSON_ROWS_MAX:
            pipeline.close()  # a pipeline has no COPY. Few rows need no COPY, and then two round trips do everything.
        fence = pending_fence.result()
        behind = {partition: fence[partition] for partition, start in batch.starts.items() if fence[partition] < start}
        if behind:
            raise FenceBehindError(behind)
        applied_before, new = _split(batch.records, fence)
        classified = _classify(session, new, self._lost_claims, pending_copies.result())
        rows = pending_rows.result()
        folded = fold(classified.fresh, rows, pending_letters.result())
        parts = request_parts(folded.outcomes)
        # Before the ledger is written: what this batch adds to it is answered by `first_replies`.
        replies_again = _replies_again(session, applied_before) if applied_before else []
        session.orders.write(folded.changed.values(), rows)
        if folded.letters:
            session.open_letters.write(folded.letters)
        session.ledger.write(parts)
        session.fence.set({partition: max(end, fence[partition]) for partition, end in batch.ends.items()})
        replies = first_replies(parts)
        if classified.repeats:
            replies += _read_replies(session, classified.repeats, repeated=True)
        if classified.conflicts:
            replies += conflict_replies(classified.conflicts)
        replies += replies_again
        rejected = [*folded.rejected, *classified.conflicts]
        if rejected:
            # Before the commit. After a crash between the two, the records are buried twice, but not lost.
            self._bury(rejected)
        return Applied(replies, bool(folded.changed))


def _split(records: Iterable[Decoded], fence: Mapping[int, int]) -> tuple[list[Decoded], list[Decoded]]:
    """The records below the fence, which are applied already, and the new ones."""
    applied_before: list[Decoded] = []
    new: list[Decoded] = []
    for decoded in records:
        record = decoded.record
        (new if record.offset >= fence[record.partition] else applied_before).append(decoded)
    return applied_before, new


def _read_copies(session: Session, batch: Batch) -> Pending[list[StoredPart]]:
    """What the ledger has of the requests without a key, for the days in which a producer may have sent a copy."""
    contexts = [run.context for run in runs(batch.records)]
    requests = {context.body_key.request_key for context in contexts if context is not None and context.digest is None}
    return session.ledger.read(requests, min(batch.days) - COPIES_WITHIN)


def _classify(session: Session, new: list[Decoded], lost_claims: LostClaims, copies: list[StoredPart]) -> Classified:
    """Claims the keys of the new events, and decides which events to apply."""
    owners = session.idempotency_keys.claim(digests(lost_claims.without(new)))
    applied: dict[BodyKey, set[int]] = {}
    for part in chain(copies, session.ledger.read(owners.keys()).result()):
        applied.setdefault(part.body_key, set()).update(indexes_of(part.outcomes_json))
    return classify(new, owners, applied)


def _replies_again(session: Session, applied_before: list[Decoded]) -> list[Reply]:
    """The replies for events that were applied before: who applied them may have died before it replied."""
    owners = session.idempotency_keys.owners(digests(applied_before).keys())
    conflicts, applied = [], []
    for decoded in applied_before:
        context = decoded.context
        # A key without an owner was forgotten with its day of the ledger. Then nothing is known about it any more.
        if context and context.digest and owners.get(context.body_key.request_key, context.digest) != context.digest:
            conflicts.append(conflict(decoded))
        else:
            applied.append(decoded)
    return conflict_replies(conflicts) + (_read_replies(session, applied, repeated=False) if applied else [])


def _read_replies(session: Session, events: list[Decoded], *, repeated: bool) -> list[Reply]:
    """The replies for events whose outcomes are in the ledger."""
    requests = {
        run.context.body_key.request_key for run in runs(events) if run.context is not None and run.context.reply_to
    }
    return stored_replies(events, session.ledger.read(requests).result(), repeated=repeated)


def _reject(decoded: Decoded, error: RefusedByPostgresError) -> Rejected:
    if isinstance(decoded, Rejected):
        raise ConsumerStoppedError(f"Postgres refuses the fence or the ledger of a record that is not applied: {error}")
    return decoded.rejected(Stage.TASK_PUT, "RefusedByPostgres", str(error))
