"""Decides what each event of a batch does to the orders. Pure: no client library, no clock.

This is the rule of the whole system: the outcome of an event depends only on the event and on the row of its key before
it. So a replay decides the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consumer.core.batch import Batch, Columns
from consumer.core.decode import read_order
from consumer.core.record import Decoded, Event, OrderKey, Rejected, Stage, Unread
from consumer.core.row_text import canonical_text
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

    `outcomes`: one for each record of the batch, in order. That of a record without a request means nothing.
    `changed`: for each key whose row changes, the position of the event that becomes the row.
    `rejected`: the records that become dead letters.
    `letters`: for each key whose newest dead letter changes, its offset; None if the letter no longer counts.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    changed: dict[OrderKey, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    letters: dict[OrderKey, int | None] = field(default_factory=dict)


def fold(batch: Batch, rows: Mapping[OrderKey, RowState], letters: Mapping[OrderKey, int] | None = None) -> Folded:
    """Applies the events of the batch to `rows`, the existing rows of their keys.

    `letters`: the offset of the newest dead letter of a key, if it is newer than the row. For such a key, an event with
    the value of the row also moves the offset of the row. Otherwise the letter would look newer than the row when it is
    redriven, although the event came after it.

    Orders that are read become part of the batch's columns.
    """
    columns = batch.columns
    keys, record_keys, values, texts = columns.keys, columns.record_keys, columns.values, columns.texts
    offsets, value_hashes, objects = columns.offsets, columns.value_hashes, columns.objects
    folding = _Folding(batch, rows, letters or {})
    folded, homes = folding.folded, folding.homes
    changed, note = folded.changed, folded.outcomes.append
    for run in batch.runs:
        partition = run.partition
        for position in run.positions:
            if position in objects or letters or folded.letters:
                note(folding.outcome(position))
                continue
            key, value = keys[position], values[position]
            assert key is not None
            assert value is not None
            row = folding.row(key) if key in changed else rows.get(key)
            if row is not None and value_hashes[position] == row.content_hash and partition == row.partition:
                note(Outcome.UNCHANGED if offsets[position] > row.place else Outcome.STALE)
                continue
            text = texts[position]
            if text is None:
                text = texts[position] = canonical_text(value, key[1])
            if text is None or partition != (homes[record_keys[position] or b""] if row is None else row.partition):
                note(folding.outcome(position))
            elif row is None:
                changed[key] = position
                note(Outcome.INSERTED)
            elif offsets[position] > row.place:
                changed[key] = position
                note(Outcome.UPDATED)
            else:
                note(Outcome.STALE)
    return folded


class _Folding:
    """The rules for one record, whatever it is. `fold` does the same for records whose columns say all."""

    def __init__(self, batch: Batch, rows: Mapping[OrderKey, RowState], letters: Mapping[OrderKey, int]) -> None:
        self.folded = Folded()
        self.homes = _homes(batch, rows)
        self._columns = batch.columns
        self._rows = rows
        self._letters = letters

    def row(self, key: OrderKey) -> RowState | None:
        """The row of the key as the events before have left it."""
        position = self.folded.changed.get(key)
        return self._rows.get(key) if position is None else row_state(self._columns, position)

    def outcome(self, position: int) -> Outcome:
        """Decides about one record, and notes everything but its outcome."""
        decoded, folded = self._columns.decoded(position), self.folded
        row = None if isinstance(decoded, Rejected) else self.row(decoded.key)
        letter = self._letter(decoded.key)
        checked = _check(decoded, row, letter, self.homes)
        if isinstance(checked, Rejected):
            folded.rejected.append(checked)
            self._note_letter(checked)
            return Outcome.INVALID
        outcome = _outcome(checked, row)
        moves = outcome in _CHANGES or (outcome is Outcome.UNCHANGED and letter is not None)
        if moves and isinstance(checked, Event):
            self._columns.objects[position] = checked
            folded.changed[checked.key] = position
            if letter is not None and letter <= checked.place:
                folded.letters[checked.key] = None
        return outcome

    def _letter(self, key: OrderKey | None) -> int | None:
        """The offset of the newest open letter of a key."""
        return None if key is None else self.folded.letters.get(key, self._letters.get(key))

    def _note_letter(self, rejected: Rejected) -> None:
        """Notes the place of an event that may be redriven, unless it is in another partition than that of its key."""
        key, partition = rejected.key, rejected.record.partition
        if key is None or partition != partition_of(rejected.record.key or b"", UPSERT_PARTITIONS):
            return
        row, known = self.row(key), self._letter(key)
        if (row is None or row.place < rejected.place) and (known is None or known < rejected.place):
            self.folded.letters[key] = rejected.place


def row_state(columns: Columns, position: int) -> RowState:
    """The row that an event becomes."""
    item = columns.objects.get(position)
    if isinstance(item, Event):
        return RowState(item.record.partition, item.place, item.content_hash)
    return RowState(columns.partitions[position], columns.offsets[position], columns.value_hashes[position])


def _homes(batch: Batch, rows: Mapping[OrderKey, RowState]) -> dict[bytes, int]:
    """The partition of each Kafka key without a row. For a key with a row, `_reject_misplaced` looks at the row."""
    keys, record_keys = batch.column(batch.columns.keys), batch.column(batch.columns.record_keys)
    if rows or batch.columns.objects:
        record_keys = [written for key, written in zip(keys, record_keys, strict=True) if key and key not in rows]
    return partitions_of({written or b"" for written in set(record_keys)}, UPSERT_PARTITIONS)


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
