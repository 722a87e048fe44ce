"""The tables `orders` and `consumer_partition`: the fence, the rows, the watermark *applied*."""

import json
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import TypeVar

import psycopg

from consumer.fold import RowState
from consumer.record import Event, Key
from consumer.row_text import COLUMNS, KEY_COLUMNS, copy_line, json_row

JSON_ROWS_MAX = 100
"""Up to here one statement with all rows in one JSON text beats a COPY: it can share a round trip with others."""

_COLUMN_LIST = ", ".join(COLUMNS)
_VALUE_COLUMNS = [column for column in COLUMNS if column not in KEY_COLUMNS]
_ON_CONFLICT = "ON CONFLICT (partner_id, order_id) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in _VALUE_COLUMNS
)
_UPSERT = f"INSERT INTO orders SELECT * FROM json_populate_recordset(NULL::orders, %b::json) {_ON_CONFLICT}"
_UPDATE = (
    "UPDATE orders AS o SET "
    + ", ".join(f"{column} = c.{column}" for column in _VALUE_COLUMNS)
    + " FROM changed AS c WHERE o.partner_id = c.partner_id AND o.order_id = c.order_id"
)

Connection = psycopg.Connection[tuple[object, ...]]
Value = TypeVar("Value")
Pending = Callable[[], Value]
"""Gives the answer to a statement that was sent; in a pipeline, nobody waits for it before."""


class Store:
    """Statements over one connection; the caller holds the transaction.

    A plan is kept while a table grows from nothing to a million rows, until autovacuum comes by. So look-ups leave the
    planner no other than one probe of an index for each key: they say `= ANY`, or LATERAL with OFFSET 0, which is never
    turned into another join, and `Session` forbids to read a table as a whole.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Kept for the life of the connection; emptied at the end of every transaction.
        connection.execute("CREATE TEMPORARY TABLE changed (LIKE orders) ON COMMIT DELETE ROWS")

    def lock_fence(self, partitions: Iterable[int]) -> Pending[dict[int, int]]:
        """next_offset of each partition, locked in one order by everybody: a zombie waits here for the new owner."""
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM consumer_partition WHERE partition = ANY(%b::int[]) "
            "ORDER BY partition FOR UPDATE",
            [f"{{{','.join(map(str, partitions))}}}"],
        )
        return lambda: dict(rows)  # type: ignore[arg-type]

    def read_fence(self) -> dict[int, int]:
        """next_offset of every partition, as it is at this moment."""
        rows = self._connection.execute("SELECT partition, next_offset FROM consumer_partition")
        return dict(rows)  # type: ignore[arg-type]

    def set_fence(self, next_offsets: Mapping[int, int]) -> None:
        self._connection.execute(
            "UPDATE consumer_partition AS p SET next_offset = n.next_offset::bigint "
            "FROM json_each_text(%b::json) AS n (partition, next_offset) WHERE p.partition = n.partition::int",
            [json.dumps(next_offsets)],
        )

    def read_rows(self, keys: Collection[Key]) -> Pending[dict[Key, RowState]]:
        """What the fold needs of the rows that exist."""
        if not keys:
            return dict
        partner_ids, order_ids = zip(*keys, strict=True)
        rows = self._connection.execute(
            "SELECT partner_id, order_id, event_partition, event_offset, content_hash "
            "FROM unnest(%b::text[], %b::text[]) AS k (partner_id, order_id), LATERAL "
            "(SELECT event_partition, event_offset, content_hash FROM orders AS o "
            "WHERE (o.partner_id, o.order_id) = (k.partner_id, k.order_id) OFFSET 0) AS o",
            [list(partner_ids), list(order_ids)],
        )
        return lambda: {(partner_id, order_id): RowState(*state) for partner_id, order_id, *state in rows}  # type: ignore

    def write_rows(self, events: Collection[Event], existing: Container[Key]) -> None:
        """Each event becomes the row of its key; one event for a key. `existing`: the keys that have a row now."""
        if not events:
            return
        if len(events) <= JSON_ROWS_MAX:
            self._connection.execute(_UPSERT, [f"[{','.join(map(json_row, events))}]"])
            return
        # New rows go straight in: nobody else can add them, because who writes into a partition holds its fence.
        self._copy("orders", [event for event in events if event.key not in existing])
        changed = [event for event in events if event.key in existing]
        if changed:
            self._copy("changed", changed)
            self._connection.execute(_UPDATE, prepare=False)  # planned for the tables as large as they are now

    def _copy(self, table: str, events: Iterable[Event]) -> None:
        text = "".join(map(copy_line, events))
        if text:
            with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} ({_COLUMN_LIST}) FROM STDIN") as copy:
                copy.write(text)
