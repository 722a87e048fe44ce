"""Reads the ledger for an ingress: one statement for each question, on a small pool of connections."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from consumer.core.foretell import foretell
from consumer.postgres import own_requests
from consumer.postgres.conninfo import conninfo
from consumer.postgres.describe import describe
from consumer.settings import CurrentUrl
from contracts.event import RequestKey
from contracts.ledger_reader import LedgerUnavailableError, OrdersUnreadableError
from contracts.log_identity import AppliedLog
from contracts.own_requests import Page, Place
from contracts.result import Outcome, StoredRequest, decode_outcomes

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
_LOG = (
    "SELECT s.topic, s.topic_id, p.partition, p.next_offset "
    "FROM source_topic AS s LEFT JOIN consumer_partition AS p ON true"
)
_HASHES = "SELECT order_id, content_hash FROM order_hashes(%(partner_id)s, %(order_ids)s)"
_log = logging.getLogger(__name__)


class PostgresLedgerReader:
    """Implements `contracts.ledger_reader` on the tables of the consumer."""

    def __init__(self, url: str | CurrentUrl) -> None:
        current = CurrentUrl(url) if isinstance(url, str) else url
        self._pool = AsyncConnectionPool(
            lambda: conninfo(current(), "order-upsert ingress", tcp_user_timeout=5000),
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
        rows = await self._rows(_STATEMENT, {"request_id": request_id, "partner_id": partner_id})
        if not rows:
            return None
        stored = StoredRequest()
        for digest, size, invalid, outcomes in rows:
            stored.digest, stored.size, stored.invalid = digest, size, invalid
            if outcomes is not None:
                stored.merge(decode_outcomes(outcomes))
        return stored

    async def list_requests(self, partner_id: str, since: datetime | None, before: Place | None, limit: int) -> Page:
        """Raises LedgerUnavailableError."""
        asked = own_requests.parameters(partner_id, since, before, limit)
        return own_requests.page(await self._rows(own_requests.STATEMENT, asked), limit)

    async def foretell(self, partner_id: str, orders: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        """Raises LedgerUnavailableError, and OrdersUnreadableError."""
        order_ids = list({order_id for order_id, _ in orders})
        try:
            rows = await self._rows(_HASHES, {"partner_id": partner_id, "order_ids": order_ids})
        except LedgerUnavailableError as error:
            if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege | psycopg.errors.UndefinedFunction):
                raise OrdersUnreadableError(str(error)) from error
            raise
        return foretell(orders, dict(rows))

    async def read_log(self) -> AppliedLog | None:
        """Raises LedgerUnavailableError."""
        rows = await self._rows(_LOG, {})
        if not rows:
            return None
        return AppliedLog(rows[0][0], rows[0][1], {row[2]: row[3] for row in rows if row[2] is not None})

    async def _rows(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as connection, connection.pipeline():  # all of it in one round trip
                await connection.execute("BEGIN READ ONLY")
                await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
                cursor = await connection.execute(statement.encode(), parameters)
                await connection.execute("COMMIT")
                rows: list[tuple[Any, ...]] = await cursor.fetchall()
                return rows
        except (psycopg.Error, PoolTimeout, TooManyRequests) as error:
            raise LedgerUnavailableError(f"Postgres: {_explained(error)}") from error


def _explained(error: Exception) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return (
            f"{describe(error)}. The role of the ingress needs SELECT on request_part, request_key, "
            "source_topic and consumer_partition, and for dry-runs EXECUTE on order_hashes(text, text[])."
        )
    return describe(error) if isinstance(error, psycopg.Error) else str(error).strip()
