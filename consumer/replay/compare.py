"""Compares two tables of orders byte for byte: first checksums, then rows, but only those whose checksums differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, repeat
from typing import Any

from psycopg import sql

from consumer.core.portions import batched
from consumer.core.record import OrderKey
from consumer.postgres.connection import Connection
from consumer.postgres.tables import ORDERS

BUCKETS = 1024
"""The number of parts in which orders are compared. Keys are read only of parts that differ."""
KEYS_FETCHED = 5_000
"""Keys with their hashes that are in memory at once, of each table."""
ROWS_FETCHED = 1_000
"""Whole rows that are in memory at once, of each table."""

Hashes = list[int]
Bucket = tuple[int, Any, Any]
"""The number of rows, and two sums of 64-bit hashes of their texts. Both sums agree by chance once in 2^128."""

_BUCKET = sql.SQL("hashtextextended(partner_id || ' ' || order_id, 0) & {}").format(BUCKETS - 1)
_HASHES = sql.SQL("hashtextextended(o::text, 1), hashtextextended(o::text, 2)")
_SUMS = sql.SQL(
    "SELECT {bucket}, count(*), sum(hashtextextended(o::text, 1)), sum(hashtextextended(o::text, 2)) "
    "FROM {rows} AS o WHERE {only} GROUP BY 1"
)
# By code points, as Python orders them, whatever a DBA has made of the columns.
_KEYS = sql.SQL(
    "SELECT partner_id, order_id, {hashes} FROM {rows} AS o WHERE {bucket} = ANY ({numbers}) AND {only} "
    'ORDER BY partner_id COLLATE "C", order_id COLLATE "C"'
)
_ROWS = sql.SQL(
    "SELECT partner_id, order_id, to_jsonb(o) FROM {rows} AS o "
    "WHERE (partner_id, order_id) IN (SELECT * FROM unnest({partners}::text[], {orders}::text[]))"
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
    sides = (
        _Side(live, sql.Identifier("orders"), live_only),
        _Side(replayed, sql.Identifier(schema, "orders"), replayed_only),
    )
    ours, theirs = (side.sums() for side in sides)
    differences = only_live = 0
    first: list[OrderKey] = []
    for key, is_replayed in _unlike(*sides, _unequal(ours, theirs)):
        differences += 1
        only_live += not is_replayed
        if len(first) < shown_max:
            first.append(key)
    live_orders, replayed_orders = (sum(count for count, _, _ in sums.values()) for sums in (ours, theirs))
    checksum = int(sum(first for _, first, _ in theirs.values())) % 2**64
    shown = list(_differences(*sides, first))
    return Comparison(replayed_orders + only_live, live_orders, left_out, f"{checksum:016x}", differences, shown)


def differences(connection: Connection, schema: str) -> Iterator[Difference]:
    """Every order whose row in the live table is not that in `schema`, by key. In a transaction, with one snapshot."""
    sides = _Side(connection, sql.Identifier("orders"), _ALL), _Side(connection, sql.Identifier(schema, "orders"), _ALL)
    ours, theirs = (side.sums() for side in sides)
    for keys in batched((key for key, _ in _unlike(*sides, _unequal(ours, theirs))), ROWS_FETCHED):
        yield from _differences(*sides, keys)


def _unequal(ours: dict[int, Bucket], theirs: dict[int, Bucket]) -> list[int]:
    return [number for number in sorted(ours.keys() | theirs.keys()) if ours.get(number) != theirs.get(number)]


def _columns_of(table: sql.Identifier) -> sql.Composable:
    """The rows of `table` without the columns that a shop added: no event gives those again."""
    return sql.SQL("(SELECT {} FROM {})").format(sql.SQL(", ").join(map(sql.Identifier, ORDERS)), table)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two tables, of which the rows count for which `only` is true."""

    connection: Connection
    table: sql.Identifier
    only: sql.Composable

    def sums(self) -> dict[int, Bucket]:
        # There are at most BUCKETS groups. Postgres does not know that, and would sort all rows on its disk.
        self.connection.execute("SET LOCAL enable_sort = off")
        rows = self.connection.execute(_SUMS.format(bucket=_BUCKET, rows=_columns_of(self.table), only=self.only))
        return {number: (count, first, second) for number, count, first, second in rows}

    def hashes(self, numbers: list[int]) -> Iterator[tuple[OrderKey, Hashes]]:
        """Of the rows of these buckets, by key. One statement for all: each reads the whole table."""
        query = _KEYS.format(
            hashes=_HASHES, rows=_columns_of(self.table), bucket=_BUCKET, numbers=numbers, only=self.only
        )
        with self.connection.cursor(self.table.as_string(self.connection)) as cursor:
            cursor.itersize = KEYS_FETCHED
            for partner_id, order_id, *hashes in cursor.execute(query):
                yield (partner_id, order_id), hashes

    def rows(self, keys: Sequence[OrderKey]) -> dict[OrderKey, dict[str, Any]]:
        partners, orders = ([key[part] for key in keys] for part in (0, 1))
        query = _ROWS.format(rows=_columns_of(self.table), partners=partners, orders=orders)
        found = self.connection.execute(query)
        return {(partner_id, order_id): row for partner_id, order_id, row in found}


def _unlike(live: _Side, replayed: _Side, numbers: list[int]) -> Iterator[tuple[OrderKey, bool]]:
    """The keys in these buckets whose rows differ, and whether they have a replayed one."""
    if not numbers:
        return
    sides = (zip(side.hashes(numbers), repeat(number)) for number, side in enumerate((live, replayed)))
    for key, rows in groupby(merge(*sides), lambda row: row[0][0]):
        hashes = {side: found for (_, found), side in rows}
        if hashes.get(0) != hashes.get(1):
            yield key, 1 in hashes


def _differences(live: _Side, replayed: _Side, keys: Sequence[OrderKey]) -> Iterator[Difference]:
    ours, theirs = live.rows(keys), replayed.rows(keys)
    for key in keys:
        yield Difference(*key, ours.get(key), theirs.get(key))
