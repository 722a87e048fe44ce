"""A record that the tables refuse becomes a dead letter, unless the tables refuse every record."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from consumer.applied import Applied, BuryRejected, OnApplied, require_fence
from consumer.core.batch import Batch
from consumer.core.log_mark import Watermark, mark_of
from consumer.core.record import Decoded, OrderKey, Rejected, Stage
from consumer.core.replies import first_replies, request_parts
from consumer.errors import RefusedByPostgresError, TablesAtFaultError
from consumer.postgres.probe import others_of, refuses_rows, some_rows
from consumer.postgres.session import SessionHolder
from consumer.refusals import Refusals
from contracts.result import Outcome

Apply = Callable[[Batch], Applied]


class Refuser:
    """`apply` commits a batch that is decided already."""

    def __init__(
        self,
        holder: SessionHolder,
        bury: BuryRejected,
        apply: Apply,
        clock_s: Callable[[], float],
        on_applied: OnApplied,
    ) -> None:
        self._holder = holder
        self._bury = bury
        self._apply = apply
        self._clock_s = clock_s
        self._on_applied = on_applied
        self._refusals = Refusals()

    @property
    def known(self) -> Sequence[OrderKey]:
        return self._refusals.known

    def accept(self, applied: Applied) -> None:
        """A batch was committed."""
        if applied.written:
            self._refusals.accept(applied.written)

    def refuse(self, batch: Batch, error: RefusedByPostgresError) -> Applied:
        """Buries the only record of the batch. Raises TablesAtFaultError if the tables would refuse any other too."""
        (decoded,) = batch.items
        partner_id = "" if decoded.context is None else decoded.context.partner_id
        are_many = self._refusals.refuse(error.reason, partner_id, self._clock_s())
        if (are_many and not self._is_one_partners(partner_id)) or self._refuses_all(decoded, error.reason):
            raise TablesAtFaultError(
                f"The tables refuse every order for one reason: {error}. No order is to blame, so none becomes a dead "
                "letter; the consumer waits, and goes on by itself when the tables are mended"
            ) from error
        if not isinstance(decoded, Rejected):
            decoded = decoded.rejected(Stage.TASK_PUT, "RefusedByPostgres", str(error))
            with suppress(RefusedByPostgresError):  # the ledger refuses it too, or nothing but the ledger
                return self._apply(Batch.of([decoded], batch.starts))
        return self._bury_without_ledger(decoded, batch)

    def _is_one_partners(self, partner_id: str) -> bool:
        """Whether only one of several partners sends what is refused: the others must not wait for it."""
        with self._holder.session() as session:
            others = others_of(session.connection, partner_id)
        return self._refusals.are_of_one_among([*others, *(partner for partner, _ in self._refusals.known)])

    def _refuses_all(self, decoded: Decoded, reason: str) -> bool:
        if isinstance(decoded, Rejected):
            return False
        with self._holder.session() as session:
            is_new = not session.orders.read({decoded.key}).result()
            # A restore, a swap or a person may have removed some of these rows: such a key says nothing.
            keys = list(session.orders.read(set(self._refusals.known)).result())
            if not keys and self._refusals.are_some:  # the rows may be older than the rule that refuses
                keys = some_rows(session.connection)
            return refuses_rows(session.connection, keys, reason, is_new=is_new)

    def _bury_without_ledger(self, rejected: Rejected, batch: Batch) -> Applied:
        """Only the letter is written and the fence moved: then one request keeps no outcome, and all others go on."""
        record, end = rejected.record, rejected.record.offset + 1
        parts = request_parts(Batch.of([rejected], batch.starts), [Outcome.INVALID])
        try:
            with self._holder.session(writes_rows=True) as session, session.connection.transaction():
                fence = session.fence.lock(batch.starts).result()
                require_fence(fence, batch)
                if is_new := fence[record.partition] < end:
                    session.fence.set({record.partition: Watermark(end, mark_of(record))})
                    self._bury([rejected])
        except RefusedByPostgresError as error:
            raise TablesAtFaultError(
                f"The fence cannot move: {error}. The consumer waits until that is mended"
            ) from error
        if is_new:
            self._on_applied([Outcome.INVALID])
        return Applied(first_replies(parts), False)
