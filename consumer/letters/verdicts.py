"""What the consumers decided and no offset tells again: the events that they put into the dead-letter topic.

Which of two bodies has an Idempotency-Key, what the tables refused at the time: a replay takes it from the letters.
"""

from collections.abc import Collection

from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import read_letter
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS

LETTERS_MAX = 1_000_000


class Verdicts:
    """The error class of every letter, by the partition and offset of its event. About 130 bytes for each."""

    def __init__(self, settings: KafkaSettings, partitions: Collection[int]) -> None:
        """Of events in `partitions` only."""
        self._reader = TopicReader(settings, settings.topics.dlq)
        self._partitions = frozenset(partitions)
        self._positions: dict[int, int] = {}
        self._errors: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        self._reader.close()

    def read_on(self) -> None:
        """To the end of this moment. A consumer's letter is there before it moves its fence. Raises ConsumerError."""
        starts, ends = self._reader.bounds(range(UPSERT_PARTITIONS))
        if not self._positions and any(starts.values()):
            raise ConsumerStoppedError(
                f"Letters were removed from {self._reader.topic}: it begins at {starts}. They are the record of what "
                "was not applied; without them a replay cannot give the same rows. Nothing was changed."
            )
        for chunk in self._reader.read({**starts, **self._positions}, ends):
            for letter in map(read_letter, chunk.records):
                if letter is not None and letter.partition in self._partitions:
                    self._errors[letter.partition, letter.offset] = letter.error
            if len(self._errors) > LETTERS_MAX:
                raise ConsumerStoppedError(f"More than {LETTERS_MAX} dead letters are too many to keep in memory.")
        self._positions = ends

    def about(self, partition: int, offset: int) -> str | None:
        """The error class of the event's letter, None where it has none."""
        return self._errors.get((partition, offset))
