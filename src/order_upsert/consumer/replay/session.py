"""What is other in a replay's session: the ledger, which serves nobody's questions here."""

from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

from order_upsert.consumer.database import Session
from order_upsert.consumer.ledger import Ledger, RequestPart
from order_upsert.consumer.store import Connection


class ReplayLedger(Ledger):
    """Keeps nothing: a replay answers nobody."""

    def ensure_days(self, days: Collection[date]) -> None:
        return

    def write(self, parts: Iterable[RequestPart]) -> None:
        return

    def read(self, requests: Collection[tuple[UUID, str]]) -> list[tuple[UUID, str, str]]:
        return []


class ReplaySession(Session):
    """A consumer's session on the tables of a replay."""

    def __init__(self, connection: Connection, ledger_days: int) -> None:
        super().__init__(connection, ledger_days)
        self.ledger = ReplayLedger(connection, ledger_days)
