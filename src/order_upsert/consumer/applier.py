"""A batch into Postgres, in one transaction, whatever it holds (design 6)."""

from collections.abc import Callable, Iterable
from uuid import UUID

from order_upsert.consumer.database import Database, Session
from order_upsert.consumer.errors import ConsumerError, ConsumerStoppedError, RefusedByPostgresError
from order_upsert.consumer.fold import fold
from order_upsert.consumer.ledger import RequestPart, request_parts
from order_upsert.consumer.record import Batch, Decoded, Event, Rejected
from order_upsert.consumer.results import Reply
from order_upsert.contracts.record import ReplyTo

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

    def apply(self, batch: Batch) -> list[Reply]:
        """Commits the whole batch and gives the replies that are due.

        Raises FenceBehindError, RetryLaterError or ConsumerStoppedError: then some part of the batch, or nothing, was
        committed, and the whole can be applied again.
        """
        try:
            return self._in_one_transaction(batch)
        except RefusedByPostgresError as error:
            if len(batch.records) > 1:
                first, second = batch.halves()
                return self.apply(first) + self.apply(second)
            return self._in_one_transaction(Batch([_refused(batch.records[0], error)], batch.starts))

    def _in_one_transaction(self, batch: Batch) -> list[Reply]:
        with self._database.session() as session:
            session.ledger.ensure_days({decoded.record.time.date() for decoded in batch.records})
            with session.connection.transaction():
                return self._apply(session, batch)

    def _apply(self, session: Session, batch: Batch) -> list[Reply]:
        fence = session.store.lock_fence(batch.starts)
        behind = {partition: fence[partition] for partition, start in batch.starts.items() if fence[partition] < start}
        if behind:
            raise FenceBehindError(behind)
        fresh = [decoded for decoded in batch.records if decoded.record.offset >= fence[decoded.record.partition]]
        applied_before = [
            decoded for decoded in batch.records if decoded.record.offset < fence[decoded.record.partition]
        ]

        rows = session.store.read_rows({decoded.key for decoded in fresh if isinstance(decoded, Event)})
        letters = session.open_letters.read({decoded.key for decoded in fresh if decoded.key is not None})
        folded = fold(fresh, rows, letters)
        parts = request_parts(folded.outcomes)
        stored = _replies_again(session, applied_before)
        session.store.write_rows(folded.changed.values())
        session.open_letters.write(folded.letters)
        session.ledger.write(parts)
        session.store.set_fence({partition: max(end, fence[partition]) for partition, end in batch.ends.items()})
        if folded.rejected:
            self._bury(
                folded.rejected
            )  # before the commit: after a crash between the two, it is buried twice, not lost
        return _first_replies(parts) + stored


def _first_replies(parts: Iterable[RequestPart]) -> list[Reply]:
    return [
        Reply(part.context.request_id, part.context.reply_to, part.outcomes_json)
        for part in parts
        if part.context.reply_to is not None
    ]


def _replies_again(session: Session, applied_before: Iterable[Decoded]) -> list[Reply]:
    """What the ledger has about events that someone applied before: that someone may have died before it answered."""
    asked: dict[tuple[UUID, str], ReplyTo] = {}
    for decoded in applied_before:
        if decoded.context is not None and decoded.context.reply_to is not None:
            asked[decoded.context.request_id, decoded.context.partner_id] = decoded.context.reply_to
    return [
        Reply(request_id, asked[request_id, partner_id], outcomes_json)
        for request_id, partner_id, outcomes_json in session.ledger.read(asked.keys())
    ]


def _refused(decoded: Decoded, error: RefusedByPostgresError) -> Rejected:
    if isinstance(decoded, Rejected):
        raise ConsumerStoppedError(f"Postgres refuses the bookkeeping of a record that is not even applied: {error}")
    return Rejected(decoded.record, decoded.context, "TASK_PUT", "RefusedByPostgres", str(error))
