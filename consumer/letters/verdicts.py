"""The decisions of the consumers that only the dead letters hold.

Which of two bodies owns an Idempotency-Key, and which events the tables refused at the time: a replay cannot decide
this again from the events, so it reads it from the letters.
"""

from collections.abc import Collection

from consumer.core.record import Record
from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import EventMark, event_mark, is_event_of, read_letter
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS

LETTERS_MAX = 1_000_000


class Verdicts:
    """The error class of every letter, by partition and offset of its event. Takes about 220 bytes for each letter."""

    def __init__(self, settings: KafkaSettings, partitions: Collection[int]) -> None:
        """Keeps only letters of events in `partitions`."""
        self._reader = TopicReader(settings, settings.topics.dlq)
        self._partitions = frozenset(partitions)
        self._positions: dict[int, int] = {}
        self._errors: dict[tuple[int, int], tuple[str, EventMark]] = {}

    def close(self) -> None:
        self._reader.close()

    def read_on(self) -> None:
        """Reads up to the present end. A consumer writes a letter before it moves its fence. Raises ConsumerError."""
        starts, ends = self._reader.bounds(range(UPSERT_PARTITIONS))
        if not self._positions and any(starts.values()):
            raise ConsumerStoppedError(
                f"Letters were removed from {self._reader.topic}: its partitions begin at {starts}. Letters record "
                "which events were not applied. Without them a replay cannot give the same rows. Nothing was changed."
            )
        for chunk in self._reader.read({**starts, **self._positions}, ends):
            for letter in map(read_letter, chunk.records):
                if letter is not None and letter.partition in self._partitions:
                    self._errors[letter.partition, letter.offset] = letter.error, event_mark(letter)
            if len(self._errors) > LETTERS_MAX:
                raise ConsumerStoppedError(f"A replay cannot keep more than {LETTERS_MAX} dead letters in memory.")
        self._positions = ends

    @property
    def places(self) -> Collection[tuple[int, int]]:
        """(partition, offset) of every event that may have a letter."""
        return self._errors.keys()

    def about(self, record: Record) -> str | None:
        """The error class of the event's letter; None if it has no letter.

        A letter of another event at this place says nothing: Kafka lost that event, and the log has grown since.
        """
        found = self._errors.get((record.partition, record.offset))
        return found[0] if found is not None and is_event_of(found[1], record) else None
