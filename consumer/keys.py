"""Who an Idempotency-Key belongs to: the table `request_key`."""

from collections.abc import Collection, Mapping
from datetime import datetime

from consumer.store import Connection
from contracts.record import Request


class Keys:
    """Statements over one connection; the caller holds the transaction."""

    def __init__(self, connection: Connection, days_kept: int) -> None:
        self._connection = connection
        self._days_kept = days_kept

    def claim(self, claims: Mapping[Request, tuple[str, datetime]]) -> dict[Request, str]:
        """The digest that each key belongs to, now and for as long as the ledger is kept: the given one if it was free.

        Waits for another transaction that claims the same key. In one order by everybody, so that two cannot wait for
        each other.
        """
        if not claims:
            return {}
        ordered = sorted(claims.items())
        self._connection.execute(
            "INSERT INTO request_key AS k (request_id, partner_id, digest, day) "
            "SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::date[]) "
            "ON CONFLICT (request_id, partner_id) DO UPDATE SET digest = excluded.digest, day = excluded.day "
            "WHERE k.day <= excluded.day - %b",
            [
                [request_id for (request_id, _), _ in ordered],
                [partner_id for (_, partner_id), _ in ordered],
                [digest for _, (digest, _) in ordered],
                [time.date() for _, (_, time) in ordered],
                self._days_kept,
            ],
        )
        return self.owners(claims.keys())

    def owners(self, requests: Collection[Request]) -> dict[Request, str]:
        """The digest that each key belongs to; nothing for a key that nobody has."""
        if not requests:
            return {}
        asked = set(requests)
        rows = self._connection.execute(
            "SELECT request_id, partner_id, digest FROM request_key WHERE request_id = ANY(%b::uuid[])",
            [[request_id for request_id, _ in asked]],
        )
        owners: dict[Request, str] = {(request_id, partner_id): digest for request_id, partner_id, digest in rows}  # type: ignore[misc]
        return {request: digest for request, digest in owners.items() if request in asked}
