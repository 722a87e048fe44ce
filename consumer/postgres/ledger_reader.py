"""Reads the ledger for an ingress: one statement for each request, on a small pool of connections."""

import logging

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from consumer.postgres.conninfo import conninfo
from consumer.postgres.describe import describe
from contracts.event import RequestKey
from contracts.ledger_reader import LedgerUnavailableError
from contracts.result import StoredRequest, decode_outcomes

CONNECTIONS_MAX = 4
WAITING_MAX = 256
WAIT_S = 0.5
"""A repeated request waits at most this long. Then its events are published again, and the consumer decides."""
STATEMENT_TIMEOUT_MS = 1000

_STATEMENT = """
SELECT k.digest, p.request_size, p.request_invalid, p.outcomes
FROM (SELECT request_id, partner_id, digest, request_size, request_invalid, outcomes FROM request_part
      WHERE request_id = %(request_id)s AND partner_id = %(partner_id)s) AS p
FULL JOIN (SELECT request_id, partner_id, digest FROM request_key
      WHERE request_id = %(request_id)s AND partner_id = %(partner_id)s) AS k USING (request_id, partner_id)
WHERE k.digest IS NOT DISTINCT FROM p.digest OR p.outcomes IS NULL
"""
_log = logging.getLogger(__name__)


class PostgresLedgerReader:
    """Implements `contracts.ledger_reader` on the tables of the consumer."""

    def __init__(self, url: str) -> None:
        self._pool = AsyncConnectionPool(
            conninfo(url, "order-upsert ingress", tcp_user_timeout=5000),
            # Nothing is kept in a session, neither settings nor prepared statements: a pooler gives each transaction
            # another one, and its other clients get ours.
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=CONNECTIONS_MAX,
            max_waiting=WAITING_MAX,
            timeout=WAIT_S,
            reconnect_timeout=10,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def open(self) -> None:
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # our caller logs each failure
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    async def read(self, request: RequestKey) -> StoredRequest | None:
        """Raises LedgerUnavailableError."""
        request_id, partner_id = request
        try:
            async with self._pool.connection() as connection, connection.pipeline():  # all of it in one round trip
                await connection.execute("BEGIN READ ONLY")
                await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
                cursor = await connection.execute(_STATEMENT, {"request_id": request_id, "partner_id": partner_id})
                await connection.execute("COMMIT")
                rows = await cursor.fetchall()
        except (psycopg.Error, PoolTimeout, TooManyRequests) as error:
            raise LedgerUnavailableError(f"Postgres: {_explained(error)}") from error
        if not rows:
            return None
        stored = StoredRequest()
        for digest, size, invalid, outcomes in rows:
            stored.digest, stored.size, stored.invalid = digest, size, invalid
            if outcomes is not None:
                stored.merge(decode_outcomes(outcomes))
        return stored


def _explained(error: Exception) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{describe(error)}. The role of the ingress needs SELECT on request_part and request_key."
    return describe(error) if isinstance(error, psycopg.Error) else str(error).strip()
