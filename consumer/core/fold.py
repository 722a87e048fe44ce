"""What each event of a batch does to the orders. Pure: no client library, no clock.

This is the rule of the whole system: an event's outcome depends on the event and on the row of its key before it, and
on nothing else. So a replay decides the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.core.decode import read_order
from consumer.core.record import Decoded, Event, OrderKey, Rejected, Stage, Unread
from contracts.partitioner import partition_of, partitions_of
from contracts.result import Outcome
from contracts.topics import UPSERT_PARTITIONS

_CHANGES = Outcome.INSERTED, Outcome.UPDATED


@dataclass(slots=True)
class RowState:
    """What the fold needs to know of a row."""

    partition: int
    place: int
    content_hash: bytes


@dataclass(slots=True)
class Folded:
    """`outcomes` of the records that belong to a request, in order; `changed`: the last state of each changed key.

    `letters`: keys of which the newest dead letter is another one now, None where it does not count any more.
    """

    outcomes: list[tuple[Decoded, Outcome]] = field(default_factory=list)
    changed: dict[OrderKey, Event] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    letters: dict[OrderKey, int | None] = field(default_factory=dict)


def fold(
    records: Sequence[Decoded], rows: Mapping[OrderKey, RowState], letters: Mapping[OrderKey, int] | None = None
) -> Folded:
    """Applies `records`, in offset order in each partition, over `rows`, the rows of their keys that exist.

    `letters`: the offset of the newest dead letter of a key, where it is newer than the row. An event with the row's
    own value then moves the row's offset, which it need not do else: without that, the letter could not be told to be
    the older one when it is redriven.
    """
    folded = Folded()
    states = dict(rows)
    letters = letters or {}
    homes = _homes(records, rows)
    for decoded in records:
        row = None if isinstance(decoded, Rejected) else states.get(decoded.key)
        letter = _letter(decoded.key, folded.letters, letters) if letters or folded.letters else None
        checked = _checked(decoded, row, letter, homes)
        if isinstance(checked, Rejected):
            folded.rejected.append(checked)
            _note_letter(folded.letters, checked, letters, states)
            if checked.context is not None:
                folded.outcomes.append((checked, Outcome.INVALID))
            continue
        outcome = _outcome(checked, row)
        folded.outcomes.append((checked, outcome))
        moves = outcome in _CHANGES or (outcome is Outcome.UNCHANGED and letter is not None)
        if moves and isinstance(checked, Event):
            folded.changed[checked.key] = checked
            states[checked.key] = RowState(checked.record.partition, checked.place, checked.content_hash)
            if letter is not None and letter <= checked.place:
                folded.letters[checked.key] = None
    return folded


def _letter(key: OrderKey | None, noted: Mapping[OrderKey, int | None], letters: Mapping[OrderKey, int]) -> int | None:
    """Where the newest open letter of a key stands."""
    return None if key is None else noted.get(key, letters.get(key))


def _note_letter(
    noted: dict[OrderKey, int | None],
    rejected: Rejected,
    letters: Mapping[OrderKey, int],
    states: Mapping[OrderKey, RowState],
) -> None:
    """Remembers where an event stands that may be redriven; not one whose place says nothing in its key's partition."""
    key, partition = rejected.key, rejected.record.partition
    if key is None or partition != partition_of(rejected.record.key or b"", UPSERT_PARTITIONS):
        return
    row, known = states.get(key), _letter(key, noted, letters)
    if (row is None or row.place < rejected.place) and (known is None or known < rejected.place):
        noted[key] = rejected.place


def _homes(records: Iterable[Decoded], rows: Mapping[OrderKey, RowState]) -> dict[bytes, int]:
    """The partition of each Kafka key that has no row: where there is a row, `_unless_misplaced` asks that."""
    new = (item for item in records if not isinstance(item, Rejected) and item.key not in rows)
    return partitions_of({item.record.key or b"" for item in new}, UPSERT_PARTITIONS)


def _checked(decoded: Decoded, row: RowState | None, letter: int | None, homes: Mapping[bytes, int]) -> Decoded:
    """Held to everything that makes a record an event. Only the row's own value, in its partition, may stay unread."""
    if isinstance(decoded, Unread):
        is_the_rows = row and decoded.value_hash == row.content_hash and decoded.record.partition == row.partition
        if is_the_rows and letter is None:
            return decoded
        decoded = read_order(decoded)
    return _unless_misplaced(decoded, row, homes) if isinstance(decoded, Event) else decoded


def _outcome(event: Event | Unread, row: RowState | None) -> Outcome:
    if row is None:
        return Outcome.INSERTED
    if event.place <= row.place or event.is_foreign:
        return Outcome.STALE
    if isinstance(event, Unread) or event.content_hash == row.content_hash:
        return Outcome.UNCHANGED
    return Outcome.UPDATED


def _unless_misplaced(event: Event, row: RowState | None, homes: Mapping[bytes, int]) -> Decoded:
    """Offsets of two partitions cannot be compared: a writer with another partitioner would break the order (P4).

    Where there is a row, its events passed this check, so that the key need not be hashed again.
    """
    home = row.partition if row else homes[event.record.key or b""]
    if event.record.partition == home:
        return event
    reason = (
        f"this key belongs into partition {home}, not {event.record.partition}: "
        "write with the partitioner murmur2_random (the default of Java's producer)"
    )
    return event.rejected(Stage.TRANSFORMATION, "MisplacedKey", reason)
