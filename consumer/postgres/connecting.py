"""Opens connections with a session of their own, which everything but the ingress needs."""

import select
from contextlib import closing
from typing import Any, TypeVar

import psycopg

from consumer.errors import ConsumerStoppedError
from consumer.postgres.conninfo import conninfo

_POOLER_LOOKS = 3
_POOL_WAIT_S = 2.0
_NEEDS_A_SESSION = (
    "ORDERS_POSTGRES_URL leads to a pooler that gives each transaction another session (PgBouncer: pool_mode = "
    "transaction), but this program needs a session of its own: set it to the address of Postgres itself, or to a pool "
    "with pool_mode = session; only the ingress works through this one."
)

AnyConnection = TypeVar("AnyConnection", bound=psycopg.Connection[Any])


def connect(url: str, application_name: str, kind: type[AnyConnection]) -> AnyConnection:
    """A connection in autocommit mode, whose session is its own. Raises psycopg.Error, and ConsumerStoppedError."""
    info = conninfo(url, application_name)
    connection = kind.connect(info, autocommit=True)  # transactions are opened where they are meant
    try:
        _require_own_session(connection, info)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_own_session(connection: psycopg.Connection[Any], info: str) -> None:
    """Raises ConsumerStoppedError behind a pooler that changes sessions between two transactions.

    It is called before the first SET, because a setting would stay in the pool for its other clients. A pooler tells
    its clients another process id than that of the server's session. A second connection shows whether the pooler
    changes sessions: its transaction gets the session that the first connection had, or the first one gets another.
    """
    if _backend(connection) == connection.pgconn.backend_pid:
        return
    for _ in range(_POOLER_LOOKS):
        first = _backend(connection)
        try:
            other = psycopg.connect(info)
        except psycopg.OperationalError:
            return  # the pool has no second session while the first one is ours
        with closing(other):
            if _backend_soon(other) == first or _backend(connection) != first:
                raise ConsumerStoppedError(_NEEDS_A_SESSION)


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _backend_soon(connection: psycopg.Connection[Any]) -> int | None:
    """In a transaction, which ends with the connection. None if a pool has no session to give."""
    pgconn = connection.pgconn
    pgconn.send_query(b"BEGIN; SELECT pg_backend_pid()")
    found = None
    while select.select([pgconn.socket], [], [], _POOL_WAIT_S)[0]:
        pgconn.consume_input()
        while not pgconn.is_busy():
            if (result := pgconn.get_result()) is None:
                return found
            found = int(result.get_value(0, 0) or 0) if result.ntuples else found
    return None
