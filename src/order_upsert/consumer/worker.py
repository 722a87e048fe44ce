"""The loop of a consumer process: take, apply, answer, commit."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from threading import Event as Flag

from order_upsert.consumer.applier import Applier, FenceBehindError
from order_upsert.consumer.assignment import Assignment
from order_upsert.consumer.conflicts import read_conflicts
from order_upsert.consumer.database import Database
from order_upsert.consumer.decode import identify
from order_upsert.consumer.errors import RetryLaterError
from order_upsert.consumer.headers import HeaderReader
from order_upsert.consumer.producer import AcknowledgedProducer
from order_upsert.consumer.record import Batch
from order_upsert.consumer.results import Reply, result_record
from order_upsert.consumer.retry import attempts
from order_upsert.consumer.settings import ConsumerSettings

TAKE_TIMEOUT_S = 0.2
CHECK_EVERY_S = 5.0
_log = logging.getLogger(__name__)


class Worker:
    """Runs until `stop` is set. Raises ConsumerStoppedError."""

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
        self._assignment = Assignment(settings, self._applied, stop, self._put_back)

    def run(self) -> None:
        self._assignment.subscribe()
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self._assignment.close()

    def step(self) -> None:
        """One batch, from Kafka to the reply; or nothing, where nothing has arrived."""
        records, starts = self._assignment.take(self._settings.batch_records_max, TAKE_TIMEOUT_S)
        if records:
            self._finish(Batch([identify(record, self._headers) for record in records], starts))
        if self._clock_s() - self._checked_s > CHECK_EVERY_S:
            self._checked_s = self._clock_s()
            self._assignment.commit({})
            self._check_fence()

    def _finish(self, batch: Batch) -> None:
        """Applies and answers. Where anything fails, both are done again: the fence and the ledger make that exact."""
        for attempt in attempts(self._stop, self._assignment.wait):
            with attempt:
                # During a wait partitions may have gone to someone else, who does the same.
                batch = batch.only(batch.starts.keys() - self._assignment.lost)
                if not batch.records:
                    return
                try:
                    replies = self._applier.apply(batch)
                except FenceBehindError as error:
                    _log.warning("%s", error)
                    self._put_back()
                    self._assignment.rewind({**batch.starts, **error.next_offsets})
                    return
                self._answer(replies)
                self._assignment.commit(batch.ends)

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
