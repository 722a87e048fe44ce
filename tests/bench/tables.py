"""What stands in the tables of the services, and emptying and filling them."""

import psycopg

from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS

COLUMNS = (
    "partner_id", "order_id", "name", "phone", "address", "email", "refferral_code", "user_id", "products",
    "total_amount", "discount", "total_qty",
)  # fmt: skip
_COPY_ORDERS = (
    "COPY orders (partner_id, order_id, name, email, refferral_code, user_id, products, total_amount, discount, "
    "content_hash, event_partition, event_offset, event_time) FROM STDIN"
)
_SAME = " AND ".join(f"ours.{column} IS NOT DISTINCT FROM theirs.{column}" for column in COLUMNS)


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def number_of(url: str, query: str) -> int:
    """The one number that a query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return int(found[0])


def differing_rows(url: str, table: str) -> int:
    """Orders that are not alike in `orders` and in `table`, or only in one of them."""
    return number_of(
        url,
        f"SELECT count(*) FROM orders AS ours FULL JOIN {table} AS theirs USING (partner_id, order_id) "
        f"WHERE NOT ({_SAME})",
    )


def empty_tables(url: str) -> None:
    """All services start with empty tables, and with no checkpoint due from before.

    The ledger is emptied with the orders: a consumer stops if it has outcomes of rows that are gone.
    """
    execute(url, "TRUNCATE orders, request_part, request_key, direct_orders, outbox, debezium_orders")
    execute(url, "CHECKPOINT")


def fill_table(url: str, rows: int) -> None:
    """So many orders of the partner `bench`, numbered from 0 on, as if they had come through the topic long ago."""
    empty_tables(url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(_COPY_ORDERS) as copy:
        for first in range(0, rows, 10_000):
            numbers = range(first, min(rows, first + 10_000))
            copy.write("".join(_old_order(f"ORD-{number:010}") for number in numbers))
    execute(url, "VACUUM ANALYZE orders")
    execute(url, "CHECKPOINT")


def _old_order(order_id: str) -> str:
    partition = partition_of(order_id.encode(), UPSERT_PARTITIONS)
    products = '[{"product_sku_id":"SKU-1","amount":"1.5","qty":1}]'
    return (
        f"bench\t{order_id}\tAda Abe\tada.abe@example.com\tREF-1\tU-1\t{products}\t1\t0\t"
        f"\\\\x00\t{partition}\t-1\t2026-01-01 00:00:00Z\n"
    )
