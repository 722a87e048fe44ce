"""The composition root of the consumer process."""

import gc
import logging
import signal
from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import KafkaException

from consumer.applier import Applier
from consumer.errors import ClientStuckError, LogChangedError, RetryLaterError
from consumer.kafka.assignment import Assignment
from consumer.kafka.broker import Broker, stopped_by
from consumer.kafka.ends_of_records import ends_of_records
from consumer.kafka.log_check import require_source
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.conflicts import read_conflicts
from consumer.letters.writer import LetterWriter
from consumer.log_guard import LogGuard
from consumer.metrics import ConsumerMetrics
from consumer.postgres.fence import note_source
from consumer.postgres.lost_rows import RowsWatch, require_rows
from consumer.postgres.migrate import require_migrated, require_utf8
from consumer.postgres.publications import about_the_ledger
from consumer.postgres.server import require_supported
from consumer.postgres.session import SessionHolder
from consumer.postgres.tables import require_tables
from consumer.restore_barrier import RestoreBarrier
from consumer.retry import attempts
from consumer.settings import ConsumerSettings, current_url
from consumer.vitals import Vitals
from consumer.worker import Worker
from contracts.access import rights_of_consumer

GC_EVERY_OBJECTS = 200_000
"""A batch makes tens of thousands of objects and no cycles. With Python's default of 700, the collector walks them
again and again."""
_log = logging.getLogger(__name__)


def run(settings: ConsumerSettings, stop: Vitals, metrics: ConsumerMetrics) -> None:
    """Consumes until SIGTERM or SIGINT. `stop` and `metrics` tell others how it goes. Raises ConsumerStoppedError."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.freeze()  # modules and classes stay, so the collector need not walk them
    gc.set_threshold(GC_EVERY_OBJECTS)
    holder = SessionHolder(current_url(settings.postgres_url), settings.ledger_days, on_use=stop.turn)
    stop.is_connected = lambda: holder.is_connected
    try:
        while _wait_for_source(settings, holder, stop):
            try:
                build(settings, holder, stop, metrics).run()
            except ClientStuckError as error:
                _log.warning("starting again with a new client: %s", error)
    except KafkaException as error:  # the client library raises what is fatal to a client
        raise stopped_by(settings, error.args[0], settings.topics.upserts, "READ") from error
    except RetryLaterError as error:
        _log.info("stopped during an outage; the next start does the remaining work: %s", error)
    finally:
        holder.close()


def build(settings: ConsumerSettings, holder: SessionHolder, stop: Vitals, metrics: ConsumerMetrics) -> Worker:
    """Connects the parts of a consumer."""
    producer = AcknowledgedProducer(settings)

    def read_answered() -> Mapping[int, int]:
        return assignment.read_answered()

    def ends_between(starts: Mapping[int, int], ends: Mapping[int, int]) -> Mapping[int, int]:
        with closing(TopicReader(settings, settings.topics.upserts)) as reader:
            return ends_of_records(reader, starts, ends)

    barrier = RestoreBarrier(read_answered, ends_between)
    letters = LetterWriter(producer, settings.topics, metrics.on_letters)
    applier = Applier(holder, letters.bury, barrier, on_applied=metrics.on_applied)

    def on_restored() -> None:
        """A restore loses key decisions; only the dead letters still hold those about a loser."""
        metrics.on_restored()
        barrier.suspect()
        applier.heed(read_conflicts(settings, stop.turn))

    watch = RowsWatch()

    def read_fence() -> Mapping[int, int]:
        with holder.session() as session:
            fence = session.fence.read()
            watch.look(session.connection, applier.written_lately, fence)
            return fence

    guard = LogGuard(settings, holder, producer)
    assignment = Assignment(settings, guard.read_applied, stop, on_restored, metrics, ends_between)
    stop.is_assigned = lambda: assignment.is_assigned
    return Worker(settings, assignment, applier, producer, read_fence, guard, barrier, on_restored, stop, metrics)


def _wait_for_source(settings: ConsumerSettings, holder: SessionHolder, stop: Vitals) -> bool:
    """Waits until Kafka and Postgres answer. False if `stop` is set first."""
    broker = Broker(settings)
    topics = settings.topics

    def sleep(duration_s: float) -> None:
        stop.wait(duration_s)

    for attempt in attempts(stop, sleep):
        with attempt:
            broker.require_reachable()
            broker.require(rights_of_consumer(topics))
            with holder.session() as session:
                require_supported(session.connection)
                require_migrated(session.connection)
                require_utf8(session.connection)
                require_tables(session.connection)
                require_rows(session.connection)
                if (told := about_the_ledger(session.connection)) is not None:
                    _log.warning("%s", told)
                now = topics.upserts, topic_id(broker.client, topics.upserts)
                known = note_source(session.connection, *now)
            try:
                require_source(known, now)
            except LogChangedError as error:
                LogGuard(settings, holder, AcknowledgedProducer(settings)).halt(error)
                raise
    return not stop.is_set()
