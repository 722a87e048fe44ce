"""What a reseed would do: up to where each partition's log is the one that was applied, and which orders it lacks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from psycopg import sql

from consumer.core.log_mark import Watermark, record_hash
from consumer.core.record import Record
from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_reader import TopicReader
from consumer.postgres.connection import Connection
from consumer.postgres.fence import read_watermarks
from consumer.reseed.divergence import KnownEvents, find_divergence, read_anchors
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """`log_start`: the first record. `before`: the records below it were applied. `end`: where the log ends.

    `fence`: up to where events were applied. `applied`: how many of the records from `before` on were applied before,
    from another place; the others are new.
    """

    partition: int
    fence: int
    log_start: int
    before: int
    end: int
    applied: int

    @property
    def is_intact(self) -> bool:
        return self.before == self.fence and self.log_start == 0


@dataclass(slots=True)
class Plan:
    """`source`: (topic, topic id) as Kafka has it now."""

    source: tuple[str, str]
    partitions: list[PartitionPlan] = field(default_factory=list)


def make_plan(
    settings: ConsumerSettings,
    connection: Connection,
    source: tuple[str, str],
    is_same_topic: bool,
    on_progress: Callable[[int], None],
) -> Plan:
    """Reads only. `on_progress` is called with each partition that is done. Raises ConsumerError."""
    plan = Plan(source)
    watermarks = read_watermarks(connection)
    with closing(TopicReader(settings, settings.topics.upserts)) as reader:
        firsts, ends = reader.bounds(range(UPSERT_PARTITIONS))
        for partition in range(UPSERT_PARTITIONS):
            look = _Look(settings, connection, reader, partition, firsts[partition], ends[partition])
            plan.partitions.append(look.plan(watermarks[partition], is_same_topic))
            on_progress(partition)
    return plan


class _Look:
    """At one partition."""

    def __init__(
        self,
        settings: ConsumerSettings,
        connection: Connection,
        reader: TopicReader,
        partition: int,
        first: int,
        end: int,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._partition = partition
        self._first = first
        self._end = end
        self._known = KnownEvents(connection, settings.ledger_days)

    def plan(self, watermark: Watermark, is_same_topic: bool) -> PartitionPlan:
        fence, first = watermark.next_offset, self._first
        if is_same_topic and self._is_intact(watermark):
            return PartitionPlan(self._partition, fence, first, fence, self._end, 0)
        end = min(fence, self._end)
        anchors = read_anchors(self._connection, self._partition, end)
        before = find_divergence(anchors, self._record_at, first, end, self._known.are_known, self._read)
        applied = 0
        for records in self._read(before, self._end):
            self._require_told_apart(records)
            applied += len(self._known.applied_among(records))
        return PartitionPlan(self._partition, fence, first, before, self._end, applied)

    def _is_intact(self, watermark: Watermark) -> bool:
        if not self._first <= watermark.next_offset <= self._end:
            return False
        if watermark.mark is None or watermark.next_offset == self._first:
            return True
        record = self._record_at(watermark.next_offset - 1)
        return record is None or record_hash(record) == watermark.mark.record_hash

    def _require_told_apart(self, records: Sequence[Record]) -> None:
        forgotten = next((record for record in records if self._known.is_forgotten(record)), None)
        if forgotten is not None:
            raise ConsumerStoppedError(
                f"The record at offset {forgotten.offset} of partition {self._partition} is not where the tables know "
                "it, and is so old that the ledger cannot tell whether it was applied. Reseed into an empty topic: set "
                "another ORDERS_TOPIC_PREFIX, run `orders setup`, then `orders reseed`. Nothing was changed."
            )

    def _record_at(self, offset: int) -> Record | None:
        if not self._first <= offset < self._end:
            return None
        return next((record for records in self._read(offset, offset + 1) for record in records), None)

    def _read(self, start: int, end: int) -> Iterator[Sequence[Record]]:
        if start < end:
            for chunk in self._reader.read({self._partition: start}, {self._partition: end}):
                yield chunk.records


def count_rows(connection: Connection, table: str = "orders") -> int:
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    return 0 if found is None else int(found[0])
