"""Migrates the tables: applies each file in migrations/ once, in the order of their numbers."""

from importlib.resources import files

import psycopg

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection
from consumer.postgres.sqlstate import translate

_LOCK = 7_041_000  # for pg_advisory_lock: only one set-up runs at a time


def migrate(url: str) -> list[str]:
    """Applies the missing migrations, each in one transaction, and returns their names. Raises ConsumerError."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            return migrate_schema(connection)
    except psycopg.Error as error:
        raise translate(error) from error


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
