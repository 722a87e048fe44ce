"""The batches in which records are applied. A batch keeps its records as columns, and knows them by their position.

What every record needs is done for whole columns; what the events of a request share is done once for each run. Only
the records that need it become objects. Parts of a batch share its columns and differ in their runs.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from consumer.core.record import DAY_MS, Decoded, Event, OrderKey, Record, Rejected, Unread, utc_day
from contracts.event import EventContext, Headers

Value = TypeVar("Value")
Head = tuple[str, bytes | None]
NO_HEAD: Head = ("", None)
"""This very object, of a record whose first header is not kept by itself."""


@dataclass(slots=True)
class Run:
    """Consecutive records of one partition that belong to one request, or to none. `positions`: never empty."""

    context: EventContext | None
    partition: int
    positions: Sequence[int]

    def of(self, column: list[Value]) -> Sequence[Value]:
        """The part of the column that belongs to the run."""
        at = self.positions
        return column[at.start : at.stop] if type(at) is range else [column[position] for position in at]


@dataclass(slots=True)
class Columns:
    """Decoded records. Position i of every list belongs to one record; see `Record` and `Unread` for the fields.

    The headers of a record are its `heads` and its `shared`; most records of a run have the same `shared`.
    `texts`: the fields of the order in the format of COPY; None if the order is not read yet.
    `objects`: the records whose columns do not say all, by position. Their objects count. Each of the others has the
    offset of its record as its place.
    """

    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    record_keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    leader_epochs: list[int | None] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    shared: list[Headers] = field(default_factory=list)
    contexts: list[EventContext | None] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    keys: list[OrderKey | None] = field(default_factory=list)
    """None for a record that is rejected."""
    value_hashes: list[bytes] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    objects: dict[int, Decoded] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def record(self, position: int) -> Record:
        head = self.heads[position]
        return Record(
            self.partitions[position],
            self.offsets[position],
            self.times_ms[position],
            self.record_keys[position],
            self.values[position],
            self.shared[position] if head is NO_HEAD else [head, *self.shared[position]],
            self.leader_epochs[position],
        )

    def time(self, position: int) -> datetime:
        """When the broker appended the record."""
        return datetime.fromtimestamp(self.times_ms[position] / 1000, UTC)

    def decoded(self, position: int) -> Decoded:
        return self.objects.get(position) or self.unread(position)

    def unread(self, position: int) -> Unread:
        """The object of a record whose columns say all."""
        context, key, value = self.contexts[position], self.keys[position], self.values[position]
        assert context is not None
        assert key is not None
        assert value is not None
        record = self.record(position)
        return Unread(record, context, self.indexes[position], key, record.offset, value, self.value_hashes[position])

    def event(self, position: int) -> Event:
        """The object of a record whose order is read."""
        item = self.decoded(position)
        if isinstance(item, Event):
            return item
        text = self.texts[position]
        assert isinstance(item, Unread)
        assert text is not None
        return Event(item.record, item.context, item.index, item.key, item.place, item.value, item.value_hash, text)

    def put(self, position: int, item: Decoded) -> None:
        """From now on, the object counts."""
        self.objects[position] = item
        self.contexts[position] = item.context
        self.indexes[position] = item.index
        self.keys[position] = None if isinstance(item, Rejected) else item.key

    def find_runs(self, first: int) -> None:
        """Groups the records from position `first` on."""
        identities = map(id, self.contexts[first:])
        for (_, partition), alike in groupby(zip(identities, self.partitions[first:], strict=True)):
            end = first + len(list(alike))
            context, last = self.contexts[first], self.runs[-1] if self.runs else None
            if last is not None and last.context is context and last.partition == partition:
                last.positions = range(last.positions[0], end)
            else:
                self.runs.append(Run(context, partition, range(first, end)))
            first = end


@dataclass(frozen=True)
class Batch:
    """Records in the order in which they arrived: ordered by offset within each partition.

    `starts`: for each partition of the batch, the offset from which on no record is missing. Every offset from there to
    the last record is in the batch, or is not a record (the marker of a transaction).
    """

    columns: Columns
    runs: Sequence[Run]
    starts: dict[int, int]

    @classmethod
    def of(cls, items: Iterable[Decoded], starts: dict[int, int]) -> "Batch":
        """A batch of records that are objects already."""
        columns = Columns()
        for position, item in enumerate(items):
            record = item.record
            columns.partitions.append(record.partition)
            columns.offsets.append(record.offset)
            columns.times_ms.append(record.time_ms)
            columns.record_keys.append(record.key)
            columns.values.append(record.value)
            columns.leader_epochs.append(record.leader_epoch)
            columns.heads.append(NO_HEAD)
            columns.shared.append(record.headers)
            columns.contexts.append(None)
            columns.indexes.append(0)
            columns.keys.append(None)
            columns.value_hashes.append(b"")
            columns.texts.append(None)
            columns.put(position, item)
        columns.find_runs(0)
        return cls(columns, columns.runs, starts)

    def __len__(self) -> int:
        return sum(len(run.positions) for run in self.runs)

    @property
    def items(self) -> list[Decoded]:
        """Every record as an object."""
        return [self.columns.decoded(position) for run in self.runs for position in run.positions]

    def column(self, column: list[Value]) -> list[Value]:
        """The part of the column that belongs to the batch."""
        return [value for run in self.runs for value in run.of(column)]

    @property
    def objects(self) -> list[tuple[int, Decoded]]:
        """The records that are objects, with their positions."""
        objects = self.columns.objects
        if not objects:
            return []
        return [(at, objects[at]) for run in self.runs for at in run.positions if at in objects]

    @property
    def ends(self) -> dict[int, int]:
        """For each partition, the offset after its last record."""
        return {run.partition: self.columns.offsets[run.positions[-1]] + 1 for run in self.runs}

    @cached_property
    def lasts(self) -> dict[int, Record]:
        """The last record of each partition."""
        positions = {run.partition: run.positions[-1] for run in self.runs}
        return {partition: self.columns.record(position) for partition, position in positions.items()}

    @cached_property
    def days(self) -> list[date]:
        """The days, in UTC, on which the records were appended."""
        times_ms = set(self.column(self.columns.times_ms))
        return [utc_day(day) for day in {time_ms // DAY_MS for time_ms in times_ms}]

    def of_runs(self, runs: Sequence[Run]) -> "Batch":
        return Batch(self.columns, runs, self.starts)

    def cut(self, size: int) -> tuple["Batch", "Batch"]:
        """The first `size` records, and the others."""
        first, rest, left = list[Run](), list[Run](), size
        for run in self.runs:
            head, tail = run.positions[: max(0, left)], run.positions[max(0, left) :]
            first += [Run(run.context, run.partition, head)] if head else []
            rest += [Run(run.context, run.partition, tail)] if tail else []
            left -= len(run.positions)
        batch = self.of_runs(first)
        return batch, Batch(self.columns, rest, {**self.starts, **batch.ends})

    def without(self, partitions: Collection[int]) -> "Batch":
        """The batch without the records of these partitions."""
        if not partitions:
            return self
        kept = [run for run in self.runs if run.partition not in partitions]
        starts = {partition: start for partition, start in self.starts.items() if partition not in partitions}
        return Batch(self.columns, kept, starts)

    def split(self, offsets: Mapping[int, int]) -> tuple["Batch", "Batch"]:
        """The records below these offsets of their partitions, and the others. All of a partition that has none."""
        below, rest = list[Run](), list[Run]()
        offset_at = self.columns.offsets.__getitem__
        for run in self.runs:
            end = offsets.get(run.partition, math.inf)
            if offset_at(run.positions[0]) >= end:
                rest.append(run)
            elif offset_at(run.positions[-1]) < end:
                below.append(run)
            else:
                count = bisect_left(run.positions, end, key=offset_at)
                below.append(Run(run.context, run.partition, run.positions[:count]))
                rest.append(Run(run.context, run.partition, run.positions[count:]))
        return self.of_runs(below), self.of_runs(rest)

    def below(self, offsets: Mapping[int, int]) -> "Batch":
        """The batch without the records at or above these offsets of their partitions."""
        starts = {p: start for p, start in self.starts.items() if start < offsets.get(p, math.inf)}
        return Batch(self.columns, self.split(offsets)[0].runs, starts)
