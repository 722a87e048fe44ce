"""Migrates the tables: applies each file in migrations/ once, in the order of their numbers."""

from importlib.resources import files

import psycopg
from psycopg.rows import TupleRow

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connecting import connect
from consumer.postgres.connection import Connection
from consumer.postgres.describe import describe
from consumer.postgres.server import require_supported
from consumer.postgres.sqlstate import translate
from consumer.postgres.tables import require_tables

_LOCK = 7_041_000  # for pg_advisory_lock: only one set-up runs at a time


def migrate(url: str) -> list[str]:
    """Applies the missing migrations, each in one transaction, and returns their names. Raises ConsumerError."""
    try:
        with connect(url, "order-upsert setup", psycopg.Connection[TupleRow]) as connection:
            require_supported(connection)
            require_utf8(connection)
            return migrate_schema(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConsumerStoppedError(
            f"The role of ORDERS_POSTGRES_URL may not set up the tables: {describe(error)}\n"
            'Give it what docs/operating.md says under "Roles and rights", or run setup as the owner of the tables.'
        ) from error
    except psycopg.Error as error:
        raise translate(error) from error


def require_utf8(connection: Connection) -> None:
    """Raises ConsumerStoppedError unless the database holds every character."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConsumerStoppedError(
            f"The database {connection.info.dbname} has the encoding {encoding}, which cannot hold every order: create "
            "one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and set ORDERS_POSTGRES_URL to it."
        )


def migrate_schema(connection: Connection) -> list[str]:
    """Does the same in the first schema of the search_path. Holds a lock until the connection is closed."""
    applied = []
    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(version text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    for version in _missing(connection):
        with connection.transaction():
            connection.execute(_migrations()[version].encode())
            connection.execute("INSERT INTO schema_migration (version) VALUES (%s)", [version])
        applied.append(version)
    return applied


def require_migrated(connection: Connection) -> None:
    """Raises ConsumerStoppedError unless every migration of this version is applied."""
    missing = _missing(connection)
    if missing and connection.execute("SELECT current_schema()").fetchone() == (None,):
        require_tables(connection)  # says what is wrong with the search_path
    if missing:
        raise ConsumerStoppedError(
            f"The tables do not fit this version. Missing migrations: {', '.join(missing)}. Run: orders setup"
        )


def _missing(connection: Connection) -> list[str]:
    exists = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone() == (True,)
    done = {row[0] for row in connection.execute("SELECT version FROM schema_migration")} if exists else set()
    return sorted(_migrations().keys() - done)


def _migrations() -> dict[str, str]:
    folder = files("consumer") / "postgres" / "migrations"
    return {file.name.removesuffix(".sql"): file.read_text() for file in folder.iterdir()}
