"""What is other in a replay's session: the ledger and the keys, because partitions of a replay do not go on equally.

The consumers forget days by the newest day of all partitions. Here another partition may be weeks ahead, so nothing is
dropped; what would have been forgotten is told by the day of the batch.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from consumer.core.replies import StoredPart
from consumer.postgres.connection import BusyConnection, Connection, Pending
from consumer.postgres.ledger import IdempotencyKeys, Ledger
from consumer.postgres.session import Session
from contracts.event import RequestKey


class ReplayLedger(Ledger):
    """By it an event is known to be a repeat, or a copy that a producer sent again."""

    def __init__(self, connection: Connection, days_kept: int) -> None:
        super().__init__(connection, days_kept)
        self._today = date.min

    def ensure_days(self, days: Collection[date]) -> None:
        """Every batch of a replay is of one day."""
        self._today = max(days)

    def read(self, requests: Collection[RequestKey], since: date = date.min) -> Pending[list[StoredPart]]:
        """What a consumer still had on the day of the batch."""
        first_kept = self._today - self._kept + timedelta(days=1)
        return super().read(requests, max(since, first_kept))


class ReplayIdempotencyKeys(IdempotencyKeys):
    """Whose a key is was decided by the consumers: what lost it has a letter, and is not in a replay's batch at all."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, timedelta.max.days)

    def claim(self, claims: Mapping[RequestKey, tuple[str, datetime]]) -> dict[RequestKey, str]:
        return {request: digest for request, (digest, _) in claims.items()}


class ReplaySession(Session):
    """A consumer's session on the tables of a replay."""

    def __init__(self, connection: BusyConnection, ledger_days: int) -> None:
        super().__init__(connection, ledger_days)
        self.ledger = ReplayLedger(connection, ledger_days)
        self.idempotency_keys = ReplayIdempotencyKeys(connection)
