"""The loop of a consumer process: take, apply, answer, commit."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event as Flag

from order_upsert.consumer.applier import Applier, FenceBehindError
from order_upsert.consumer.assignment import Assignment
from order_upsert.consumer.conflicts import read_conflicts
from order_upsert.consumer.database import Database
from order_upsert.consumer.decode import identify, read_order
from order_upsert.consumer.errors import ConsumerError, RetryLaterError
from order_upsert.consumer.headers import HeaderReader
from order_upsert.consumer.producer import AcknowledgedProducer
from order_upsert.consumer.record import Batch, Unread
from order_upsert.consumer.results import Reply, result_record
from order_upsert.consumer.retry import attempts
from order_upsert.consumer.settings import ConsumerSettings

TAKE_TIMEOUT_S = 0.2
CHECK_EVERY_S = 5.0
APART_RECORDS_MIN = 200
"""From here on a batch is applied in a thread of its own; handing over a smaller one costs more than it saves."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _InFlight:
    """A batch that is being applied and answered. `lost`: partitions that were taken from us meanwhile."""

    batch: Batch
    answered: "Future[None]"
    lost: set[int] = field(default_factory=set)


class Worker:
    """Runs until `stop` is set. Raises ConsumerStoppedError.

    While one batch waits for Postgres, the next one is fetched and decoded: so there are two batches at the most, and
    the second is not begun before the first is answered.
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
        self._in_flight: _InFlight | None = None
        self._apart = ThreadPoolExecutor(1, "applier")
        self._assignment = Assignment(settings, self._applied, stop, self._put_back)

    def run(self) -> None:
        self._assignment.subscribe()
        try:
            while not self._stop.is_set():
                self.step()
            self._settle()
        finally:
            self._apart.shutdown()
            self._assignment.close()

    def step(self) -> None:
        """Takes what has arrived, ends the batch before, and begins the new one."""
        records, starts = self._assignment.take(self._settings.batch_records_max, TAKE_TIMEOUT_S)
        batch = Batch([identify(record, self._headers) for record in records], starts)
        if self._in_flight is not None:
            self._in_flight.lost |= self._assignment.lost
            if self._applier.changes_rows:
                batch = Batch(
                    [read_order(item) if isinstance(item, Unread) else item for item in batch.records], starts
                )
        rewound = self._settle()
        batch = batch.only(starts.keys() - self._assignment.lost - rewound)
        if batch.records:
            self._in_flight = _InFlight(batch, self._begin(batch))
        if len(batch.records) < APART_RECORDS_MIN:
            self._settle()
        if self._clock_s() - self._checked_s > CHECK_EVERY_S:
            self._settle()
            self._checked_s = self._clock_s()
            self._assignment.commit({})
            self._check_fence()

    def _begin(self, batch: Batch) -> "Future[None]":
        if len(batch.records) >= APART_RECORDS_MIN:
            return self._apart.submit(self._apply_and_answer, batch)
        answered: Future[None] = Future()
        try:
            self._apply_and_answer(batch)
            answered.set_result(None)
        except ConsumerError as error:
            answered.set_exception(error)
        return answered

    def _apply_and_answer(self, batch: Batch) -> None:
        self._answer(self._applier.apply(batch))

    def _settle(self) -> set[int]:
        """Waits for the batch in flight. Where anything fails, all is done again: fence and ledger make that exact.

        Gives the partitions that are read again from further back: what was taken of them is not to be applied.
        """
        if self._in_flight is None:
            return set()
        batch, lost = self._in_flight.batch, self._in_flight.lost
        answered: Future[None] | None = self._in_flight.answered
        self._in_flight = None
        for attempt in attempts(self._stop, self._assignment.wait):
            with attempt:
                begun, answered = answered, None
                if begun is None:
                    # During a wait partitions may have gone to someone else, who does the same.
                    batch = batch.only(batch.starts.keys() - lost - self._assignment.lost)
                    if not batch.records:
                        return set()
                    begun = self._begin(batch)
                try:
                    begun.result()
                except FenceBehindError as error:
                    _log.warning("%s", error)
                    self._put_back()
                    again = {**batch.starts, **error.next_offsets}
                    self._assignment.rewind(again)
                    return set(again)
                self._assignment.commit(batch.only(batch.starts.keys() - lost - self._assignment.lost).ends)
        return set()

    def _answer(self, replies: list[Reply]) -> None:
        """Writers of events may name a topic of their own for the reply, but none that is ours for something else."""
        topics = self._settings.topics
        named = {reply.reply_to.topic for reply in replies}
        refused = named & {topics.upserts, topics.dlq, topics.partners}
        if refused:
            _log.warning("no replies go to %s", sorted(refused))
        records = [result_record(reply) for reply in replies if reply.reply_to.topic not in refused]
        self._producer.send(records, foreign=named - {topics.results})

    def _check_fence(self) -> None:
        """Finds a database that was put back while nothing arrived."""
        try:
            with self._database.session() as session:
                fence = session.store.read_fence()
        except RetryLaterError as error:
            _log.warning("Postgres: %s", error)
            return
        behind = {p: fence[p] for p, position in self._assignment.positions.items() if fence[p] < position}
        if behind:
            _log.warning("%s", FenceBehindError(behind))
            try:
                self._put_back()
            except RetryLaterError as error:
                _log.warning("%s", error)
                return
            self._assignment.rewind(behind)

    def _put_back(self) -> None:
        """The tables lost decisions that were told: those that no offset gives again are in the dead letters."""
        self._applier.lost = read_conflicts(self._settings)

    def _applied(self, partitions: Collection[int]) -> Mapping[int, int]:
        with self._database.session() as session:
            fence = session.store.read_fence()
        return {partition: fence[partition] for partition in partitions}
