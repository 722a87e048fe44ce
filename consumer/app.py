"""The consumer process: everything is put together here."""

import gc
import logging
import signal
from threading import Event as Flag

from confluent_kafka.admin import AdminClient

from consumer.applier import Applier
from consumer.core.record import Rejected
from consumer.errors import RetryLaterError
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.letters.letter import dead_letter
from consumer.postgres.fence import require_same_topic
from consumer.postgres.migrate import require_migrated
from consumer.postgres.session import Database
from consumer.retry import attempts
from consumer.settings import ConsumerSettings
from consumer.worker import Worker

GC_EVERY_OBJECTS = 200_000
"""A batch makes some 100,000 objects and no cycles. With Python's own 700, a fifth of all time is spent looking."""
_log = logging.getLogger(__name__)


def run(settings: ConsumerSettings) -> None:
    """Consumes until SIGTERM or SIGINT. Raises ConsumerStoppedError."""
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.freeze()  # modules and classes stay: there is no point in walking them
    gc.set_threshold(GC_EVERY_OBJECTS)
    database = Database(settings.postgres_url, settings.ledger_days)
    try:
        if _wait_for_source(settings, database, stop):
            build(settings, database, stop).run()
    except RetryLaterError as error:
        _log.info("stopped during an outage; what was not done is done at the next start: %s", error)
    finally:
        database.close()


def build(settings: ConsumerSettings, database: Database, stop: Flag) -> Worker:
    producer = AcknowledgedProducer(settings)

    def bury(rejected: list[Rejected]) -> None:
        for item in rejected:
            record = item.record
            _log.warning("to the DLQ: partition %d, offset %d: %s", record.partition, record.offset, item.reason)
        producer.send(dead_letter(item, settings.topics) for item in rejected)

    return Worker(settings, database, producer, Applier(database, bury), stop)


def _wait_for_source(settings: ConsumerSettings, database: Database, stop: Flag) -> bool:
    """False where we were told to stop before Kafka and Postgres answered."""
    admin = AdminClient(settings.client_config(), logger=_log)
    topic = settings.topics.upserts

    def sleep(duration_s: float) -> None:
        stop.wait(duration_s)

    for attempt in attempts(stop, sleep):
        with attempt, database.session() as session:
            require_migrated(session.connection)
            require_same_topic(session.connection, topic, topic_id(admin, topic))
    return not stop.is_set()
