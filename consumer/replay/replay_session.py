"""The session of a replay. Its ledger and keys differ, because the partitions of a replay do not advance together.

The consumers drop days relative to the newest day of all partitions. In a replay another partition may be weeks ahead,
so nothing is dropped. The day of the batch tells what the consumers had forgotten then.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from consumer.core.replies import StoredPart
from consumer.postgres.connection import BusyConnection, Connection, Pending
from consumer.postgres.ledger import CLOCKS_APART, IdempotencyKeys, Ledger
from consumer.postgres.session import Session
from contracts.event import RequestKey


class ReplayLedger(Ledger):
    """The ledger that shows whether an event is a repeat, or a copy that a producer sent again."""

    def __init__(self, connection: Connection, days_kept: int) -> None:
        super().__init__(connection, days_kept)
        self.today = self._reached = date.min

    def ensure_days(self, days: Collection[date]) -> None:
        """Creates nothing. Notes the day of the batch: every batch of a replay has one day.

        A day that Postgres has not reached yet is that of a broker whose clock was ahead: the consumers forgot nothing.
        """
        self.today = max(days)
        if self.today > self._reached:
            self._reached = self._read_today() + CLOCKS_APART
            self.today = min(self.today, self._reached)

    def read(self, requests: Collection[RequestKey], since: date = date.min) -> Pending[list[StoredPart]]:
        """The parts that a consumer still had on the day of the batch."""
        first_kept = self.today - self._kept + timedelta(days=1)
        return super().read(requests, max(since, first_kept))


class ReplayIdempotencyKeys(IdempotencyKeys):
    """Every claim wins: the consumers decided who owns a key, and events that lost one are not in the batch at all."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, timedelta.max.days)

    def claim(self, claims: Mapping[RequestKey, tuple[str, datetime]]) -> dict[RequestKey, str]:
        return {request: digest for request, (digest, _) in claims.items()}


class ReplaySession(Session):
    """The session of a consumer on the tables of a replay."""

    def __init__(self, connection: BusyConnection, ledger_days: int) -> None:
        super().__init__(connection, ledger_days)
        self.ledger = ReplayLedger(connection, ledger_days)
        self.idempotency_keys = ReplayIdempotencyKeys(connection)
