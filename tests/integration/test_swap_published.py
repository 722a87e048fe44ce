"""A publication of the orders survives a swap: a live subscriber misses and repeats no row."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg.rows import TupleRow

from deploy.local.postgres import PostgresServer
from support.swapping import swap_copies
from support.waiting import eventually

Connection = psycopg.Connection[TupleRow]
COLUMNS = (
    "partner_id, order_id, name, email, refferral_code, user_id, products, total_amount, discount, content_hash, "
    "event_partition, event_offset, event_time"
)


@pytest.fixture
def published(own_postgres: PostgresServer) -> Iterator[tuple[str, Connection, Connection]]:
    """The URL of the tables, and connections to them and to their subscriber."""
    with psycopg.connect(own_postgres.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = logical")
    own_postgres.stop()
    own_postgres.start()
    url, subscriber = own_postgres.url(), own_postgres.url("subscriber")
    with psycopg.connect(url, autocommit=True) as live:
        live.execute("CREATE DATABASE subscriber")
        live.execute("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
        live.execute("CREATE PUBLICATION shop FOR TABLE orders (partner_id, order_id, name) WHERE (partner_id <> 'q')")
        live.execute("SELECT pg_create_logical_replication_slot('shop', 'pgoutput')")
        with psycopg.connect(subscriber, autocommit=True) as other:
            other.execute("CREATE TABLE orders (partner_id text, order_id text PRIMARY KEY, name text)")
            options = "create_slot = false, slot_name = shop, copy_data = false"
            other.execute(f"CREATE SUBSCRIPTION s CONNECTION '{url}' PUBLICATION shop WITH ({options})".encode())
            yield url, live, other
            other.execute("ALTER SUBSCRIPTION s DISABLE")
            other.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
            other.execute("DROP SUBSCRIPTION s")


def write(connection: Connection, order_id: str, partner_id: str = "p", schema: str = "public") -> None:
    connection.execute(
        f"INSERT INTO {schema}.orders ({COLUMNS}) VALUES "
        "(%s, %s, 'A', '', '', '', '[]', 1, 0, '', 0, 0, '2026-01-01T00:00Z')".encode(),
        [partner_id, order_id],
    )


def test_a_subscriber_misses_and_repeats_no_row(published: tuple[str, Connection, Connection]) -> None:
    url, live, other = published

    def received(*expected: tuple[str, str]) -> bool:
        return other.execute("SELECT order_id, name FROM orders ORDER BY 1").fetchall() == list(expected)

    write(live, "before")
    write(live, "hidden", "q")
    eventually(lambda: received(("before", "A")))
    for attempt in range(2):
        swap_copies(url)
        write(live, f"after-{attempt}")
        live.execute("UPDATE orders SET name = %s WHERE order_id = 'before'", [str(attempt)])
        after = [(f"after-{number}", "A") for number in range(attempt + 1)]
        eventually(partial(received, *after, ("before", str(attempt))))
    assert live.execute(
        "SELECT schemaname, tablename, attnames::text[], rowfilter FROM pg_publication_tables"
    ).fetchall() == [("public", "orders", ["partner_id", "order_id", "name"], "(partner_id <> 'q'::text)")]
    other.execute("ALTER SUBSCRIPTION s REFRESH PUBLICATION WITH (copy_data = false)")
