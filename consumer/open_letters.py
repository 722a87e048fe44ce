"""The table `order_letter`: where the newest dead letter of an order stands, while nothing newer was applied."""

from collections.abc import Collection, Mapping

from consumer.record import Key
from consumer.store import Connection, Pending


class OpenLetters:
    """Statements over one connection; the caller holds the transaction. Nearly always the table is empty."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, keys: Collection[Key]) -> Pending[dict[Key, int]]:
        """The offset of the newest letter of each key that has one."""
        if not keys:
            return dict
        some = self._connection.execute("SELECT FROM order_letter LIMIT 1")
        return lambda: {} if some.fetchone() is None else self._read(keys)

    def _read(self, keys: Collection[Key]) -> dict[Key, int]:
        partner_ids, order_ids = zip(*keys, strict=True)
        rows = self._connection.execute(
            "SELECT partner_id, order_id, event_offset "
            "FROM unnest(%b::text[], %b::text[]) AS k (partner_id, order_id), LATERAL "
            "(SELECT event_offset FROM order_letter AS l "
            "WHERE (l.partner_id, l.order_id) = (k.partner_id, k.order_id) OFFSET 0) AS l",
            [list(partner_ids), list(order_ids)],
        )
        return {(partner_id, order_id): offset for partner_id, order_id, offset in rows}  # type: ignore[misc]

    def write(self, changes: Mapping[Key, int | None]) -> None:
        """The newest letter of each key; None where it does not count any more."""
        noted = [(*key, offset) for key, offset in changes.items() if offset is not None]
        settled = [key for key, offset in changes.items() if offset is None]
        if noted:
            self._connection.execute(
                "INSERT INTO order_letter (partner_id, order_id, event_offset) "
                "SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[]) "
                "ON CONFLICT (partner_id, order_id) DO UPDATE SET event_offset = excluded.event_offset",
                [list(column) for column in zip(*noted, strict=True)],
            )
        if settled:
            self._connection.execute(
                "DELETE FROM order_letter USING unnest(%b::text[], %b::text[]) AS k (partner_id, order_id) "
                "WHERE order_letter.partner_id = k.partner_id AND order_letter.order_id = k.order_id",
                [list(column) for column in zip(*settled, strict=True)],
            )
