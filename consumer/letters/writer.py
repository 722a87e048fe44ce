"""Puts rejected records into the dead-letter topic, whatever is in them."""

import logging
from collections.abc import Callable, Sequence

from consumer.core.record import Rejected
from consumer.errors import ConsumerStoppedError
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import SMALL_LETTER_BYTES_MAX, dead_letter
from contracts.topics import Topics

_log = logging.getLogger(__name__)


class LetterWriter:
    """Writes letters. One that Kafka refuses is written again without what may be the cause."""

    def __init__(
        self,
        producer: AcknowledgedProducer,
        topics: Topics,
        on_letters: Callable[[Sequence[Rejected]], None] = lambda _: None,
    ) -> None:
        """`on_letters` gets what was buried, when it is safe."""
        self._producer = producer
        self._topics = topics
        self._on_letters = on_letters

    def bury(self, rejected: Sequence[Rejected]) -> None:
        """Returns when every letter is safe. Raises RetryLaterError, or ConsumerStoppedError if no letter is taken."""
        self._write(rejected)
        self._on_letters(rejected)

    def _write(self, rejected: Sequence[Rejected]) -> None:
        for item in rejected:
            record = item.record
            _log.warning("to the DLQ: partition %d, offset %d: %s", record.partition, record.offset, item.reason)
        letters = [(dead_letter(item, self._topics), item) for item in rejected]
        refused = self._producer.send(letter for letter, _ in letters)
        if not refused:
            return
        again = []
        for why, letter in refused:
            item = next(item for sent, item in letters if sent is letter)
            record = item.record
            _log.warning(
                "the letter about partition %d, offset %d is written without its value and its time: %s",
                record.partition,
                record.offset,
                why,
            )
            again.append(dead_letter(item, self._topics, SMALL_LETTER_BYTES_MAX, dated=False))
        for why, _ in self._producer.send(again):
            raise ConsumerStoppedError(
                f"The topic {self._topics.dlq} takes no letter, not even a small one: {why}. Nothing was skipped. "
                "Run: orders setup"
            )
