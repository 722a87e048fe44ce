"""The records of the dead-letter topic: letters, and notes that a letter is settled.

A letter stays forever. It records the decision not to apply an event, and a replay needs it. A note says that a letter
was redriven, discarded or reopened: a later record in the same partition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from consumer.core.record import Outgoing, Record, Rejected
from consumer.letters.fitting import LEFT_OUT_PREFIX, LeftOut, Parts, digest_of, digests, fit, is_original, left_out_of
from contracts.headers import ID, SOURCE
from contracts.partitioner import partition_of
from contracts.partner import PARTNER_ID
from contracts.topics import LETTER_BYTES_MAX, UPSERT_PARTITIONS, Topics

CONNECTOR_NAME = "order-upsert"
PREFIX = "__connect.errors."
WHOLE_LETTER_BYTES_MAX = LETTER_BYTES_MAX - 4096
"""So that a letter and what the client adds to it fit the dead-letter topic."""
SMALL_LETTER_BYTES_MAX = 32 * 1024
"""Every letter can be made as small: by the reason, and the headers that the consumer reads."""
TIME_HEADER = "orders_letter_time"
OF_THE_LETTER = (PREFIX, LEFT_OUT_PREFIX, TIME_HEADER)
"""How the names of headers begin that are a letter's own."""
_REASON_CHARS_MAX = 2000
_DIGITS_MAX = 18


def dead_letter(
    rejected: Rejected, topics: Topics, bytes_max: int = WHOLE_LETTER_BYTES_MAX, *, dated: bool = True
) -> Outgoing:
    """The letter for a rejected record, in at most `bytes_max` bytes. What does not fit is described in its headers.

    It has the time of the event, so that a redriven event can have it too. If it is not `dated`, because the broker
    does not take that time, a header says it.
    """
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
    original = _of_the_event(record)
    own: list[tuple[str, bytes | None]] = [(PREFIX + name, text.encode()) for name, text in reason.items()]
    if not dated:
        own.append((TIME_HEADER, str(rejected.time_ms).encode()))
    fitted = fit(original, own, bytes_max)
    # Without its key the letter would be in any partition.
    partition = partition_of(record.key or b"", UPSERT_PARTITIONS) if fitted.key != record.key else None
    time_ms = rejected.time_ms if dated else None
    return Outgoing(topics.dlq, fitted.key, fitted.value, [*fitted.headers, *own], partition, time_ms)


def _of_the_event(record: Record) -> Parts:
    headers = [(name, value) for name, value in record.headers if not name.startswith(OF_THE_LETTER)]
    return Parts(record.key, record.value, headers)


SETTLED_HEADER = "orders_letter_settled"
OFFSET_HEADER = "orders_letter_offset"


class Settled(StrEnum):
    """How a letter was settled, or that its discard is taken back."""

    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `partition` and `offset` are those of the event in orders.upserts, not of the letter."""

    record: Record
    partition: int
    offset: int
    stage: str
    error: str
    reason: str
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """What of the event is not in the letter, because it was too large: `value`, `headers`, `key`."""

    def is_about(self, record: Record) -> bool:
        """False if another event stands at the letter's place: Kafka lost its own, and the log has grown since."""
        return is_event_of(event_mark(self), record)

    def is_of(self, record: Record) -> bool:
        """Whether the record is the event of this letter, also in what was left out."""
        return self.is_about(record) and is_original(_of_the_event(record), self.left_out)

    def is_of_order(self, order_id: str) -> bool:
        """Whether the key of the event is this order_id, also if the key was left out."""
        cut = self.left_out.get("key")
        return self.order_id == order_id if cut is None else cut.sha256 == digest_of(order_id.encode())

    @property
    def id(self) -> str:
        """The letter's name on the command line: its partition and offset in the dead-letter topic."""
        return f"{self.record.partition}:{self.record.offset}"

    def with_event(self, event: Record) -> "Letter":
        """The letter as it would be if it had room for its whole event."""
        return replace(self, record=replace(self.record, key=event.key, value=event.value, headers=event.headers))

    @property
    def time_ms(self) -> int:
        """When the broker appended the event, in ms since 1970."""
        written = _number(dict(self.record.headers).get(TIME_HEADER))
        return self.record.time_ms if written is None else written

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)

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


EventMark = int | tuple[tuple[str, int], ...]
"""By which an event and its letter are known to belong together, in this process only: a hash of the id, or of each
part that is known of an event without one."""


def event_mark(letter: Letter) -> EventMark:
    """A letter that does not fit may be without its id, if that is longer than any id that counts."""
    event_id = dict(letter.record.headers).get(ID.name)
    if event_id is not None:
        return hash(event_id)
    found = digests(_of_the_event(letter.record), letter.left_out)
    return tuple((part, hash(digest)) for part, digest in sorted(found.items()))


def is_event_of(mark: EventMark, record: Record) -> bool:
    """Whether the record is the event of the letter with this mark, and not another one that took its place."""
    if isinstance(mark, int):
        event_id = dict(record.headers).get(ID.name)
        return event_id is not None and hash(event_id) == mark
    found = digests(_of_the_event(record), {})
    return all(part in found and hash(found[part]) == known for part, known in mark)


def read_letter(record: Record) -> Letter | None:
    """None if the record is not a letter of ours: a note, or a foreign record."""
    written = dict(record.headers)
    headers = {name: (value or b"").decode(errors="replace") for name, value in written.items()}
    partition, offset = _number(written.get(PREFIX + "partition")), _number(written.get(PREFIX + "offset"))
    if partition is None or offset is None:
        return None
    return Letter(
        record,
        partition,
        offset,
        headers.get(PREFIX + "stage", ""),
        headers.get(PREFIX + "exception.class.name", ""),
        headers.get(PREFIX + "exception.message", ""),
        left_out_of(headers),
    )


def _number(text: bytes | None) -> int | None:
    """Of up to 18 digits: Python refuses to read a number of thousands."""
    return int(text) if text is not None and text.isdigit() and len(text) <= _DIGITS_MAX else None


def settled_note(letter: Letter, settled: Settled, topics: Topics) -> Outgoing:
    """The note that says how a letter was settled, or that it is open again."""
    headers = [(SETTLED_HEADER, settled.value.encode()), (OFFSET_HEADER, str(letter.record.offset).encode())]
    return Outgoing(topics.dlq, letter.record.key, None, headers, letter.record.partition)


def read_note(record: Record) -> tuple[Settled, int] | None:
    """What a note says, and the offset of its letter in the note's partition. None if the record is no note of ours."""
    headers = dict(record.headers)
    settled, offset = (headers.get(SETTLED_HEADER) or b"").decode(errors="replace"), _number(headers.get(OFFSET_HEADER))
    return (Settled(settled), offset) if settled in list(Settled) and offset is not None else None
