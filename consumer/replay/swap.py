"""Puts the tables of a replay in the place of the live ones, in one transaction, while the consumers run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from psycopg import sql

from consumer.errors import ConsumerError, RetryLaterError
from consumer.kafka.topic_reader import Ends
from consumer.postgres.connection import Connection
from consumer.postgres.fence import Fence, read_fence
from consumer.replay import shop_columns
from consumer.replay.dependents import dependents
from consumer.replay.schema import REPLACED_SCHEMA, connected
from consumer.replay.schemas import drop
from contracts.topics import UPSERT_PARTITIONS

LOCK_TIMEOUT_MS = 3_000
"""A swap waits at most this long for each lock, because consumers wait for the swap, and partners for them."""
UNDER_LOCK_EVENTS_MAX = 20_000
"""How many events may be missing when the fence is locked. They are applied while the consumers wait."""
SWAPPED = "orders", "order_letter"
"""The tables that are swapped: the rows, and the letters that belong to them. The ledger stays, because answers that
were sent are not decided again. The fence stays, because it is locked and equal to that of the replay."""

CatchUp = Callable[[Ends], None]


class NotCaughtUpError(ConsumerError):
    """Too many events arrived since the replay last caught up. Nothing was changed. Catch up and try again."""


def swap(live_url: str, schema: str, catch_up: CatchUp) -> float:
    """Swaps, and returns the seconds for which consumers had to wait.

    Afterwards the old tables are in the schema `orders_replaced`. The swap waits for consumers that are in a batch.
    Those that begin one wait for the fence, and then use the new table. Raises NotCaughtUpError, or RetryLaterError if
    another session holds a lock on the table for too long. Then nothing was changed.
    """
    with connected(live_url) as connection, connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT_MS))
        fence = Fence(connection).lock(range(UPSERT_PARTITIONS)).result()
        locked_s = time.monotonic()
        missing = _missing(connection, fence, schema)
        if missing > UNDER_LOCK_EVENTS_MAX:
            raise NotCaughtUpError(f"{missing} events arrived since the replay caught up.")
        catch_up(fence)
        if read_fence(connection, schema) != fence:
            raise RetryLaterError("The replay is not at the same offsets as the live tables.")
        _exchange(connection, schema)
    return time.monotonic() - locked_s


def _missing(connection: Connection, fence: Ends, schema: str) -> int:
    return sum(fence.values()) - sum(read_fence(connection, schema).values())


def _exchange(connection: Connection, schema: str) -> None:
    found = dependents(connection)
    replaced, new, live = map(sql.Identifier, (REPLACED_SCHEMA, schema, found.live_schema))
    drop(connection, REPLACED_SCHEMA)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(replaced))
    made = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(replaced, made))
    live_orders, new_orders = sql.Identifier(found.live_schema, "orders"), sql.Identifier(schema, "orders")
    connection.execute(sql.SQL("LOCK TABLE {}").format(live_orders))  # the shop's columns change without the fence
    later = shop_columns.finish(connection, live_orders, new_orders)
    for table in map(sql.Identifier, SWAPPED):
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(live, table, replaced))
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(new, table, live))
    for statement in found.statements:
        connection.execute(statement.encode())
    for composed in later:
        connection.execute(composed)
    drop(connection, schema)  # the rest of a replay is of no use without these tables
