"""The steps of a reseed that change something. Each can be ended at any moment and done again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from uuid import UUID, uuid4, uuid5

from psycopg import sql

from consumer.core.decode import decode
from consumer.core.log_mark import Watermark, mark_of
from consumer.core.portions import batched
from consumer.core.record import Outgoing, Record, Rejected, Stage
from consumer.core.repeats import APPLIED_BEFORE
from consumer.core.row_text import order_of_row
from consumer.errors import ConsumerStoppedError
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import dead_letter
from consumer.letters.redrive import as_request_of_its_own
from consumer.postgres.connection import Connection
from consumer.postgres.fence import Fence
from consumer.replay.compare import Difference
from consumer.reseed.plan import PartitionPlan, Plan
from contracts import request_id
from contracts.canonical import FIELDS
from contracts.event import HeaderWriter, RequestContext
from contracts.log_identity import CLOSED
from contracts.order import Order
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS, Topics

ROWS_AT_ONCE = 1_000
KEYS_AT_ONCE = 10_000
RESEED_SCHEMA = "orders_reseed"
_BOOKKEEPING = {"event_partition", "event_offset", "event_time"}
_COLUMNS = sql.SQL(", ").join(sql.SQL("o.{}").format(sql.Identifier(name)) for name in FIELDS)
_PAGE = sql.SQL(
    "SELECT o.partner_id, {} FROM reseed_order AS r JOIN orders AS o USING (partner_id, order_id) "
    "WHERE r.partition = %s AND NOT r.is_written AND (r.partner_id, r.order_id) > (%s, %s) "
    "ORDER BY r.partner_id, r.order_id LIMIT %s"
).format(_COLUMNS)


def is_under_way(connection: Connection) -> bool:
    return connection.execute("SELECT EXISTS (SELECT FROM reseed)").fetchone() == (True,)


def begin(connection: Connection, plan: Plan, differences: Iterator[Difference] | None) -> None:
    """Closes the fences, and notes what is to be written. In one transaction, so it is done or not.

    `differences`: the rows that the topic does not explain; None for all rows.
    """
    run_id = uuid4()
    with connection.transaction():
        connection.execute("SELECT FROM consumer_partition ORDER BY partition FOR UPDATE")
        for part in plan.partitions:
            connection.execute(
                "INSERT INTO reseed (partition, log_start, before_offset, end_offset, topic, topic_id, run_id) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [part.partition, part.log_start, part.before, part.end, *plan.source, run_id],
            )
        _note_orders(connection, differences)
        _forget_letters(connection, {part.partition: part for part in plan.partitions})
        # The row goes before every new event of its order. The letter lets the row move even if an event has the row's
        # own value, as it does in a replay, where this row is not there yet (see fold).
        connection.execute(
            "UPDATE orders AS o SET event_partition = r.partition, event_offset = s.before_offset - 1 "
            "FROM reseed_order AS r JOIN reseed AS s USING (partition) "
            "WHERE (o.partner_id, o.order_id) = (r.partner_id, r.order_id)"
        )
        connection.execute(
            "INSERT INTO order_letter (partner_id, order_id, event_offset) "
            "SELECT partner_id, order_id, before_offset - 1 FROM reseed_order JOIN reseed USING (partition) "
            "ON CONFLICT (partner_id, order_id) DO UPDATE SET event_offset = excluded.event_offset"
        )
        connection.execute(
            "UPDATE consumer_partition SET next_offset = %s, last_epoch = NULL, last_hash = NULL", [CLOSED]
        )


def _note_orders(connection: Connection, differences: Iterator[Difference] | None) -> None:
    """In portions, because there may be millions, and the connection that reads them cannot write meanwhile."""
    if differences is None:
        keys = _all_keys(connection)
    else:
        keys = (key for difference in differences if (key := _to_write(connection, difference)) is not None)
    for noted in batched(keys, KEYS_AT_ONCE):
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY reseed_order (partition, partner_id, order_id) FROM STDIN") as copy,
        ):
            for partner_id, order_id in noted:
                copy.write_row((partition_of(order_id.encode(), UPSERT_PARTITIONS), partner_id, order_id))


def _all_keys(connection: Connection) -> Iterator[tuple[str, str]]:
    with connection.cursor("all_keys") as cursor:
        cursor.itersize = KEYS_AT_ONCE
        yield from cursor.execute("SELECT partner_id, order_id FROM orders")


def _to_write(connection: Connection, difference: Difference) -> tuple[str, str] | None:
    """None if no event is needed: the order itself is the same, or there is no row."""
    live, replayed = difference.live, difference.replayed
    if live is None:
        return None
    if replayed is not None and set(difference.columns) <= _BOOKKEEPING:
        connection.execute(
            "UPDATE orders SET event_partition = %s, event_offset = %s, event_time = %s "
            "WHERE (partner_id, order_id) = (%s, %s)",
            [*(replayed[name] for name in ("event_partition", "event_offset", "event_time")), *_key(difference)],
        )
        return None
    return _key(difference)


def _key(difference: Difference) -> tuple[str, str]:
    return difference.partner_id, difference.order_id


def _forget_letters(connection: Connection, parts: Mapping[int, PartitionPlan]) -> None:
    """Of events that the log has lost."""
    for partner_id, order_id, offset in connection.execute("SELECT * FROM order_letter").fetchall():
        part = parts[partition_of(order_id.encode(), UPSERT_PARTITIONS)]
        if offset >= part.before and not part.is_intact:
            connection.execute(
                "DELETE FROM order_letter WHERE (partner_id, order_id) = (%s, %s)", [partner_id, order_id]
            )


class Writer:
    """Publishes what `begin` noted. A second attempt gives the same ids, so an event counts once."""

    def __init__(self, connection: Connection, producer: AcknowledgedProducer, topics: Topics) -> None:
        self._connection = connection
        self._producer = producer
        self._topics = topics
        row = connection.execute("SELECT run_id FROM reseed LIMIT 1").fetchone()
        assert row is not None
        self._run_id: UUID = row[0]

    def left(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM reseed_order WHERE NOT is_written").fetchone()
        return 0 if row is None else int(row[0])

    def write_letters(self, applied: list[Record]) -> None:
        """A letter for each new-looking event that was applied before: a replay then leaves it out, as consumers do."""
        reason = "the event was applied before the log was lost; the order's own event of the reseed follows"
        self._send(
            dead_letter(Rejected(record, None, 0, Stage.TASK_PUT, APPLIED_BEFORE, reason), self._topics)
            for record in applied
        )

    def write_rows(self, partition: int, on_progress: Callable[[int], None]) -> list[tuple[str, str]]:
        """An event for each noted order of the partition. Gives the keys of rows that are not valid orders."""
        unwritable: list[tuple[str, str]] = []
        last = "", ""  # so that no page looks again at all that the ones before have written
        while rows := self._connection.execute(_PAGE, [partition, *last, ROWS_AT_ONCE]).fetchall():
            last = rows[-1][0], rows[-1][1 + FIELDS.index("order_id")]
            outgoing = []
            for partner_id, *values in rows:
                fields = dict(zip(FIELDS, values, strict=True))
                order = order_of_row(fields)
                if order is None:
                    unwritable.append((partner_id, fields["order_id"]))
                else:
                    outgoing.append(self._event(partition, partner_id, order))
            self._send(outgoing)
            self._connection.execute(
                "UPDATE reseed_order AS r SET is_written = true "
                "FROM unnest(%b::text[], %b::text[]) AS k (partner_id, order_id) "
                "WHERE (r.partner_id, r.order_id) = (k.partner_id, k.order_id)",
                [[row[0] for row in rows], [row[1 + FIELDS.index("order_id")] for row in rows]],
            )
            on_progress(len(rows))
        return unwritable

    def write_again(self, records: list[Record]) -> int:
        """New events of noted orders, once more behind the orders' own: else an older value would stand last."""
        keyed = [(record, decode(record)) for record in records]
        events = [(record, item.key) for record, item in keyed if not isinstance(item, Rejected)]
        noted = self._noted([key for _, key in events])
        again = [record for record, key in events if key in noted]
        self._send(
            as_request_of_its_own(
                record,
                self._topics,
                uuid5(self._run_id, f"{record.partition}:{record.offset}"),
                partition=record.partition,
            )
            for record in again
        )
        return len(again)

    def _send(self, records: Iterable[Outgoing]) -> None:
        """Raises ConsumerStoppedError if Kafka will never take one of them, RetryLaterError in an outage."""
        refused = self._producer.send(records)
        if refused:
            reason, record = refused[0]
            raise ConsumerStoppedError(
                f"Kafka refuses {len(refused)} records for {record.topic}: {reason}. Run `orders setup`, "
                "then this again: it goes on where it stopped."
            )

    def _noted(self, keys: list[tuple[str, str]]) -> set[tuple[str, str]]:
        if not keys:
            return set()
        rows = self._connection.execute(
            "SELECT r.partner_id, r.order_id FROM reseed_order AS r "
            "JOIN unnest(%b::text[], %b::text[]) AS k (partner_id, order_id) USING (partner_id, order_id)",
            [list(column) for column in zip(*keys, strict=True)],
        )
        return set(rows.fetchall())

    def _event(self, partition: int, partner_id: str, order: Order) -> Outgoing:
        new_id = request_id.tagged(uuid5(self._run_id, f"{partner_id}/{order.order_id}"), partner_id)
        written = HeaderWriter(RequestContext(new_id, partner_id, 1, 0)).headers(0)
        headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in written]
        return Outgoing(self._topics.upserts, order.order_id.encode(), order.canonical(), headers, partition)


def finish(connection: Connection, source: tuple[str, str], last_records: Mapping[int, Record]) -> None:
    """Opens the fences where the log diverges: what is new is then applied by the consumers.

    `last_records`: by partition, the record before that offset, if there is one.
    """
    with connection.transaction():
        parts = connection.execute("SELECT partition, before_offset, log_start FROM reseed").fetchall()
        Fence(connection).set(
            {
                partition: Watermark(
                    before, mark_of(last_records[partition]) if partition in last_records else None, answered_to=0
                )
                for partition, before, _ in parts
            }
        )
        for partition, _, log_start in parts:
            connection.execute(
                "UPDATE consumer_partition SET log_start = %s WHERE partition = %s", [log_start, partition]
            )
        connection.execute("DELETE FROM source_topic")
        connection.execute("INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s)", source)
        connection.execute("DELETE FROM reseed_order")
        connection.execute("DELETE FROM reseed")
