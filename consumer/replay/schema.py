"""The schema that a replay fills. It has tables and a fence of its own, so a replay goes on after any crash."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from consumer.core.log_mark import Watermark
from consumer.errors import ConsumerStoppedError
from consumer.postgres.connecting import connect
from consumer.postgres.connection import Connection
from consumer.postgres.fence import Fence, read_fence, read_watermarks
from consumer.postgres.migrate import migrate_schema, require_migrated
from consumer.postgres.publications import require_unpublished
from consumer.postgres.sqlstate import translate
from consumer.postgres.tables import TABLES

REPLAY_SCHEMA = "orders_replay"
REPLACED_SCHEMA = "orders_replaced"
UNTIL_PREFIX = "orders_until_"
TABLES_WITH_ROWS = ("orders", "consumer_partition", "order_letter", "request_part")
"""The tables that a replay copies from the snapshot at which it begins."""


def until_schema(until: datetime) -> str:
    """The name of the schema for the tables as they were at `until`, which is a whole number of milliseconds."""
    return f"{UNTIL_PREFIX}{until.astimezone(UTC):%Y%m%dt%H%M%S}_{until.microsecond // 1000:03}"


def url_for(url: str, schema: str) -> str:
    """`url` with only `schema` in its search_path, so that no other schema is written by mistake."""
    options = conninfo_to_dict(url).get("options") or ""
    # If a crash of Postgres loses an asynchronous commit, its events are replayed again. That only costs time.
    return make_conninfo(url, options=f"{options} -c search_path={schema} -c synchronous_commit=off".strip())


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A new connection in autocommit mode. Raises ConsumerError."""
    try:
        with connect(url, "order-upsert replay", psycopg.Connection[TupleRow]) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex'; SET jit = off")
            # A swap must see what was written before it got its locks, whatever the default of a database is.
            connection.execute("SET default_transaction_isolation = 'read committed'")
            yield connection
    except psycopg.Error as error:
        raise translate(error) from error


def live_source(connection: Connection) -> tuple[str, str]:
    """The (topic, topic id) from which the live tables were filled. Raises ConsumerStoppedError."""
    if not exists(connection, "schema_migration"):
        raise ConsumerStoppedError(
            "This database has no order tables. Check the database in ORDERS_POSTGRES_URL. To prepare a new one, run: "
            "orders setup"
        )
    require_migrated(connection)
    source = connection.execute("SELECT topic, topic_id FROM source_topic").fetchone()
    if source is None:
        raise ConsumerStoppedError("No consumer has written to these tables yet, so there is nothing to replay.")
    return source


def exists(connection: Connection, table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)


def open_schema(url: str, schema: str, snapshot: str | None = None) -> dict[int, int]:
    """Creates the schema if it is missing. Returns its fence, from which the replay goes on.

    `snapshot`: the schema of another replay, whose rows and fence are copied to a new schema. Raises
    ConsumerStoppedError, also if a publication would take the new tables in.
    """
    with connected(url) as connection:
        source = live_source(connection)
        require_unpublished(connection, schema)
        starts = {partition: watermark.log_start for partition, watermark in read_watermarks(connection).items()}
        _run(connection, "CREATE SCHEMA IF NOT EXISTS {}", schema)
        _run(connection, "SET search_path = {}", schema)
        is_new = not exists(connection, f"{schema}.consumer_partition")
        migrate_schema(connection)
        if is_new:
            with connection.transaction():
                # A snapshot may be the live schema: its rows, fence and ledger must be of one moment.
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                _fill_new(connection, schema, source, starts, snapshot)
        known = connection.execute("SELECT topic, topic_id FROM source_topic").fetchone()
        if known != source:
            raise ConsumerStoppedError(
                f"The schema {schema} was filled from another topic ({known}) than the live tables ({source}). Nothing "
                "was changed. Start from the beginning with: orders replay --fresh"
            )
        return read_fence(connection)


def schema_exists(url: str, schema: str) -> bool:
    with connected(url) as connection:
        return exists(connection, f"{schema}.consumer_partition")


def _fill_new(
    connection: Connection, schema: str, source: tuple[str, str], starts: Mapping[int, int], snapshot: str | None
) -> None:
    # One table for the whole ledger of a replay: no day is dropped, because partitions do not advance together.
    connection.execute("CREATE TABLE request_part_all PARTITION OF request_part DEFAULT")
    connection.execute("INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s)", source)
    if snapshot is None:
        Fence(connection).set({partition: Watermark(start) for partition, start in starts.items() if start})
        return
    _run(connection, "SET LOCAL search_path = {}, {}", schema, snapshot)
    if not all(exists(connection, f"{snapshot}.{table}") for table in (*TABLES_WITH_ROWS, "source_topic")):
        raise ConsumerStoppedError(f"The schema {snapshot} is not a snapshot: it lacks tables of a replay.")
    known = connection.execute(
        sql.SQL("SELECT topic, topic_id FROM {}").format(sql.Identifier(snapshot, "source_topic"))
    ).fetchone()
    if known != source:
        raise ConsumerStoppedError(
            f"The snapshot {snapshot} is of another topic ({known}) than the live tables ({source})."
        )
    connection.execute("DELETE FROM consumer_partition")
    for table in TABLES_WITH_ROWS:
        # A replay answers nobody, and a snapshot of an older version has no such column.
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in TABLES[table] if name != "answered_to")
        into, source_table = sql.Identifier(schema, table), sql.Identifier(snapshot, table)
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(into, columns, columns, source_table)
        )


def _run(connection: Connection, statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
