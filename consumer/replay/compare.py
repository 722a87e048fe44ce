"""Compares two tables of orders byte for byte: first checksums, then rows, but only those whose checksums differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from consumer.core.record import OrderKey
from consumer.postgres.connection import Connection
from consumer.postgres.tables import ORDERS

BUCKETS = 1024
"""The number of parts in which orders are compared. Rows are read only of parts that differ, one part at a time."""

Bucket = tuple[int, Any, Any]
"""The number of rows, and two sums of 64-bit hashes of their texts. Both sums agree by chance once in 2^128."""

Row = tuple[str | None, dict[str, Any] | None]
"""A row as text, which is compared, and as JSON, which is shown."""

_NONE: Row = (None, None)
_BUCKET = sql.SQL("hashtextextended(partner_id || ' ' || order_id, 0) & {}").format(BUCKETS - 1)
_SUMS = sql.SQL(
    "SELECT {bucket}, count(*), sum(hashtextextended(o::text, 1)), sum(hashtextextended(o::text, 2)) "
    "FROM {rows} AS o WHERE {only} GROUP BY 1"
)
_ROWS = sql.SQL(
    "SELECT partner_id, order_id, o::text, to_jsonb(o) FROM {rows} AS o WHERE {bucket} = {number} AND {only}"
)
_ALL = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Difference:
    """An order that differs: its live row, and its row according to the topic. None if it has no row."""

    partner_id: str
    order_id: str
    live: dict[str, Any] | None
    replayed: dict[str, Any] | None

    @property
    def columns(self) -> list[str]:
        """The columns that differ, in the order of the table."""
        live, replayed = self.live or {}, self.replayed or {}
        return [name for name in {**live, **replayed} if live.get(name) != replayed.get(name)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`orders`: how many were compared, those of the topic and those that only the live table has. `live_orders`: how
    many of them have a live row. `left_out`: how many were not compared, because they changed since the replay."""

    orders: int
    live_orders: int
    left_out: int
    checksum: str
    differences: int
    shown: list[Difference]


def compare(live: Connection, replayed: Connection, schema: str, shown_max: int) -> Comparison:
    """Compares tables with equal fences. Each connection is in a transaction with one snapshot."""
    return _compare(live, replayed, schema, _ALL, _ALL, 0, shown_max)


def compare_older(connection: Connection, schema: str, shown_max: int) -> Comparison:
    """Compares the live tables with a replay behind them, in one snapshot, without the orders that changed since."""
    names = {"schema": sql.Identifier(schema)}
    unchanged = sql.SQL(
        "o.event_offset < (SELECT next_offset FROM {schema}.consumer_partition WHERE partition = o.event_partition)"
    ).format(**names)
    not_changed = sql.SQL(
        "NOT EXISTS (SELECT FROM orders AS l JOIN {schema}.consumer_partition AS f ON f.partition = l.event_partition "
        "WHERE l.partner_id = o.partner_id AND l.order_id = o.order_id AND l.event_offset >= f.next_offset)"
    ).format(**names)
    counted = connection.execute(sql.SQL("SELECT count(*) FROM orders AS o WHERE NOT {}").format(unchanged)).fetchone()
    assert counted is not None
    return _compare(connection, connection, schema, unchanged, not_changed, counted[0], shown_max)


def _compare(
    live: Connection,
    replayed: Connection,
    schema: str,
    live_only: sql.Composable,
    replayed_only: sql.Composable,
    left_out: int,
    shown_max: int,
) -> Comparison:
    tables = sql.Identifier("orders"), sql.Identifier(schema, "orders")
    ours, theirs = _sums(live, tables[0], live_only), _sums(replayed, tables[1], replayed_only)
    differences = only_live = 0
    shown: list[Difference] = []
    for number in _unequal(ours, theirs):
        for difference in _differences(
            _rows(live, tables[0], number, live_only), _rows(replayed, tables[1], number, replayed_only)
        ):
            differences += 1
            only_live += difference.replayed is None
            if len(shown) < shown_max:
                shown.append(difference)
    live_orders, replayed_orders = (sum(count for count, _, _ in sums.values()) for sums in (ours, theirs))
    checksum = int(sum(first for _, first, _ in theirs.values())) % 2**64
    return Comparison(replayed_orders + only_live, live_orders, left_out, f"{checksum:016x}", differences, shown)


def differences(connection: Connection, schema: str) -> Iterator[Difference]:
    """Every order whose row in the live table is not that in `schema`. In a transaction, with one snapshot."""
    live, replayed = sql.Identifier("orders"), sql.Identifier(schema, "orders")
    for number in _unequal(_sums(connection, live, _ALL), _sums(connection, replayed, _ALL)):
        yield from _differences(_rows(connection, live, number, _ALL), _rows(connection, replayed, number, _ALL))


def _unequal(ours: dict[int, Bucket], theirs: dict[int, Bucket]) -> list[int]:
    return [number for number in sorted(ours.keys() | theirs.keys()) if ours.get(number) != theirs.get(number)]


def _columns_of(table: sql.Identifier) -> sql.Composable:
    """The rows of `table` without the columns that a shop added: no event gives those again."""
    return sql.SQL("(SELECT {} FROM {})").format(sql.SQL(", ").join(map(sql.Identifier, ORDERS)), table)


def _sums(connection: Connection, table: sql.Identifier, only: sql.Composable) -> dict[int, Bucket]:
    # There are at most BUCKETS groups. Postgres does not know that, and would sort all rows on its disk.
    connection.execute("SET LOCAL enable_sort = off")
    rows = connection.execute(_SUMS.format(bucket=_BUCKET, rows=_columns_of(table), only=only))
    return {number: (count, first, second) for number, count, first, second in rows}


def _rows(connection: Connection, table: sql.Identifier, number: int, only: sql.Composable) -> dict[OrderKey, Row]:
    rows = connection.execute(_ROWS.format(rows=_columns_of(table), bucket=_BUCKET, number=number, only=only))
    return {(partner_id, order_id): (text, row) for partner_id, order_id, text, row in rows}


def _differences(live: dict[OrderKey, Row], replayed: dict[OrderKey, Row]) -> Iterator[Difference]:
    for key in sorted(live.keys() | replayed.keys()):
        (text, row), (replayed_text, replayed_row) = live.get(key, _NONE), replayed.get(key, _NONE)
        if text != replayed_text:
            yield Difference(*key, row, replayed_row)
