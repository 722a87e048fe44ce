"""A swap without Kafka: the tables of its replay are copies of the live ones."""

from collections.abc import Callable

from psycopg import sql

from consumer.postgres.tables import TABLES
from consumer.replay.dependents import SWAPPED, complete, complete_again
from consumer.replay.schema import REPLAY_SCHEMA, connected, open_schema
from consumer.replay.shop_values import ShopValues
from consumer.replay.swap import Waits, swap


def replay_copies(url: str) -> None:
    """Makes the schema of a replay as far as its comparison, with our columns of the live rows."""
    open_schema(url, REPLAY_SCHEMA)
    with connected(url) as connection:
        for table in SWAPPED:
            columns = sql.SQL(", ").join(map(sql.Identifier, TABLES[table]))
            new, live = sql.Identifier(REPLAY_SCHEMA, table), sql.Identifier(table)
            connection.execute(sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(new, columns, columns, live))
        fence = sql.Identifier(REPLAY_SCHEMA, "consumer_partition")
        set_fence = "UPDATE {} AS n SET next_offset = l.next_offset FROM consumer_partition AS l WHERE {}"
        connection.execute(sql.SQL(set_fence).format(fence, sql.SQL("l.partition = n.partition")))
        complete(connection, REPLAY_SCHEMA)


def swap_copies(url: str, lock_wait_s: float = 60, prepare: Callable[[], None] = lambda: None) -> Waits:
    """Makes and swaps. Returns how long consumers would have waited."""
    replay_copies(url)
    return swap_made(url, lock_wait_s, prepare)


def swap_made(url: str, lock_wait_s: float = 60, prepare: Callable[[], None] = lambda: None) -> Waits:
    """Swaps what `replay_copies` made. `prepare` is called before each attempt."""
    waits, values = Waits(), ShopValues(REPLAY_SCHEMA)

    def prepared() -> None:
        with connected(url) as connection:
            complete_again(connection, REPLAY_SCHEMA)
        with connected(url) as connection:
            values.copy(connection, lambda: None)
        prepare()

    swap(url, REPLAY_SCHEMA, prepared, lambda _: None, values, lock_wait_s, waits)
    return waits
