"""What an ingress may ask of the ledger: it answers faster with it, and needs it for the status resource alone.

The ingress knows no Postgres; whoever starts it hands in something that can be asked.
"""

from typing import Protocol

from contracts.errors import OrdersError
from contracts.event import RequestKey
from contracts.result import StoredRequest


class LedgerUnavailableError(OrdersError):
    """The ledger did not answer in time, or nobody said where it is. What was asked may be there or not."""


class LedgerReader(Protocol):
    """The outcomes of every request that was applied, for as long as they are kept."""

    async def open(self) -> None:
        """On the event loop that asks; does not wait for the ledger to be reachable."""

    async def close(self) -> None: ...

    async def read(self, request: RequestKey) -> StoredRequest | None:
        """None where nothing of it was applied, or it is forgotten. Raises LedgerUnavailableError."""


class NoLedger:
    """Where ORDERS_POSTGRES_URL is not set."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, request: RequestKey) -> StoredRequest | None:
        raise LedgerUnavailableError("ORDERS_POSTGRES_URL is not set.")
