"""Publishes the events of letters again, and notes it. Each letter is settled by itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from consumer.core.portions import portions
from consumer.core.record import Outgoing
from consumer.kafka.producer import AcknowledgedProducer, Sent
from consumer.letters.fitting import size_of
from consumer.letters.letter import EventMark, Letter, Settled, event_mark, settled_note
from consumer.letters.originals import with_originals
from consumer.letters.redrive import redriven
from contracts.kafka_errors import Verdict
from contracts.settings import KafkaSettings
from contracts.topics import BATCH_BYTES_MAX

SEND_RECORDS_MAX = 1_000
"""Letters that are published before they are noted as redriven. After a kill in between, they are redriven again."""
SEND_BYTES_MAX = 8 << 20
"""Bytes of the events that are published together; one that is larger goes alone."""
ALONE_BYTES = BATCH_BYTES_MAX * 3 // 4
"""From this size on an event goes alone: if Kafka refuses it, it refuses nothing that stands beside it."""
REDRIVEN_BYTES_MAX = 64 << 20
"""Bytes of one event before it is compressed."""
EVENTS_REMEMBERED_MAX = 10_000
"""Events that were published last. A further letter of one of them is only noted."""

Event = tuple[int, int, EventMark]
"""What letters of one event have in common: its partition and offset, and `event_mark`."""


class Failure(NamedTuple):
    """A letter that stays open, and why. `verdict`: RECORD if it concerns this letter alone."""

    letter: Letter
    verdict: Verdict
    why: str


class Redriver:
    """Redrives letters. An event that several letters hold is published once."""

    def __init__(self, settings: KafkaSettings, new_request_id: Callable[[], UUID]) -> None:
        self._settings = settings
        self._new_request_id = new_request_id
        # An event that its letter had no room for was compressed when it was first written.
        self._producer = AcknowledgedProducer(settings, message_max_bytes=REDRIVEN_BYTES_MAX, compression_type="gzip")
        self._published: dict[Event, None] = {}

    def redrive(self, letters: Sequence[Letter]) -> list[Failure]:
        """Returns when each letter is noted as redriven, or its failure is known. Raises ConsumerError before
        anything is published, if the events of letters that do not hold them cannot be read.

        After a failure that does not concern its letter alone, nothing more should be redriven.
        """
        whole, gone = with_originals(self._settings, letters)
        failures = [Failure(letter, Verdict.RECORD, self._why_gone(letter)) for letter in gone]
        letters_of: dict[Event, list[Letter]] = {}
        for letter in whole:
            letters_of.setdefault(_event(letter), []).append(letter)
        new = [event for event in letters_of if event not in self._published]
        failed = self._publish({event: letters_of[event][0] for event in new})
        failures += [Failure(letter, *why) for event, why in failed.items() for letter in letters_of[event]]
        self._remember(event for event in new if event not in failed)
        return failures + self._note([letter for letter in whole if _event(letter) not in failed])

    def _publish(self, letters: dict[Event, Letter]) -> dict[Event, tuple[Verdict, str]]:
        """The events that Kafka did not take."""
        failed: dict[Event, tuple[Verdict, str]] = {}
        together: dict[int, Event] = {}
        small: list[Outgoing] = []
        alone: list[tuple[Event, Outgoing]] = []
        for event, letter in letters.items():
            record = redriven(letter, self._settings.topics, self._new_request_id)
            if size_of(record.key, record.value, record.headers) >= ALONE_BYTES:
                alone.append((event, record))
            else:
                together[id(record)] = event
                small.append(record)
        for sent in self._producer.send_each(small):
            if sent.verdict is Verdict.RECORD:  # a refusal is that of the whole batch on the wire
                alone.append((together[id(sent.record)], sent.record))
            elif sent.verdict is not None:
                failed[together[id(sent.record)]] = sent.verdict, sent.why
        for event, record in alone:
            # After an outage nothing more is tried, so that nothing more may be there twice.
            outage = next((why for why in failed.values() if why[0] is not Verdict.RECORD), None)
            sent = Sent(record, *outage) if outage else self._producer.send_each([record])[0]
            if sent.verdict is not None:
                failed[event] = sent.verdict, sent.why
        return failed

    def _note(self, letters: Sequence[Letter]) -> list[Failure]:
        written = [settled_note(letter, Settled.REDRIVEN, self._settings.topics) for letter in letters]
        return [
            Failure(
                letter,
                sent.verdict,
                f"its event was published, but not noted: {sent.why}. Another redrive publishes it again, and ends as "
                "`stale`",
            )
            for letter, sent in zip(letters, self._producer.send_each(written), strict=True)
            if sent.verdict is not None
        ]

    def _remember(self, events: Iterable[Event]) -> None:
        self._published.update(dict.fromkeys(events))
        while len(self._published) > EVENTS_REMEMBERED_MAX:
            del self._published[next(iter(self._published))]

    def _why_gone(self, letter: Letter) -> str:
        return (
            f"its {' and '.join(letter.left_out)} is not in the letter, and {self._settings.topics.upserts} no longer "
            f"has the event. To close it: orders dlq discard {letter.id}"
        )


def parts(letters: Iterable[Letter], records_max: int) -> Iterator[list[Letter]]:
    """The letters, in portions of `records_max` and SEND_BYTES_MAX; one that is larger is alone."""
    return portions(letters, _event_bytes, SEND_BYTES_MAX, records_max)


def _event_bytes(letter: Letter) -> int:
    """Of the event, whether the letter holds it or not."""
    record = letter.record
    return size_of(record.key, record.value, record.headers) + sum(
        about.size_bytes for about in letter.left_out.values()
    )


def _event(letter: Letter) -> Event:
    return letter.partition, letter.offset, event_mark(letter)
