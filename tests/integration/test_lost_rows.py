"""Rows and fences that somebody removed: one sentence with the command that repairs, never a silent success."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from consumer.applier import Applier
from consumer.core.record import Event
from consumer.errors import ConsumerStoppedError
from consumer.postgres.fence import put_back, read_fence, read_watermarks
from consumer.postgres.lost_rows import RowsWatch, require_rows
from consumer.postgres.publications import about_the_ledger, require_unpublished
from consumer.postgres.session import SessionHolder
from consumer.replay.schema import open_schema, schema_exists
from contracts.partitioner import partition_of
from support.events import TIME, batch, event

Sql = Callable[..., list[dict[str, Any]]]
HOME = partition_of(b"O-1", 12)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[TupleRow]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def opened(database: str) -> Iterator[SessionHolder]:
    opened = SessionHolder(database, 7)
    yield opened
    opened.close()


def a_consumer(opened: SessionHolder) -> Applier:
    return Applier(opened, lambda _: None)


def events(numbers: range) -> list[Event]:
    return [event(number, str(number), index=number, request=7) for number in numbers]


def test_a_fence_that_was_put_back_is_noticed_and_found_again(
    opened: SessionHolder, sql: Sql, connection: psycopg.Connection[TupleRow]
) -> None:
    a_consumer(opened).apply(batch(events(range(5))))
    a_consumer(opened).apply(batch(events(range(5, 9))))
    sql("TRUNCATE orders")
    sql("UPDATE consumer_partition SET next_offset = 0")
    for _ in range(2):
        with pytest.raises(ConsumerStoppedError, match=rf"offset [05] of partition {HOME}.*orders replay --swap"):
            a_consumer(opened).apply(batch(events(range(9))))
    assert sql("SELECT * FROM orders") == []
    sql("DELETE FROM consumer_partition")
    assert put_back(connection)[HOME] == 6  # behind the last event that the ledger names; the others are known again
    assert put_back(connection) == {}
    applied = a_consumer(opened).apply(batch(events(range(6, 9))))
    assert not applied.changes_rows
    assert read_fence(connection)[HOME] == 9


def test_a_copy_of_an_event_is_no_fence_that_was_put_back(opened: SessionHolder, sql: Sql) -> None:
    a_consumer(opened).apply(batch(events(range(3))))
    copies = [event(3 + number, str(number), index=number, request=7) for number in range(3)]
    assert not a_consumer(opened).apply(batch(copies)).changes_rows
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["2"]


@pytest.mark.parametrize(
    "removed", ["TRUNCATE consumer_partition", f"DELETE FROM consumer_partition WHERE partition = {HOME}"]
)
def test_a_fence_that_is_gone_is_named_everywhere_and_found_again_from_the_orders(
    opened: SessionHolder, sql: Sql, connection: psycopg.Connection[TupleRow], removed: str
) -> None:
    a_consumer(opened).apply(batch(events(range(3))))
    sql(removed)
    for read in (
        lambda: a_consumer(opened).apply(batch(events(range(3, 4)))),
        lambda: read_fence(connection),
        lambda: read_watermarks(connection),
    ):
        with pytest.raises(ConsumerStoppedError, match=r"has no row of the partitions .*run: orders setup"):
            read()
    sql("TRUNCATE request_part")
    assert put_back(connection)[HOME] == 3


def test_orders_without_rows_are_noticed_at_the_start(
    opened: SessionHolder, sql: Sql, connection: psycopg.Connection[TupleRow]
) -> None:
    require_rows(connection)  # of a new installation
    a_consumer(opened).apply(batch(events(range(1))))
    require_rows(connection)
    sql("TRUNCATE orders")
    with pytest.raises(ConsumerStoppedError, match=r"TRUNCATE.*orders replay --swap"):
        require_rows(connection)
    sql("TRUNCATE request_part")  # as a backup from before the first order is
    require_rows(connection)


def test_rows_that_go_while_a_consumer_runs_are_noticed_though_others_came(
    opened: SessionHolder, sql: Sql, connection: psycopg.Connection[TupleRow]
) -> None:
    consumer, watch = a_consumer(opened), RowsWatch()
    watch.look(connection, consumer.written_lately, read_fence(connection))
    consumer.apply(batch([event(0, order_id="O-1", request=1)]))
    watch.look(connection, consumer.written_lately, read_fence(connection))
    sql("DELETE FROM orders")
    sql("INSERT INTO orders SELECT (jsonb_populate_record(NULL::orders, %s::jsonb)).*", _row("older", "2020-01-01"))
    watch.look(connection, consumer.written_lately, read_fence(connection))  # one order was deleted by hand
    consumer.apply(batch([event(1, order_id="O-1", request=2, name="B")]))
    watch.look(connection, consumer.written_lately, read_fence(connection))
    sql("TRUNCATE orders")
    sql("INSERT INTO orders SELECT (jsonb_populate_record(NULL::orders, %s::jsonb)).*", _row("newer", "2030-01-01"))
    with pytest.raises(ConsumerStoppedError, match="orders replay --swap"):
        watch.look(connection, consumer.written_lately, read_fence(connection))


def test_rows_that_a_restore_took_back_are_not_removed_by_somebody(
    opened: SessionHolder, sql: Sql, connection: psycopg.Connection[TupleRow]
) -> None:
    """The partitions catch up one after the other: a newer row may be back before the one that is remembered."""
    consumer, watch = a_consumer(opened), RowsWatch()
    newer = event(0, order_id="O-2", request=2, time=TIME + timedelta(hours=1))
    consumer.apply(batch([event(0, order_id="O-1", request=1)]))
    for _ in range(2):
        watch.look(connection, consumer.written_lately, read_fence(connection))
    sql("TRUNCATE orders, request_part")
    sql("UPDATE consumer_partition SET next_offset = 0")
    assert newer.record.partition != HOME
    a_consumer(opened).apply(batch([newer]))
    for _ in range(2):
        watch.look(connection, consumer.written_lately, read_fence(connection))


def _row(order_id: str, time: str) -> str:
    return (
        f'{{"partner_id": "p", "order_id": "{order_id}", "name": "", "email": "", "refferral_code": "", "user_id": "", '
        f'"products": [], "total_amount": 1, "discount": 0, "content_hash": "", "event_partition": 1, '
        f'"event_offset": 1, "event_time": "{time}"}}'
    )


def test_a_publication_of_every_new_table_is_named_before_a_replay_makes_one(
    database: str, sql: Sql, connection: psycopg.Connection[TupleRow]
) -> None:
    sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
    sql("CREATE PUBLICATION one FOR TABLE orders")
    assert about_the_ledger(connection) is None
    require_unpublished(connection, "orders_replay")
    sql("CREATE PUBLICATION whole FOR ALL TABLES")
    with pytest.raises(ConsumerStoppedError, match=r"whole FOR ALL TABLES.*FOR TABLE orders"):
        open_schema(database, "orders_replay")
    assert not schema_exists(database, "orders_replay")
    assert sql("SELECT FROM pg_namespace WHERE nspname = 'orders_replay'") == []
    assert "whole FOR ALL TABLES" in str(about_the_ledger(connection))
    sql("DROP PUBLICATION whole")
    sql("CREATE PUBLICATION shop FOR TABLES IN SCHEMA public")
    assert "shop FOR TABLES IN SCHEMA public" in str(about_the_ledger(connection))
    sql("ALTER PUBLICATION shop SET (publish_via_partition_root)")
    assert about_the_ledger(connection) is None
    require_unpublished(connection, "orders_replay")
    sql("CREATE SCHEMA orders_replay")
    sql("ALTER PUBLICATION shop SET TABLES IN SCHEMA orders_replay")
    with pytest.raises(ConsumerStoppedError, match="shop FOR TABLES IN SCHEMA orders_replay"):
        require_unpublished(connection, "orders_replay")
