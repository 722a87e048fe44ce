"""Puts the tables of a replay in the place of the live ones, in one transaction, while the consumers run."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from consumer.errors import ConsumerError, ConsumerStoppedError, DiskFullError, RetryLaterError
from consumer.kafka.topic_reader import Ends
from consumer.postgres.connection import Connection
from consumer.postgres.fence import Fence, read_fence
from consumer.postgres.tables import TABLES
from consumer.replay import shop_columns
from consumer.replay.carried import carried, free
from consumer.replay.dependents import (
    SWAPPED,
    Dependents,
    dependents,
    is_complete,
    left_behind,
    quoted,
    relations_of,
)
from consumer.replay.lock_holders import Holder, holders
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.schema import REPLACED_SCHEMA, connected
from consumer.replay.schemas import drop
from consumer.replay.shape import adopt, names_of_difference
from consumer.replay.shop_values import ROWS_LEFT_MAX, ShopValues
from contracts.topics import UPSERT_PARTITIONS

FENCE_LOCK_MS = 1_000
"""A swap waits at most this long for the consumers that are in a batch. Meanwhile the others wait for it."""
TABLE_LOCK_MS = 200
"""With the fence, a swap waits at most this long for each lock on a table, because partners wait for it."""
CHANGES_LOCK_MS = 1_500
"""How long a swap waits for those who change the tables, while nobody waits for it. Postgres ends an autovacuum after
`deadlock_timeout`, which is a second."""
HELD_IDLE_MS = 5_000
"""Postgres ends a swap that holds the fence and does nothing, as that of a process that was frozen."""
UNDER_LOCK_EVENTS_MAX = 5_000
"""How many events may be missing when the fence is locked. They are applied while the consumers wait."""
LOOK_S = 0.3
PAUSE_S, PAUSE_MAX_S = 0.5, 8.0
_PASSES_MAX = 4  # one makes the parts; another one what an owner or a default right changed
_MANY_VALUES = (
    f"More than {ROWS_LEFT_MAX:,} rows may have new values in columns of your own. They are copied before the swap, so "
    "wait until such changes end, and every older transaction that writes, in any database of this server."
)

CatchUp = Callable[[Ends], None]


class NotCaughtUpError(ConsumerError):
    """Too much changed since the replay last caught up. Nothing was changed. Catch up and try again."""


@dataclass
class Waits:
    """For how long consumers had to wait, in all attempts of a swap."""

    attempts: int = 0
    total_s: float = 0
    longest_s: float = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        began_s = time.monotonic()
        try:
            yield
        finally:
            waited_s = time.monotonic() - began_s
            self.attempts += 1
            self.total_s += waited_s
            self.longest_s = max(self.longest_s, waited_s)

    def __str__(self) -> str:
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        longest = f", at most {self.longest_s:.2f} s each" if self.attempts > 1 else ""
        return f"Consumers waited {self.total_s:.2f} s in {attempts}{longest}."


def swap(
    live_url: str,
    schema: str,
    prepare: Callable[[], None],
    catch_up: CatchUp,
    values: ShopValues,
    lock_wait_s: float,
    waits: Waits,
) -> None:
    """Swaps. Afterwards the old tables are in the schema `orders_replaced`, and the ones before them are gone.

    `prepare` is called before each attempt; it catches up, completes, and copies `values`. `catch_up` is called with
    the fence locked.
    Attempts begin only while no session keeps a lock on the tables, and are short, so that partners do not wait.
    Raises ConsumerStoppedError if none succeeded for `lock_wait_s`; then nothing was changed.
    """
    prepare()
    deadline_s, pause_s = time.monotonic() + lock_wait_s, PAUSE_S
    while True:
        try:
            with connected(live_url) as connection:
                _attempt(connection, schema, catch_up, values, deadline_s, waits)
                return
        except DiskFullError:
            raise
        except (NotCaughtUpError, RetryLaterError) as error:
            if time.monotonic() + pause_s > deadline_s:
                raise ConsumerStoppedError(
                    f"The tables could not be swapped within {lock_wait_s:g} s: {error}\n{_found(live_url, schema)}"
                    f"To wait longer: --lock-wait-s. {waits} {LIVE_TABLES_UNCHANGED}"
                ) from error
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)
        prepare()


def _attempt(
    connection: Connection, schema: str, catch_up: CatchUp, values: ShopValues, deadline_s: float, waits: Waits
) -> None:
    connection.execute("SET plan_cache_mode = force_generic_plan")
    with connection.transaction():
        live_schema = dependents(connection).live_schema
    _await_free(connection, schema, deadline_s)
    with connection.transaction():
        drop(connection, REPLACED_SCHEMA, TABLE_LOCK_MS)
    live = sql.SQL(", ").join(sql.Identifier(live_schema, table) for table in SWAPPED)
    replayed = sql.SQL(", ").join(sql.Identifier(schema, table) for table in TABLES)
    with ExitStack() as measuring, connection.transaction():
        _set_local(connection, lock_timeout=CHANGES_LOCK_MS, idle_in_transaction_session_timeout=HELD_IDLE_MS)
        # Keeps out changes of the tables, and autovacuum, but neither consumers nor readers.
        connection.execute(sql.SQL("LOCK TABLE {}, {} IN SHARE UPDATE EXCLUSIVE MODE").format(live, replayed))
        dependents(connection)  # so that the questions are planned before anybody waits
        if not is_complete(connection, live_schema, schema):
            raise NotCaughtUpError("Columns, constraints, indexes or settings of the live tables were changed.")
        if not values.few_left(connection, live_schema):
            raise NotCaughtUpError(_MANY_VALUES)
        connection.execute("SET LOCAL search_path = DEFAULT")
        measuring.enter_context(waits.measured())  # until the commit
        _set_local(connection, lock_timeout=FENCE_LOCK_MS)
        fence = Fence(connection).lock(range(UPSERT_PARTITIONS)).result()
        _set_local(connection, lock_timeout=TABLE_LOCK_MS)
        connection.execute(sql.SQL("LOCK TABLE {}").format(live))
        missing = sum(fence.values()) - sum(read_fence(connection, schema).values())
        if missing > UNDER_LOCK_EVENTS_MAX:
            raise NotCaughtUpError(f"{missing:,} events arrived since the replay caught up.")
        catch_up(fence)
        if read_fence(connection, schema) != fence:
            raise RetryLaterError("The replay is not at the same offsets as the live tables.")
        if not values.copy_left(connection, live_schema):
            raise NotCaughtUpError(_MANY_VALUES)
        found = dependents(connection)  # rights and views need no lock of the tables to be changed
        _exchange(connection, found, schema)
    _analyze(connection, found)


def _exchange(connection: Connection, found: Dependents, schema: str) -> None:
    live_schema = found.live_schema
    replaced, new, live = map(sql.Identifier, (REPLACED_SCHEMA, schema, live_schema))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(replaced))
    made = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(replaced, made))
    for table in SWAPPED:
        names = sql.Identifier(live_schema, table), sql.Identifier(schema, table)
        shop_columns.finish(connection, *names, schema, TABLES[table])
        free(connection, quoted(connection, live_schema, table))
    for table in SWAPPED:
        name = sql.Identifier(table)
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(live, name, replaced))
        connection.execute(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(new, name, live))
    for table in SWAPPED:
        _carry_over(connection, found, table)
    for statement in found.rebound:
        connection.execute(statement.encode())
    if left := [name for oid in found.tables.values() for name in left_behind(connection, oid)]:
        raise ConsumerStoppedError(_not_carried(left))
    drop(connection, schema, TABLE_LOCK_MS)  # the rest of a replay is of no use without these tables


def _carry_over(connection: Connection, found: Dependents, table: str) -> None:
    """Raises ConsumerStoppedError if the new table does not have all that the old one had."""
    name, wanted = quoted(connection, found.live_schema, table), found.carried[table]
    for _ in range(_PASSES_MAX):
        present = carried(connection, name, found.live_schema)
        if present == wanted:
            return
        adopt(connection, wanted, present)
    raise ConsumerStoppedError(_not_carried(names_of_difference(wanted, carried(connection, name, found.live_schema))))


def _analyze(connection: Connection, found: Dependents) -> None:
    """Statistics over several columns have no values yet. The swap is done, so an error does not matter."""
    for table in SWAPPED:
        if any(kind == "statistics" for kind, _ in found.carried[table]):
            with suppress(psycopg.Error):
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(found.live_schema, table)))


def _not_carried(names: list[str]) -> str:
    return (
        "The tables were not swapped, because these could not be carried over:\n  "
        + "\n  ".join(names)
        + f"\nRemove them, swap, and create them again. {LIVE_TABLES_UNCHANGED}"
    )


def _await_free(connection: Connection, schema: str, deadline_s: float) -> None:
    """Waits until no other session keeps a lock. Raises RetryLaterError at the deadline.

    Whoever holds one at two looks keeps it: the statements of most sessions are shorter than the time between them.
    Autovacuum does not count: Postgres ends it when somebody waits for it.
    """
    before: set[str] = set()
    while found := [holder for holder in _holders(connection, schema) if not holder.is_autovacuum]:
        now = {holder.transaction for holder in found}
        if before and not before & now:
            break
        if time.monotonic() > deadline_s:
            raise RetryLaterError("Other sessions keep locks on them.")
        before = now
        time.sleep(LOOK_S)


def _holders(connection: Connection, schema: str) -> list[Holder]:
    relations, fence = relations_of(connection, (schema, REPLACED_SCHEMA))
    return holders(connection, relations, fence)


def _found(live_url: str, schema: str) -> str:
    """Who holds a lock now, in lines; empty if nobody does."""
    with connected(live_url) as connection:
        relations, fence = relations_of(connection, (schema, REPLACED_SCHEMA))
        found = holders(connection, relations, fence) or holders(connection, [*relations, fence])
    if not found:
        return ""
    lines = "\n  ".join(map(str, found))
    return f"These hold locks:\n  {lines}\nWait until they end, or end them: SELECT pg_terminate_backend(pid).\n"


def _set_local(connection: Connection, **settings_ms: int) -> None:
    for name, value in settings_ms.items():
        connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), value))
