"""How an ingress reads the tables. It needs them only to look back and for dry-runs; orders are faster with them.

The ingress does not know Postgres. The command that starts it passes a LedgerReader in.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from contracts.errors import OrdersError
from contracts.event import RequestKey
from contracts.log_identity import AppliedLog
from contracts.own_requests import Page, Place
from contracts.result import Outcome, StoredRequest


class LedgerUnavailableError(OrdersError):
    """The ledger did not answer in time, or its address is not set. It may have the request or not."""


class OrdersUnreadableError(OrdersError):
    """Nobody has given this process the right to know what is in the orders, or the address of the tables."""


class LedgerReader(Protocol):
    """Reads the outcomes of applied requests, for as long as the ledger keeps them."""

    async def open(self) -> None:
        """Call it on the event loop that reads. Does not wait until the ledger is reachable."""

    async def close(self) -> None: ...

    async def read(self, request: RequestKey) -> StoredRequest | None:
        """None if nothing of the request is applied, or if it is no longer kept. Raises LedgerUnavailableError."""

    async def list_requests(self, partner_id: str, since: datetime | None, before: Place | None, limit: int) -> Page:
        """The newest requests of the partner that were published since then and stand before a place.

        At most `limit` of them, 1 to REQUESTS_PER_PAGE_MAX. Raises LedgerUnavailableError.
        """

    async def foretell(self, partner_id: str, orders: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        """The outcome that each order would have if it were applied now. `orders`: ids and canonical values.

        Raises LedgerUnavailableError, and OrdersUnreadableError if nobody allows it.
        """

    async def read_log(self) -> AppliedLog | None:
        """From which log the tables were filled, and how far. None before the first start of a consumer.

        Raises LedgerUnavailableError.
        """


class NoLedger:
    """The reader of an ingress without ORDERS_POSTGRES_URL: every read raises LedgerUnavailableError."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, request: RequestKey) -> StoredRequest | None:
        raise LedgerUnavailableError("ORDERS_POSTGRES_URL is not set.")

    async def list_requests(self, partner_id: str, since: datetime | None, before: Place | None, limit: int) -> Page:
        raise LedgerUnavailableError("ORDERS_POSTGRES_URL is not set.")

    async def foretell(self, partner_id: str, orders: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        raise OrdersUnreadableError("ORDERS_POSTGRES_URL is not set.")

    async def read_log(self) -> AppliedLog | None:
        raise LedgerUnavailableError("ORDERS_POSTGRES_URL is not set.")
