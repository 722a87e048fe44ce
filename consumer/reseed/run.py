"""A reseed from its plan to the open fences. It can be ended at any moment; the next run goes on where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from psycopg import sql

from consumer.core.record import Outgoing, Record
from consumer.errors import ConsumerStoppedError
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_reader import TopicReader
from consumer.postgres.connection import Connection
from consumer.replay.compare import Difference, differences
from consumer.replay.engine import OnProgress
from consumer.replay.schema import connected, open_schema
from consumer.replay.schemas import drop_schema
from consumer.replay.workers import catch_up, workers_default
from consumer.reseed import work
from consumer.reseed.divergence import KnownEvents
from consumer.reseed.plan import Plan, count_rows
from consumer.settings import ConsumerSettings
from contracts.halt import Halt, encode_halt, halt_key
from contracts.topics import UPSERT_PARTITIONS

BeginPhase = Callable[[str, int], OnProgress]
"""Called with what is done now and of how many; returns what to call as they are done."""


@dataclass(slots=True)
class Result:
    """`orders`: those that got an event. `again`: new events that were published once more behind them.

    `applied`: events that got a letter, because they were applied before. `unwritable`: keys of invalid rows.
    """

    orders: int = 0
    again: int = 0
    applied: int = 0
    unwritable: list[tuple[str, str]] = field(default_factory=list)


def explain(settings: ConsumerSettings, plan: Plan, begin_phase: BeginPhase) -> bool:
    """Replays what is left of the log into a schema of its own. False if nothing is left: no row is explained."""
    ends = {part.partition: part.before for part in plan.partitions}
    starts = {part.partition: part.log_start for part in plan.partitions}
    events = sum(ends.values()) - sum(starts.values())
    if not events:
        return False
    open_schema(settings.postgres_url, work.RESEED_SCHEMA)
    with connected(settings.postgres_url) as connection:
        for partition, start in starts.items():
            connection.execute(
                sql.SQL("UPDATE {} SET next_offset = %s WHERE partition = %s AND next_offset < %s").format(
                    sql.Identifier(work.RESEED_SCHEMA, "consumer_partition")
                ),
                [start, partition, start],
            )
    advance = begin_phase("replaying what is left of the topic", events)
    catch_up(settings, work.RESEED_SCHEMA, ends, workers_default(), None, advance)
    return True


def read_differences(connection: Connection, is_replayed: bool) -> Iterator[Difference] | None:
    """The rows that the topic does not explain; None for all rows. Inside of a transaction with one snapshot."""
    return differences(connection, work.RESEED_SCHEMA) if is_replayed else None


def count_unexplained(connection: Connection, is_replayed: bool) -> tuple[int, int]:
    """How many rows the topic does not explain, and how many orders of the topic have no row."""
    if not is_replayed:
        return count_rows(connection), 0
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = missing = 0
        for difference in differences(connection, work.RESEED_SCHEMA):
            missing += difference.live is None
            rows += difference.live is not None
    return rows, missing


def tell_ingresses(settings: ConsumerSettings, producer: AcknowledgedProducer) -> None:
    """They answer 503 until a consumer has found the log right."""
    now = datetime.now(UTC)
    halts = [Halt(partition, "The tables are being reseeded.", now) for partition in range(UPSERT_PARTITIONS)]
    producer.send(Outgoing(settings.topics.halts, halt_key(halt.partition), encode_halt(halt), (), 0) for halt in halts)


def write(
    settings: ConsumerSettings, connection: Connection, producer: AcknowledgedProducer, begin_phase: BeginPhase
) -> Result:
    """Publishes everything that is not published yet, opens the fences, and removes what the reseed has made."""
    writer = work.Writer(connection, producer, settings.topics)
    result = Result(orders=writer.left())
    known = KnownEvents(connection, settings.ledger_days)
    parts = connection.execute("SELECT partition, before_offset, end_offset, topic, topic_id FROM reseed").fetchall()
    with closing(TopicReader(settings, settings.topics.upserts)) as reader:
        for partition, before, end, _, _ in parts:
            for records in _read(reader, partition, before, end):
                applied = known.applied_among(records)
                writer.write_letters(applied)
                result.applied += len(applied)
        advance = begin_phase("writing orders", result.orders)
        for partition, *_ in parts:
            result.unwritable += writer.write_rows(partition, advance)
        for partition, before, end, _, _ in parts:
            for records in _read(reader, partition, before, end):
                applied_ids = {id(record) for record in known.applied_among(records)}
                result.again += writer.write_again([record for record in records if id(record) not in applied_ids])
        lasts = _last_records(reader, {partition: before for partition, before, *_ in parts})
    (topic, topic_id), *_ = {(topic, topic_id) for *_, topic, topic_id in parts}
    work.finish(connection, (topic, topic_id), lasts)
    drop_schema(settings.postgres_url, work.RESEED_SCHEMA)
    return result


def require_stopped(is_running: bool) -> None:
    """Raises ConsumerStoppedError if the consumer group has members."""
    if is_running:
        raise ConsumerStoppedError(
            "Consumers are running. Stop all consumers, and everybody else who writes to the topic. Then run this "
            "again. Nothing was changed."
        )


def _read(reader: TopicReader, partition: int, start: int, end: int) -> Iterator[Sequence[Record]]:
    if start < end:
        for chunk in reader.read({partition: start}, {partition: end}):
            yield chunk.records


def _last_records(reader: TopicReader, befores: dict[int, int]) -> dict[int, Record]:
    firsts, ends = reader.bounds(befores)
    wanted = {
        partition: before for partition, before in befores.items() if firsts[partition] < before <= ends[partition]
    }
    chunks = reader.read({partition: before - 1 for partition, before in wanted.items()}, wanted)
    return {record.partition: record for chunk in chunks for record in chunk.records}
