"""What each event of a batch does to the orders. Pure: no client library, no clock.

This is the rule of the whole system: an event's outcome depends on the event and on the row of its key before it, and
on nothing else. So a replay decides the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from order_upsert.consumer.decode import read_order
from order_upsert.consumer.record import Decoded, Event, Key, Rejected, Unread
from order_upsert.contracts.partitioner import partition_of
from order_upsert.contracts.result import Outcome
from order_upsert.contracts.topics import UPSERT_PARTITIONS


@dataclass(slots=True)
class RowState:
    """What the fold needs to know of a row."""

    partition: int
    offset: int
    content_hash: bytes


@dataclass(slots=True)
class Folded:
    """`outcomes` of the records that belong to a request, in order; `changed`: the last state of each changed key."""

    outcomes: list[tuple[Decoded, Outcome]] = field(default_factory=list)
    changed: dict[Key, Event] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


def fold(records: Iterable[Decoded], rows: Mapping[Key, RowState]) -> Folded:
    """Applies `records`, in offset order in each partition, over `rows`, the rows of their keys that exist."""
    folded = Folded()
    states = dict(rows)
    for decoded in records:
        row = None if isinstance(decoded, Rejected) else states.get(decoded.key)
        checked = _checked(decoded, row)
        if isinstance(checked, Rejected):
            folded.rejected.append(checked)
            if checked.context is not None:
                folded.outcomes.append((checked, Outcome.INVALID))
            continue
        outcome = _outcome(checked, row)
        folded.outcomes.append((checked, outcome))
        if isinstance(checked, Event) and outcome in (Outcome.INSERTED, Outcome.UPDATED):
            folded.changed[checked.key] = checked
            states[checked.key] = RowState(checked.record.partition, checked.record.offset, checked.content_hash)
    return folded


def _checked(decoded: Decoded, row: RowState | None) -> Decoded:
    """Held to everything that makes a record an event. Only the row's own value, in its partition, may stay unread."""
    if isinstance(decoded, Unread):
        if row is not None and decoded.value_hash == row.content_hash and decoded.record.partition == row.partition:
            return decoded
        decoded = read_order(decoded)
    return _unless_misplaced(decoded, row) if isinstance(decoded, Event) else decoded


def _outcome(event: Event | Unread, row: RowState | None) -> Outcome:
    if row is None:
        return Outcome.INSERTED
    if event.record.offset <= row.offset:
        return Outcome.STALE
    if isinstance(event, Unread) or event.content_hash == row.content_hash:
        return Outcome.UNCHANGED
    return Outcome.UPDATED


def _unless_misplaced(event: Event, row: RowState | None) -> Decoded:
    """Offsets of two partitions cannot be compared: a writer with another partitioner would break the order (P4).

    Where there is a row, its events passed this check, so that the key need not be hashed again.
    """
    home = row.partition if row else partition_of(event.record.key or b"", UPSERT_PARTITIONS)
    if event.record.partition == home:
        return event
    reason = (
        f"this key belongs into partition {home}, not {event.record.partition}: "
        "write with the partitioner murmur2_random (the default of Java's producer)"
    )
    return Rejected(event.record, event.context, "TRANSFORMATION", "MisplacedKey", reason)
