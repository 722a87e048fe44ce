"""Whether the topic is still the log that the tables were filled from.

The tables know their log by three things: the topic's id, the fence, which must lie inside the log, and the hash of the
record before the fence. The hash tells a log that was put back to an older state and has grown past the fence since.
"""

import logging
from collections.abc import Mapping
from contextlib import closing

from confluent_kafka.admin import AdminClient

from consumer.core.log_mark import Watermark, record_hash
from consumer.core.record import Record
from consumer.errors import LogChangedError
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import TopicReader
from contracts.log_identity import ADVICE, another_topic, not_inside
from contracts.settings import KafkaSettings

_log = logging.getLogger(__name__)


class LogCheck:
    """Compares watermarks with the topic. A client of its own for each check: one that knew the log before it was put
    back does not believe the broker's older leader epochs, and waits forever."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.topics.upserts

    def require(self, source: tuple[str, str], watermarks: Mapping[int, Watermark]) -> None:
        """`source`: (topic, topic id) of the tables. `watermarks`: by partition, only those are checked.

        Raises LogChangedError if the log is another one, RetryLaterError if no broker answers.
        """
        admin = AdminClient(self._settings.client_config(client_id="order-upsert-consumer"), logger=_log)
        require_source(source, (self._topic, topic_id(admin, self._topic)))
        with closing(TopicReader(self._settings, self._topic)) as reader:
            firsts, ends = reader.bounds(watermarks.keys())
            for partition, watermark in watermarks.items():
                require_inside(self._topic, partition, watermark.next_offset, firsts[partition], ends[partition])
            require_marks(self._topic, watermarks, last_records(reader, watermarks, firsts))


def require_source(known: tuple[str, str], now: tuple[str, str]) -> None:
    """Raises LogChangedError if the topic is not the one that the tables were filled from."""
    if text := another_topic(known, now):
        raise LogChangedError(None, text)


def require_inside(topic: str, partition: int, next_offset: int, first: int, end: int) -> None:
    """Raises LogChangedError unless the fence lies inside the log."""
    if text := not_inside(topic, partition, next_offset, first, end):
        raise LogChangedError(partition, text)


def require_marks(topic: str, watermarks: Mapping[int, Watermark], records: Mapping[int, Record]) -> None:
    """`records`: the record before each fence, if there is one. Raises LogChangedError if it is another one."""
    for partition, record in records.items():
        mark = watermarks[partition].mark
        if mark is not None and record_hash(record) != mark.record_hash:
            raise LogChangedError(
                partition,
                f"The record at offset {record.offset} of partition {partition} of {topic} is not the one that was "
                "applied: Kafka was put back to an older state or lost records, and the log has grown since. Records "
                f"up to offset {record.offset} that were applied are lost, and the records that took their offsets are "
                f"not applied. {ADVICE}",
            )


def last_records(
    reader: TopicReader, watermarks: Mapping[int, Watermark], firsts: Mapping[int, int]
) -> dict[int, Record]:
    """The record before each fence that has a mark, unless it was removed from the log or is no record."""
    ends = {
        partition: watermark.next_offset
        for partition, watermark in watermarks.items()
        if watermark.mark is not None and watermark.next_offset > firsts[partition]
    }
    chunks = reader.read({partition: end - 1 for partition, end in ends.items()}, ends)
    return {record.partition: record for chunk in chunks for record in chunk.records}
