"""Decides what each event of a batch does to the orders. Pure: no client library, no clock.

This is the rule of the whole system: the outcome of an event depends only on the event and on the row of its key before
it. So a replay decides the same.
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
    """The columns of a row that the fold needs."""

    partition: int
    place: int
    content_hash: bytes


@dataclass(slots=True)
class Folded:
    """The result of a fold.

    `outcomes`: those of the records that belong to a request, in order.
    `changed`: for each key whose row changes, the event that becomes the row.
    `rejected`: the records that become dead letters.
    `letters`: for each key whose newest dead letter changes, its offset; None if the letter no longer counts.
    """

    outcomes: list[tuple[Decoded, Outcome]] = field(default_factory=list)
    changed: dict[OrderKey, Event] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    letters: dict[OrderKey, int | None] = field(default_factory=dict)


def fold(
    records: Sequence[Decoded], rows: Mapping[OrderKey, RowState], letters: Mapping[OrderKey, int] | None = None
) -> Folded:
    """Applies `records`, ordered by offset within each partition, to `rows`, the existing rows of their keys.

    `letters`: the offset of the newest dead letter of a key, if it is newer than the row. For such a key, an event with
    the value of the row also moves the offset of the row. Otherwise the letter would look newer than the row when it is
    redriven, although the event came after it.
    """
    folded = Folded()
    states = dict(rows)
    letters = letters or {}
    homes = _homes(records, rows)
    for decoded in records:
        row = None if isinstance(decoded, Rejected) else states.get(decoded.key)
        letter = _letter(decoded.key, folded.letters, letters) if letters or folded.letters else None
        checked = _check(decoded, row, letter, homes)
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
    """The offset of the newest open letter of a key."""
    return None if key is None else noted.get(key, letters.get(key))


def _note_letter(
    noted: dict[OrderKey, int | None],
    rejected: Rejected,
    letters: Mapping[OrderKey, int],
    states: Mapping[OrderKey, RowState],
) -> None:
    """Notes the place of an event that may be redriven, unless it is in another partition than that of its key."""
    key, partition = rejected.key, rejected.record.partition
    if key is None or partition != partition_of(rejected.record.key or b"", UPSERT_PARTITIONS):
        return
    row, known = states.get(key), _letter(key, noted, letters)
    if (row is None or row.place < rejected.place) and (known is None or known < rejected.place):
        noted[key] = rejected.place


def _homes(records: Iterable[Decoded], rows: Mapping[OrderKey, RowState]) -> dict[bytes, int]:
    """The partition of each Kafka key without a row. For a key with a row, `_reject_misplaced` looks at the row."""
    new = (item for item in records if not isinstance(item, Rejected) and item.key not in rows)
    return partitions_of({item.record.key or b"" for item in new}, UPSERT_PARTITIONS)


def _check(decoded: Decoded, row: RowState | None, letter: int | None, homes: Mapping[bytes, int]) -> Decoded:
    """Checks that the record is an event. Only a value equal to that of the row, in its partition, may stay unread."""
    if isinstance(decoded, Unread):
        is_the_rows = row and decoded.value_hash == row.content_hash and decoded.record.partition == row.partition
        if is_the_rows and letter is None:
            return decoded
        decoded = read_order(decoded)
    return _reject_misplaced(decoded, row, homes) if isinstance(decoded, Event) else decoded


def _outcome(event: Event | Unread, row: RowState | None) -> Outcome:
    if row is None:
        return Outcome.INSERTED
    if event.place <= row.place or event.is_foreign:
        return Outcome.STALE
    if isinstance(event, Unread) or event.content_hash == row.content_hash:
        return Outcome.UNCHANGED
    return Outcome.UPDATED


def _reject_misplaced(event: Event, row: RowState | None, homes: Mapping[bytes, int]) -> Decoded:
    """Rejects an event in the wrong partition. Offsets of two partitions cannot be compared, so a writer with another
    partitioner would break the order of events (P4).

    If the key has a row, the events of the row passed this check, and the key need not be hashed again.
    """
    home = row.partition if row else homes[event.record.key or b""]
    if event.record.partition == home:
        return event
    reason = (
        f"this key belongs in partition {home}, not {event.record.partition}: "
        "write with the partitioner murmur2_random (the default of Java's producer)"
    )
    return event.rejected(Stage.TRANSFORMATION, "MisplacedKey", reason)
