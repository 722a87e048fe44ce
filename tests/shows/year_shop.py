"""What a shop and its DBA have around the table of orders: views, indexes, rights, a subscriber, a long report."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from deploy.local.postgres import PostgresServer
from shows.year_events import REFUSED_NAME
from support.installation import Installation

SHOP = f"""
ALTER TABLE orders ADD COLUMN note text, ADD CONSTRAINT not_refused CHECK (name !~ '^{REFUSED_NAME}');
CREATE INDEX by_user ON orders (user_id);
CREATE INDEX by_total ON orders (total_amount DESC) INCLUDE (discount) WHERE discount > 0;
CREATE VIEW large_order AS SELECT partner_id, order_id, total_amount FROM orders WHERE total_amount > 1000;
CREATE VIEW large_order_count AS SELECT partner_id, count(*) FROM large_order GROUP BY partner_id;
CREATE MATERIALIZED VIEW partner_total AS
    SELECT partner_id, count(*) AS orders, sum(total_amount) AS total FROM orders GROUP BY partner_id;
CREATE UNIQUE INDEX ON partner_total (partner_id);
COMMENT ON COLUMN orders.note IS 'of the shop';
"""
"""Roles are of the whole server, so another installation may have made it."""
ROLE = """
DO $$ BEGIN CREATE ROLE year_reporting; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT ON orders, large_order, partner_total TO year_reporting;
GRANT UPDATE (note) ON orders TO year_reporting;
"""
MAKE_ROOM = """
DROP MATERIALIZED VIEW partner_total; REVOKE UPDATE (note) ON orders FROM year_reporting;
COMMENT ON COLUMN orders.note IS NULL
"""
"""Removes what a swap may not carry over."""
BY_HAND = "UPDATE orders SET total_qty = 9 WHERE partner_id <> 'live' AND order_id ~ '7$'"
"""Somebody changes a tenth of the orders, which no event explains."""


def open_shop(installation: Installation) -> None:
    installation.sql(SHOP)
    installation.sql(ROLE)


@contextmanager
def long_report(url: str) -> Iterator[None]:
    """A transaction that has read the orders, and stays open to the end of the block."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT count(*) FROM orders").fetchone()
        yield


@contextmanager
def subscriber(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A database that has subscribed to the orders, to what is written from now on."""
    url = postgres.url()
    with psycopg.connect(url, autocommit=True) as live:
        live.execute("CREATE DATABASE subscriber")
        live.execute("CREATE PUBLICATION year FOR TABLE orders (partner_id, order_id, name)")
        live.execute("SELECT pg_create_logical_replication_slot('year', 'pgoutput')")
    with psycopg.connect(postgres.url("subscriber"), autocommit=True) as other:
        other.execute(
            "CREATE TABLE orders (partner_id text, order_id text, name text, PRIMARY KEY (partner_id, order_id))"
        )
        options = "create_slot = false, slot_name = year, copy_data = false"
        other.execute(f"CREATE SUBSCRIPTION year CONNECTION '{url}' PUBLICATION year WITH ({options})".encode())
        yield other
        other.execute("ALTER SUBSCRIPTION year DISABLE")
        other.execute("ALTER SUBSCRIPTION year SET (slot_name = NONE)")
        other.execute("DROP SUBSCRIPTION year")
