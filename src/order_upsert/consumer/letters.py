"""What stands in the dead-letter topic: letters, and notes that a letter was dealt with.

A letter stays for ever: it is the record of the decision not to apply an event, and a replay needs it. That it was
redriven or discarded is a record of its own behind it, in the same partition.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from order_upsert.consumer.dlq import PREFIX
from order_upsert.consumer.producer import Outgoing
from order_upsert.consumer.record import Record
from order_upsert.contracts.partner import PARTNER_ID
from order_upsert.contracts.topics import Topics

_SETTLED_HEADER = "orders_letter_settled"
_OFFSET_HEADER = "orders_letter_offset"


class Settled(StrEnum):
    """What was done about a letter."""

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
        """How it is named on the command line: partition and offset in the dead-letter topic."""
        return f"{self.record.partition}:{self.record.offset}"

    @property
    def partner_id(self) -> str | None:
        """None where the event does not say it in a way that can be read."""
        source = dict(self.record.headers).get("ce_source") or b""
        partner = source.decode(errors="replace").removeprefix("/partners/")
        return partner if PARTNER_ID.fullmatch(partner) else None

    @property
    def order_id(self) -> str | None:
        """The key of the event, as text."""
        return None if self.record.key is None else self.record.key.decode(errors="replace")


def read_letter(record: Record) -> Letter | None:
    """None where the record is no letter of ours: a note, or something foreign."""
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
    """The record that says what was done about a letter."""
    headers = [(_SETTLED_HEADER, settled.value.encode()), (_OFFSET_HEADER, str(letter.record.offset).encode())]
    return Outgoing(topics.dlq, letter.record.key, None, headers, letter.record.partition)


class LetterBox:
    """Letters in the order in which they were read, with what was done about each.

    The same event may have two letters, where a consumer died between its acknowledgement and the commit.
    """

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self._settled: dict[tuple[int, int], Settled] = {}

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            letter = read_letter(record)
            if letter is not None:
                self.letters.append(letter)
                continue
            headers = dict(record.headers)
            settled, offset = headers.get(_SETTLED_HEADER), headers.get(_OFFSET_HEADER) or b""
            if settled in (b"redriven", b"discarded") and offset.isdigit():
                self._settled[record.partition, int(offset)] = Settled(settled.decode())

    def settled(self, letter: Letter) -> Settled | None:
        """None while nothing was done about it."""
        return self._settled.get((letter.record.partition, letter.record.offset))
