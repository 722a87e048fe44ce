"""The records of the dead-letter topic: letters, and notes that a letter is settled.

A letter stays for ever. It records the decision not to apply an event, and a replay needs it. A note says that a letter
was redriven or discarded: a later record in the same partition.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from consumer.core.record import Outgoing, Record, Rejected
from contracts.headers import SOURCE
from contracts.partner import PARTNER_ID
from contracts.topics import Topics

CONNECTOR_NAME = "order-upsert"
PREFIX = "__connect.errors."
_REASON_CHARS_MAX = 2000


def dead_letter(rejected: Rejected, topics: Topics) -> Outgoing:
    """The letter for a rejected record. It has the time of the event, so that a redriven event can have it too."""
    record = rejected.record
    reason = {
        "topic": topics.upserts,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "connector.name": CONNECTOR_NAME,
        "stage": rejected.stage,
        "exception.class.name": rejected.error,
        "exception.message": rejected.reason[:_REASON_CHARS_MAX],
    }
    # An event that was redriven and rejected again has the headers of its first letter. The newest reason counts.
    original = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    headers = [*original, *((PREFIX + name, text.encode()) for name, text in reason.items())]
    return Outgoing(topics.dlq, record.key, record.value, headers, time_ms=rejected.time_ms)


SETTLED_HEADER = "orders_letter_settled"
OFFSET_HEADER = "orders_letter_offset"


class Settled(StrEnum):
    """How a letter was settled."""

    REDRIVEN = "redriven"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `partition` and `offset` are those of the event in orders.upserts, not of the letter."""

    record: Record
    partition: int
    offset: int
    stage: str
    error: str
    reason: str

    @property
    def id(self) -> str:
        """The letter's name on the command line: its partition and offset in the dead-letter topic."""
        return f"{self.record.partition}:{self.record.offset}"

    @property
    def partner_id(self) -> str | None:
        """None if the event does not name a valid partner."""
        source = dict(self.record.headers).get(SOURCE.name) or b""
        partner = source.decode(errors="replace").removeprefix("/partners/")
        return partner if PARTNER_ID.fullmatch(partner) else None

    @property
    def order_id(self) -> str | None:
        """The key of the event, as text."""
        return None if self.record.key is None else self.record.key.decode(errors="replace")


def read_letter(record: Record) -> Letter | None:
    """None if the record is not a letter of ours: a note, or a foreign record."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    partition, offset = headers.get(PREFIX + "partition", ""), headers.get(PREFIX + "offset", "")
    if not (partition.isdecimal() and offset.isdecimal()):
        return None
    return Letter(
        record,
        int(partition),
        int(offset),
        headers.get(PREFIX + "stage", ""),
        headers.get(PREFIX + "exception.class.name", ""),
        headers.get(PREFIX + "exception.message", ""),
    )


def settled_note(letter: Letter, settled: Settled, topics: Topics) -> Outgoing:
    """The note that says how a letter was settled."""
    headers = [(SETTLED_HEADER, settled.value.encode()), (OFFSET_HEADER, str(letter.record.offset).encode())]
    return Outgoing(topics.dlq, letter.record.key, None, headers, letter.record.partition)


class LetterBox:
    """Collects the letters that pass a filter. Drops settled letters, unless `settled_too`."""

    def __init__(self, let_through: Callable[[Letter], bool], *, settled_too: bool) -> None:
        self._let_through = let_through
        self._settled_too = settled_too
        self._letters: dict[tuple[int, int], tuple[Letter, Settled | None]] = {}

    def __len__(self) -> int:
        return len(self._letters)

    def add(self, records: Iterable[Record]) -> None:
        """Takes records of the dead-letter topic, ordered by offset within each partition."""
        for record in records:
            letter = read_letter(record)
            if letter is None:
                self._settle(record)
            elif self._let_through(letter):
                self._letters[record.partition, record.offset] = letter, None

    def letters(self) -> list[tuple[Letter, Settled | None]]:
        """The letters, ordered by event. An event has two if a consumer died before it committed the first."""
        return sorted(self._letters.values(), key=lambda found: (found[0].partition, found[0].offset))

    def _settle(self, record: Record) -> None:
        headers = dict(record.headers)
        settled, offset = headers.get(SETTLED_HEADER) or b"", headers.get(OFFSET_HEADER) or b""
        if settled.decode(errors="replace") not in list(Settled) or not offset.isdigit():
            return
        place = record.partition, int(offset)
        if place in self._letters and self._settled_too:
            self._letters[place] = self._letters[place][0], Settled(settled.decode())
        else:
            self._letters.pop(place, None)
