"""A batch into Postgres, in one transaction, whatever it holds (design 6)."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from itertools import chain

from consumer.core.fold import fold
from consumer.core.record import Batch, Decoded, Rejected, Stage, Work, runs
from consumer.core.repeats import Classified, LostClaims, classify, conflict, digests
from consumer.core.replies import Reply, StoredPart, conflict_replies, first_replies, request_parts, stored_replies
from consumer.errors import ConsumerError, ConsumerStoppedError, RefusedByPostgresError
from consumer.postgres.connection import JSON_ROWS_MAX, Pending, pipelined_transaction
from consumer.postgres.session import Database, Session
from contracts.event import BodyKey
from contracts.result import indexes_of

COPIES_WITHIN = timedelta(days=1)
"""How far apart the copies of a record can be that a producer sent again. With a key it may be later."""

BuryRejected = Callable[[list[Rejected]], None]
"""Puts records into the dead-letter topic; returns when they are safe there. Raises RetryLaterError."""


class FenceBehindError(ConsumerError):
    """Postgres was put back: the fence stands before the batch. `next_offsets` is where to read on, by partition."""

    def __init__(self, next_offsets: dict[int, int]) -> None:
        super().__init__(f"Postgres knows nothing from these offsets on, reading again from there: {next_offsets}")
        self.next_offsets = next_offsets


class Applier:
    """Applies batches; applying one twice changes nothing and gives the stored outcomes."""

    def __init__(self, database: Database, bury: BuryRejected) -> None:
        self._database = database
        self._bury = bury
        self.lost_claims = LostClaims()
        """Requests whose events are conflicts, whatever the tables say."""
        self.changes_rows = False
        """Whether the last batch did: then the next one probably will, and its orders can be read ahead."""

    def apply(self, batch: Batch, meanwhile: Work | None = None) -> list[Reply]:
        """Commits the whole batch and gives the replies that are due. `meanwhile` is done while Postgres works.

        Raises FenceBehindError, RetryLaterError or ConsumerStoppedError: then some part of the batch, or nothing, was
        committed, and the whole can be applied again.
        """
        try:
            return self._in_one_transaction(batch, meanwhile)
        except RefusedByPostgresError as error:
            if len(batch.records) > 1:
                first, second = batch.halves()
                return self.apply(first, meanwhile) + self.apply(second, meanwhile)
            return self._in_one_transaction(Batch([_refused(batch.records[0], error)], batch.starts), meanwhile)

    def _in_one_transaction(self, batch: Batch, meanwhile: Work | None) -> list[Reply]:
        with self._database.session(meanwhile) as session:
            session.ledger.ensure_days(batch.days)
            with session.ledger.noticing_dropped_days(), pipelined_transaction(session.connection) as pipeline:
                return self._apply(session, batch, pipeline)

    def _apply(self, session: Session, batch: Batch, pipeline: ExitStack) -> list[Reply]:
        locked_fence = session.fence.lock(batch.starts)
        keys = {decoded.key for decoded in batch.records if not isinstance(decoded, Rejected)}
        read_rows = session.orders.read(keys)  # behind the lock, so as they stay
        rejected_keys = {item.key for item in batch.records if isinstance(item, Rejected) and item.key is not None}
        read_letters = session.open_letters.read(keys | rejected_keys)
        read_copies = _read_copies(session, batch)
        if len(batch.records) > JSON_ROWS_MAX:
            pipeline.close()  # it has no COPY; few rows need none, and two round trips do it all
        fence = locked_fence.result()
        behind = {partition: fence[partition] for partition, start in batch.starts.items() if fence[partition] < start}
        if behind:
            raise FenceBehindError(behind)
        applied_before, new = _split(batch.records, fence)
        classified = _classified(session, new, self.lost_claims, read_copies.result())
        rows = read_rows.result()
        folded = fold(classified.fresh, rows, read_letters.result())
        self.changes_rows = bool(folded.changed)
        parts = request_parts(folded.outcomes)
        again = _replies_again(session, applied_before) if applied_before else []
        session.orders.write(folded.changed.values(), rows)
        session.open_letters.write(folded.letters)
        session.ledger.write(parts)
        session.fence.set({partition: max(end, fence[partition]) for partition, end in batch.ends.items()})
        replies = [
            *first_replies(parts),
            *_stored(session, classified.repeats, repeated=True),
            *conflict_replies(classified.conflicts),
            *again,
        ]
        rejected = [*folded.rejected, *classified.conflicts]
        if rejected:
            # before the commit: after a crash between the two, it is buried twice, not lost
            self._bury(rejected)
        return replies


def _split(records: Iterable[Decoded], fence: Mapping[int, int]) -> tuple[list[Decoded], list[Decoded]]:
    """What someone applied before, and what is new."""
    applied_before: list[Decoded] = []
    new: list[Decoded] = []
    for decoded in records:
        record = decoded.record
        (new if record.offset >= fence[record.partition] else applied_before).append(decoded)
    return applied_before, new


def _read_copies(session: Session, batch: Batch) -> Pending[list[StoredPart]]:
    """What was applied of the requests without a key, in the days in which a producer may have sent a copy."""
    contexts = [run.context for run in runs(batch.records)]
    requests = {context.body_key.request_key for context in contexts if context is not None and context.digest is None}
    return session.ledger.read(requests, min(batch.days) - COPIES_WITHIN)


def _classified(session: Session, new: list[Decoded], lost_claims: LostClaims, copies: list[StoredPart]) -> Classified:
    """Which events are to be applied."""
    owners = session.idempotency_keys.claim(digests(lost_claims.without(new)))
    applied: dict[BodyKey, set[int]] = {}
    for part in chain(copies, session.ledger.read(owners.keys()).result()):
        applied.setdefault(part.body_key, set()).update(indexes_of(part.outcomes_json))
    return classify(new, owners, applied)


def _replies_again(session: Session, applied_before: list[Decoded]) -> list[Reply]:
    """What was decided about events that someone applied before: that someone may have died before it answered."""
    owners = session.idempotency_keys.owners(digests(applied_before).keys())
    conflicts, applied = [], []
    for decoded in applied_before:
        context = decoded.context
        # A key that nobody has was forgotten with its day of the ledger: then nothing is known about it any more.
        if context and context.digest and owners.get(context.body_key.request_key, context.digest) != context.digest:
            conflicts.append(conflict(decoded))
        else:
            applied.append(decoded)
    return conflict_replies(conflicts) + _stored(session, applied, repeated=False)


def _stored(session: Session, events: list[Decoded], *, repeated: bool) -> list[Reply]:
    if not events:
        return []
    asked = {
        run.context.body_key.request_key for run in runs(events) if run.context is not None and run.context.reply_to
    }
    return stored_replies(events, session.ledger.read(asked).result(), repeated=repeated)


def _refused(decoded: Decoded, error: RefusedByPostgresError) -> Rejected:
    if isinstance(decoded, Rejected):
        raise ConsumerStoppedError(f"Postgres refuses the bookkeeping of a record that is not even applied: {error}")
    return decoded.rejected(Stage.TASK_PUT, "RefusedByPostgres", str(error))
