"""The composition root of the consumer process."""

import gc
import logging
import signal
from collections.abc import Collection, Mapping
from threading import Event as Flag

from confluent_kafka.admin import AdminClient

from consumer.applier import Applier
from consumer.core.record import Rejected
from consumer.errors import RetryLaterError
from consumer.kafka.assignment import Assignment
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.letters.conflicts import read_conflicts
from consumer.letters.letter import dead_letter
from consumer.postgres.fence import require_same_topic
from consumer.postgres.migrate import require_migrated
from consumer.postgres.session import SessionHolder
from consumer.retry import attempts
from consumer.settings import ConsumerSettings
from consumer.worker import Worker

GC_EVERY_OBJECTS = 200_000
"""A batch makes about 100,000 objects and no cycles. With Python's default of 700, the collector takes a fifth of all
time."""
_log = logging.getLogger(__name__)


def run(settings: ConsumerSettings) -> None:
    """Consumes until SIGTERM or SIGINT. Raises ConsumerStoppedError."""
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.freeze()  # modules and classes stay, so the collector need not walk them
    gc.set_threshold(GC_EVERY_OBJECTS)
    holder = SessionHolder(settings.postgres_url, settings.ledger_days)
    try:
        if _wait_for_source(settings, holder, stop):
            build(settings, holder, stop).run()
    except RetryLaterError as error:
        _log.info("stopped during an outage; the next start does the remaining work: %s", error)
    finally:
        holder.close()


def build(settings: ConsumerSettings, holder: SessionHolder, stop: Flag) -> Worker:
    """Connects the parts of a consumer."""
    producer = AcknowledgedProducer(settings)

    def bury(rejected: list[Rejected]) -> None:
        for item in rejected:
            record = item.record
            _log.warning("to the DLQ: partition %d, offset %d: %s", record.partition, record.offset, item.reason)
        producer.send(dead_letter(item, settings.topics) for item in rejected)

    applier = Applier(holder, bury)

    def read_applied(partitions: Collection[int]) -> Mapping[int, int]:
        with holder.session() as session:
            fence = session.fence.read()
        return {partition: fence[partition] for partition in partitions}

    def read_lost_claims() -> None:
        """A restore loses key decisions; only the dead letters still hold them."""
        applier.heed(read_conflicts(settings))

    assignment = Assignment(settings, read_applied, stop, read_lost_claims)
    return Worker(settings, assignment, applier, producer, read_applied, read_lost_claims, stop)


def _wait_for_source(settings: ConsumerSettings, holder: SessionHolder, stop: Flag) -> bool:
    """Waits until Kafka and Postgres answer. False if `stop` is set first."""
    admin = AdminClient(settings.client_config(), logger=_log)
    topic = settings.topics.upserts

    def sleep(duration_s: float) -> None:
        stop.wait(duration_s)

    for attempt in attempts(stop, sleep):
        with attempt, holder.session() as session:
            require_migrated(session.connection)
            require_same_topic(session.connection, topic, topic_id(admin, topic))
    return not stop.is_set()
