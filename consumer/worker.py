"""The loop of a consumer process: take, apply, answer, commit."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from threading import Event as Flag

from consumer.applier import Applier, FenceBehindError
from consumer.core.decode import HeaderReader, identify, read_order
from consumer.core.record import Batch, Decoded, Record, Unread, Work
from consumer.core.replies import Reply, result_record
from consumer.errors import RetryLaterError
from consumer.kafka.assignment import Assignment
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.conflicts import read_conflicts
from consumer.postgres.session import Database
from consumer.prefetch import Prefetched
from consumer.retry import attempts
from consumer.settings import ConsumerSettings

TAKE_TIMEOUT_S = 0.2
CHECK_EVERY_S = 5.0
AHEAD_RECORDS_MIN = 200
"""From here on, the next batch is taken before this one is applied; behind a smaller one there is seldom another."""
_log = logging.getLogger(__name__)


class Worker:
    """Runs until `stop` is set. Raises ConsumerStoppedError.

    One thread does it all. While Postgres works on one batch, the next one is decoded: so there are two at the most.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        database: Database,
        producer: AcknowledgedProducer,
        applier: Applier,
        stop: Flag,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._producer = producer
        self._applier = applier
        self._stop = stop
        self._clock_s = clock_s
        self._checked_s = clock_s()
        self._headers = HeaderReader()
        self._ahead: Prefetched | None = None
        self._assignment = Assignment(settings, self._applied, stop, self._read_lost_claims)

    def run(self) -> None:
        """What was taken ahead and is not applied at the end is read again by whoever comes next."""
        self._assignment.subscribe()
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self._assignment.close()

    def step(self) -> None:
        """Applies and answers what has arrived; checks the fence now and then."""
        if self._ahead is None:
            self._ahead = self._take(TAKE_TIMEOUT_S)
            self._assignment.drain_revoked()  # nothing of them is in what was taken
        batch, self._ahead = self._ahead.batch(), None
        is_check_due = self._clock_s() - self._checked_s > CHECK_EVERY_S
        if len(batch.records) >= AHEAD_RECORDS_MIN and not is_check_due:
            self._ahead = self._take(0)
            batch = batch.without(self._assignment.drain_revoked())
        self._apply(batch)
        if is_check_due:
            self._checked_s = self._clock_s()
            self._assignment.commit({})
            self._check_fence()

    def _take(self, timeout_s: float) -> Prefetched:
        records, starts = self._assignment.take(self._settings.batch_records_max, timeout_s)
        return Prefetched(records, starts, self._decode)

    def _decode(self, record: Record) -> Decoded:
        identified = identify(record, self._headers)
        if self._applier.changes_rows and isinstance(identified, Unread):
            return read_order(identified)
        return identified

    def _apply(self, batch: Batch) -> None:
        """Where anything fails, all is done again: fence and ledger make that exact."""
        meanwhile = None if self._ahead is None else self._ahead.decode_some
        for attempt in attempts(self._stop, self._assignment.wait):
            with attempt:
                # While we waited, partitions may have gone to someone else, who does the same.
                lost = self._assignment.drain_revoked()
                batch = batch.without(lost)
                self._drop_ahead(lost)
                if not batch.records:
                    return
                try:
                    self._answer(self._applier.apply(batch, meanwhile), meanwhile)
                except FenceBehindError as error:
                    _log.warning("%s", error)
                    self._read_lost_claims()
                    again = {**batch.starts, **error.next_offsets}
                    self._assignment.rewind(again)
                    self._drop_ahead(again.keys())
                    return
                self._assignment.commit(batch.ends)

    def _drop_ahead(self, partitions: Collection[int]) -> None:
        """Leaves out of the next batch what is read again, by us or by whoever has these partitions now."""
        if self._ahead is not None:
            self._ahead.drop(partitions)

    def _answer(self, replies: list[Reply], meanwhile: Work | None) -> None:
        """Writers of events may name a topic of their own for the reply, but none that is ours for something else."""
        topics = self._settings.topics
        named = {reply.reply_to.topic for reply in replies}
        refused = named & {topics.upserts, topics.dlq, topics.partners}
        if refused:
            _log.warning("no replies go to %s", sorted(refused))
        records = [result_record(reply) for reply in replies if reply.reply_to.topic not in refused]
        self._producer.send(records, named - {topics.results}, meanwhile)

    def _check_fence(self) -> None:
        """Finds a database that was put back while nothing arrived."""
        try:
            with self._database.session() as session:
                fence = session.fence.read()
        except RetryLaterError as error:
            _log.warning("Postgres: %s", error)
            return
        behind = {p: fence[p] for p, position in self._assignment.positions.items() if fence[p] < position}
        if behind:
            _log.warning("%s", FenceBehindError(behind))
            try:
                self._read_lost_claims()
            except RetryLaterError as error:
                _log.warning("%s", error)
                return
            self._assignment.rewind(behind)

    def _read_lost_claims(self) -> None:
        """The tables lost decisions that were told: those that no offset gives again are in the dead letters."""
        self._applier.lost_claims = read_conflicts(self._settings)

    def _applied(self, partitions: Collection[int]) -> Mapping[int, int]:
        with self._database.session() as session:
            fence = session.fence.read()
        return {partition: fence[partition] for partition in partitions}
