"""The table of a replay in the place of the live one, in one transaction, while consumers go on."""

import time
from collections.abc import Callable

from psycopg import sql

from consumer.errors import ConsumerError, RetryLaterError
from consumer.kafka.topic_reader import Ends
from consumer.postgres.connection import Connection
from consumer.postgres.fence import Fence, read_fence
from consumer.replay.dependents import dependents
from consumer.replay.schema import REPLACED_SCHEMA, connected
from contracts.topics import UPSERT_PARTITIONS

LOCK_TIMEOUT_MS = 3_000
"""Consumers wait behind a swap, and partners behind them: so long at the most for each lock."""
UNDER_LOCK_EVENTS_MAX = 20_000
"""What may be missing when the fence is locked; it is applied while the consumers wait."""
SWAPPED = "orders", "order_letter"
"""The rows, and what belongs to them. The ledger stays: what a partner was answered is not decided anew. So does the
fence: it is locked, and the replay stands at it."""

CatchUp = Callable[[Ends], None]


class NotCaughtUpError(ConsumerError):
    """Too much came in since the replay caught up last. Nothing was changed; catch up, and try again."""


def swap(live_url: str, schema: str, catch_up: CatchUp) -> float:
    """Gives the seconds for which consumers had to wait.

    The old tables are in the schema `orders_replaced` afterwards. Consumers that are in a batch are waited for; those
    that begin one wait at the fence, and find the new table behind it. Raises NotCaughtUpError, and RetryLaterError
    where somebody else holds a lock on the table for too long: then nothing was changed.
    """
    with connected(live_url) as connection, connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT_MS))
        fence = Fence(connection).lock(range(UPSERT_PARTITIONS)).result()
        locked_s = time.monotonic()
        missing = _missing(connection, fence, schema)
        if missing > UNDER_LOCK_EVENTS_MAX:
            raise NotCaughtUpError(f"{missing} events came in since the replay caught up.")
        catch_up(fence)
        if read_fence(connection, schema) != fence:
            raise RetryLaterError("The replay does not stand where the live tables stand.")
        _exchange(connection, schema)
    return time.monotonic() - locked_s


def _missing(connection: Connection, fence: Ends, schema: str) -> int:
    return sum(fence.values()) - sum(read_fence(connection, schema).values())


def _exchange(connection: Connection, schema: str) -> None:
    found = dependents(connection)
    replaced, new, live = map(sql.Identifier, (REPLACED_SCHEMA, schema, found.live_schema))
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(replaced))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(replaced))
    for table in map(sql.Identifier, SWAPPED):
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(live, table, replaced))
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(new, table, live))
    for statement in found.statements:
        connection.execute(statement.encode())
    connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(new))  # half a replay would be no use to anybody
