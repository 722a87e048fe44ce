"""The schemas that replays and swaps leave behind: shown, and dropped without anything of somebody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection
from consumer.postgres.tables import FUNCTIONS, FUNCTIONS_OF_INGRESS, TABLES
from consumer.replay.dependents import SWAPPED
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.schema import REPLACED_SCHEMA, REPLAY_SCHEMA, UNTIL_PREFIX, connected, exists

LOCK_TIMEOUT_MS = 3_000
"""For tables that are dropped, and that somebody may be reading."""
_OURS = (*TABLES, "reseed", "reseed_order")

_LIST: LiteralString = """
SELECT nspname, obj_description(n.oid, 'pg_namespace'),
  (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
   WHERE relnamespace = n.oid AND relkind IN ('r', 'm'))
FROM pg_namespace AS n WHERE nspname IN (%(replay)s, %(replaced)s) OR starts_with(nspname, %(until)s) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One schema. `made`: when the replay began, or when the swap was; None if that is not known. `size_bytes`: of its
    tables with their indexes."""

    schema: str
    made: datetime | None
    size_bytes: int


def is_a_replays(schema: str) -> bool:
    """Whether a schema of this name may be dropped: only a replay or a swap makes one."""
    return schema in (REPLAY_SCHEMA, REPLACED_SCHEMA) or schema.startswith(UNTIL_PREFIX)


def kept_schemas(url: str) -> list[Kept]:
    """All of them, by name. Raises ConsumerError."""
    names = {"replay": REPLAY_SCHEMA, "replaced": REPLACED_SCHEMA, "until": UNTIL_PREFIX}
    with connected(url) as connection:
        rows = connection.execute(_LIST, names).fetchall()
        return [Kept(name, _made(connection, name, comment), size) for name, comment, size in rows]


def schema_there(url: str, schema: str) -> bool:
    """Whether there is anything of it: a replay that was killed early has a schema and no tables."""
    with connected(url) as connection:
        return _is_there(connection, schema)


def drop_schema(url: str, schema: str) -> None:
    """Removes it with our tables in it. Raises ConsumerStoppedError, and removes nothing, if something else needs
    them."""
    with connected(url) as connection, connection.transaction():
        drop(connection, schema)


def require_droppable(connection: Connection, schema: str) -> None:
    """Raises as `drop`, and changes nothing. In a transaction."""
    with connection.transaction(force_rollback=True):
        drop(connection, schema)


def drop(connection: Connection, schema: str, lock_timeout_ms: int = LOCK_TIMEOUT_MS) -> None:
    """In a transaction. No CASCADE: Postgres refuses if a view, a foreign key or another table is not ours."""
    if not _is_there(connection, schema):
        return
    name = sql.Identifier(schema)
    tables_of_ours = SWAPPED if schema == REPLACED_SCHEMA else _OURS  # a swap puts nothing else there
    tables = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables_of_ours)
    ours = (*FUNCTIONS, *FUNCTIONS_OF_INGRESS)
    functions = sql.SQL(", ").join(sql.SQL("{}.{}").format(name, sql.SQL(function)) for function in ours)
    with _naming_dependents(schema):
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(lock_timeout_ms))
        for statement in (
            sql.SQL("DROP TABLE IF EXISTS {}").format(tables),
            sql.SQL("DROP FUNCTION IF EXISTS {}").format(functions),
            sql.SQL("DROP SCHEMA {}").format(name),
        ):
            connection.execute(statement)


def _is_there(connection: Connection, schema: str) -> bool:
    return connection.execute("SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL", [schema]).fetchone() == (True,)


@contextmanager
def _naming_dependents(schema: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        raise ConsumerStoppedError(
            f"The schema {schema} cannot be removed, because it has what is not ours, or because something else needs "
            f"it:\n{error.diag.message_detail}\nNothing was removed. Move these elsewhere or drop them, then run this "
            f"again. {LIVE_TABLES_UNCHANGED}"
        ) from error


def _made(connection: Connection, schema: str, comment: str | None) -> datetime | None:
    if comment is not None:
        try:
            return datetime.fromisoformat(comment)
        except ValueError:  # somebody's own comment
            return None
    if not exists(connection, f"{schema}.schema_migration"):
        return None
    query = sql.SQL("SELECT min(applied_at) FROM {}").format(sql.Identifier(schema, "schema_migration"))
    ((made,),) = connection.execute(query)
    return made if isinstance(made, datetime) else None
