"""Which requests lost their Idempotency-Key to another body, read from the dead letters."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from consumer.core.record import Record
from consumer.core.repeats import CONFLICT, LostClaims
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import PREFIX, read_letter
from consumer.settings import ConsumerSettings
from contracts.event import RecordError, read_headers
from contracts.topics import UPSERT_PARTITIONS

_log = logging.getLogger(__name__)


def read_conflicts(settings: ConsumerSettings, on_turn: Callable[[], None] = lambda: None) -> LostClaims:
    """Reads the whole dead-letter topic, up to its end at the time of the call. Calls `on_turn` again and again.

    Raises ConsumerError.
    """
    lost_claims = LostClaims(timedelta(days=settings.ledger_days))
    with closing(TopicReader(settings, settings.topics.dlq)) as reader:
        for chunk in reader.read(*reader.bounds(range(UPSERT_PARTITIONS))):
            on_turn()
            for letter in chunk.records:
                _add(lost_claims, letter)
    return lost_claims


def _add(lost_claims: LostClaims, letter: Record) -> None:
    if (f"{PREFIX}exception.class.name", CONFLICT.encode()) not in letter.headers:
        return
    try:
        context, _ = read_headers(letter.headers)
        found = read_letter(letter)
        lost_claims.add(context, letter.time if found is None else found.time)
    except RecordError as error:
        _log.warning("cannot read the dead letter %d:%d: %s", letter.partition, letter.offset, error)
