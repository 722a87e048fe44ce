"""The tables `orders`, one row for each order, and `order_letter`, the offset of the newest dead letter of an order.

Rows are written as text. COPY takes one line for each row, its columns separated by tabs; a few rows are one JSON text.
psycopg can format rows too, value by value, but that takes more than twice as long as joining the texts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from consumer.core.batch import Columns
from consumer.core.fold import RowState
from consumer.core.record import Event, OrderKey
from consumer.postgres.connection import JSON_ROWS_MAX, Connection, Pending
from consumer.postgres.tables import ORDERS, column_definitions, counted, require_count
from contracts.canonical import FIELDS

KEY_COLUMNS = ("partner_id", "order_id")
COLUMNS = (*FIELDS, "partner_id", "content_hash", "event_partition", "event_offset", "event_time")
"""In the order in which `copy_lines` writes them."""

_COLUMN_LIST = ", ".join(COLUMNS)
_VALUE_COLUMNS = [column for column in COLUMNS if column not in KEY_COLUMNS]
_DEFINITIONS = column_definitions(ORDERS, COLUMNS)
_ROWS = f"json_to_recordset(%b::json) AS c ({_DEFINITIONS})"
_SET = ", ".join(f"{column} = c.{column}" for column in _VALUE_COLUMNS)
_SAME_KEY = "o.partner_id = c.partner_id AND o.order_id = c.order_id"
_INSERT = counted("orders", f"INSERT INTO orders ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} FROM {_ROWS}")
_CHANGE = counted("orders", f"UPDATE orders AS o SET {_SET} FROM {_ROWS} WHERE {_SAME_KEY}")
_UPDATE = f"UPDATE orders AS o SET {_SET} FROM changed AS c WHERE {_SAME_KEY}"


class Orders:
    """Statements on one connection. The caller holds the transaction.

    Postgres keeps a plan while a table grows from nothing to a million rows, until autovacuum runs. So look-ups leave
    the planner only one way: to probe an index for each key. They use `= ANY`, or LATERAL with OFFSET 0, which the
    planner never turns into another join, and `Session` turns off sequential scans.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # It lives as long as the connection, and is emptied at the end of every transaction.
        connection.execute(f"CREATE TEMPORARY TABLE changed ({_DEFINITIONS}) ON COMMIT DELETE ROWS")

    def read(self, keys: Collection[OrderKey]) -> Pending[dict[OrderKey, RowState]]:
        """The state of each key that has a row."""
        if not keys:
            return Pending(dict)
        partner_ids, order_ids = zip(*keys, strict=True)
        rows = self._connection.execute(
            "SELECT partner_id, order_id, event_partition, event_offset, content_hash "
            "FROM unnest(%b::text[], %b::text[]) AS k (partner_id, order_id), LATERAL "
            "(SELECT event_partition, event_offset, content_hash FROM orders AS o "
            "WHERE (o.partner_id, o.order_id) = (k.partner_id, k.order_id) OFFSET 0) AS o",
            [text_array(partner_ids), text_array(order_ids)],
        )
        return Pending(lambda: {(partner, order): RowState(*state) for partner, order, *state in rows})

    def write(self, columns: Columns, changes: Mapping[OrderKey, int], existing: Collection[OrderKey]) -> None:
        """`changes`: for each key, the position of the event that becomes its row. `existing`: the keys that have a row
        now."""
        if not changes:
            return
        # New rows need no ON CONFLICT: only the holder of the fence writes to a partition, so nobody else adds them. So
        # the same triggers fire whether there are few rows or many: for INSERT, or for UPDATE, never for both.
        new, changed = list(changes.values()), list[int]()
        if existing:
            new = [position for key, position in changes.items() if key not in existing]
            changed = [position for key, position in changes.items() if key in existing]
        if len(changes) <= JSON_ROWS_MAX:
            for statement, positions in ((_INSERT, new), (_CHANGE, changed)):
                if positions:
                    self._connection.execute(statement, [json_rows(columns, positions), len(positions)])
            return
        self._copy("orders", columns, new)
        if changed:
            self._copy("changed", columns, changed)
            cursor = self._connection.execute(
                _UPDATE, prepare=False
            )  # the plan must fit the tables as large as they are
            require_count("orders", cursor.rowcount, len(changed))

    def _copy(self, table: str, columns: Columns, positions: Sequence[int]) -> None:
        if not positions:
            return
        with self._connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} ({_COLUMN_LIST}) FROM STDIN") as copy:
                copy.write(copy_lines(columns, positions))
            require_count(table, cursor.rowcount, len(positions))


def copy_lines(columns: Columns, positions: Iterable[int]) -> str:
    """The rows that the events become, each as a line for COPY with its line end."""
    objects, keys, texts, value_hashes = columns.objects, columns.keys, columns.texts, columns.value_hashes
    partitions, offsets, times_ms = columns.partitions, columns.offsets, columns.times_ms
    return "".join(
        [
            f"{texts[at]}\t{keys[at][0]}\t\\\\x{value_hashes[at].hex()}\t"  # type: ignore[index]
            f"{partitions[at]}\t{offsets[at]}\t{timestamp(times_ms[at])}\n"
            if at not in objects
            else _copy_line(columns.event(at))
            for at in positions
        ]
    )


def _copy_line(event: Event) -> str:
    return (
        f"{event.text}\t{event.context.partner_id}\t\\\\x{event.content_hash.hex()}\t{event.record.partition}\t"
        f"{event.place}\t{_time(event)}\n"
    )


def json_rows(columns: Columns, positions: Iterable[int]) -> str:
    """The same rows as a JSON array: the fields of each canonical order, and the other columns of the table."""
    return f"[{','.join([_json_row(columns.event(position)) for position in positions])}]"


def _json_row(event: Event) -> str:
    return (
        f'{event.canonical.decode()[:-1]},"partner_id":"{event.context.partner_id}","content_hash":"\\\\x'
        f'{event.content_hash.hex()}","event_partition":{event.record.partition},"event_offset":{event.place},'
        f'"event_time":"{_time(event)}"}}'
    )


def _time(event: Event) -> str:
    """The time of an event. Most have that of their record, and many records have the same."""
    return timestamp(event.record.time_ms) if event.context.origin is None else event.time.isoformat()


@lru_cache(maxsize=1024)
def timestamp(time_ms: int) -> str:
    """As Postgres reads it. Many records have the same time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def text_array(texts: Collection[str]) -> str:
    """The texts as a literal of text[]. psycopg puts one together value by value, in several times the time."""
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') > 2 * (len(texts) - 1):
        joined = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts])
    return f'{{"{joined}"}}'


class OpenLetters:
    """Statements on one connection. The caller holds the transaction. The table is nearly always empty."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, keys: Collection[OrderKey]) -> Pending[dict[OrderKey, int]]:
        """The offset of the newest letter of each key that has one."""
        if not keys:
            return Pending(dict)
        any_row = self._connection.execute("SELECT FROM order_letter LIMIT 1")
        return Pending(lambda: {} if any_row.fetchone() is None else self._read(keys))

    def _read(self, keys: Collection[OrderKey]) -> dict[OrderKey, int]:
        partner_ids, order_ids = zip(*keys, strict=True)
        rows = self._connection.execute(
            "SELECT partner_id, order_id, event_offset "
            "FROM unnest(%b::text[], %b::text[]) AS k (partner_id, order_id), LATERAL "
            "(SELECT event_offset FROM order_letter AS l "
            "WHERE (l.partner_id, l.order_id) = (k.partner_id, k.order_id) OFFSET 0) AS l",
            [text_array(partner_ids), text_array(order_ids)],
        )
        return {(partner_id, order_id): offset for partner_id, order_id, offset in rows}

    def write(self, changes: Mapping[OrderKey, int | None]) -> None:
        """`changes`: the offset of the newest letter of each key; None if it no longer counts."""
        noted = [(*key, offset) for key, offset in changes.items() if offset is not None]
        settled = [key for key, offset in changes.items() if offset is None]
        if noted:
            self._connection.execute(
                "INSERT INTO order_letter (partner_id, order_id, event_offset) "
                "SELECT k.p, k.o, k.e FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS k (p, o, e) "
                "ON CONFLICT (partner_id, order_id) DO UPDATE SET event_offset = excluded.event_offset",
                [list(column) for column in zip(*noted, strict=True)],
            )
        if settled:
            self._connection.execute(
                "DELETE FROM order_letter USING unnest(%b::text[], %b::text[]) AS k (partner_id, order_id) "
                "WHERE order_letter.partner_id = k.partner_id AND order_letter.order_id = k.order_id",
                [list(column) for column in zip(*settled, strict=True)],
            )
