"""The values of a shop's columns, copied in rounds, so that few are left to copy while the consumers wait for a swap.

Postgres notes in each version of a row the transaction that wrote it (`xmin`). So the rows that changed since a round
are found by one scan of the live table, without a trigger and without a join of all rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from consumer.postgres.connection import Connection
from consumer.postgres.tables import TABLES
from consumer.replay import shop_columns
from consumer.replay.dependents import SWAPPED, live_schema
from consumer.replay.shop_columns import ShopColumn

ROWS_LEFT_MAX = 20_000
"""How many rows of a table may have changed since the last round when the consumers wait. Those that they apply
themselves count too."""
ROUNDS_MAX = 5
"""Rounds of one attempt. If a shop changes more rows in each, the attempt ends before anybody waits."""

# Modulo 2^32, as `age` counts. A row that was frozen long ago may have a number that is given again; so both ends.
_NEWER = sql.SQL("age(l.xmin) BETWEEN (SELECT age(pg_snapshot_xmax(pg_current_snapshot())::xid)) AND (SELECT age({}))")
_COPY = sql.SQL(
    "WITH newer AS MATERIALIZED (SELECT partner_id, order_id, {names} FROM {live} AS l WHERE {newer} LIMIT {most}), "
    "copied AS (UPDATE {new} AS n SET ({names}) = ROW({theirs}) FROM newer AS l WHERE {same_key} AND {differ}) "
    "SELECT count(*) FROM newer"
)
_COUNT = sql.SQL("SELECT count(*) FROM (SELECT FROM {live} AS l WHERE {newer} LIMIT {most}) AS newer")


@dataclass(frozen=True, slots=True)
class _Round:
    """`oldest`: the oldest transaction that might not have been seen. `columns`: those whose values were copied."""

    oldest: str
    columns: list[tuple[str, int]]


class ShopValues:
    """What was copied to the replay in `schema`, and what is newer."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._rounds: dict[str, _Round] = {}

    def copy(self, connection: Connection, catch_up: Callable[[], None]) -> None:
        """Copies until few rows are newer, in autocommit mode. `catch_up` applies what the consumers have applied."""
        live_in = live_schema(connection)
        for table in SWAPPED:
            for _ in range(ROUNDS_MAX):
                if self._copy_round(connection, live_in, table, catch_up):
                    break

    def few_left(self, connection: Connection, live_in: str) -> bool:
        """Whether `copy_left` has little to do. Needs a lock that keeps out changes of the columns."""
        return all(
            self._is_current(columns, table) and self._newer(connection, live_in, table, columns, _COUNT)
            for table in SWAPPED
            if (columns := self._columns(connection, live_in, table))
        )

    def copy_left(self, connection: Connection, live_in: str) -> bool:
        """Copies what is newer than the last round, while nobody else can write. False if that is too much.

        Then the caller rolls back: some of it is copied.
        """
        # Few rows are joined, whatever Postgres expects. Another join would read the whole table of the replay.
        connection.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        are_few = all(
            self._is_current(columns, table) and self._newer(connection, live_in, table, columns, _COPY)
            for table in SWAPPED
            if (columns := self._columns(connection, live_in, table))
        )
        connection.execute("SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = DEFAULT")
        return are_few

    def _copy_round(self, connection: Connection, live_in: str, table: str, catch_up: Callable[[], None]) -> bool:
        """Whether few rows were newer than the round before."""
        columns = self._columns(connection, live_in, table)
        if not columns:
            return True
        ((oldest,),) = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        # A row that the replay makes after this round is of an event that the consumers apply after it.
        catch_up()
        if self._is_current(columns, table):
            are_few = self._newer(connection, live_in, table, columns, _COPY, all_of_them=True)
        else:
            live, new = sql.Identifier(live_in, table), sql.Identifier(self._schema, table)
            shop_columns.fill(connection, live, new, TABLES[table])
            are_few = False
        self._rounds[table] = _Round(str(oldest), _named(columns))
        return are_few

    def _is_current(self, columns: list[ShopColumn], table: str) -> bool:
        """A column that was dropped and made again has another number, and its values no `xmin` of their own."""
        return table in self._rounds and self._rounds[table].columns == _named(columns)

    def _newer(
        self,
        connection: Connection,
        live_in: str,
        table: str,
        columns: list[ShopColumn],
        statement: sql.SQL,
        *,
        all_of_them: bool = False,
    ) -> bool:
        """Counts or copies the rows that are newer than the last round, or one more than few. Whether they are few."""
        names = [column.identifier for column in columns]
        composed = statement.format(
            live=sql.Identifier(live_in, table),
            new=sql.Identifier(self._schema, table),
            names=sql.SQL(", ").join(names),
            theirs=shop_columns.of("l", names),
            same_key=shop_columns.SAME_KEY,
            differ=shop_columns.differing(names),
            newer=_NEWER.format(sql.SQL("{}::xid8::xid").format(self._rounds[table].oldest)),
            most=sql.Literal(None if all_of_them else ROWS_LEFT_MAX + 1),
        )
        ((newer,),) = connection.execute(composed)
        return int(newer) <= ROWS_LEFT_MAX

    def _columns(self, connection: Connection, live_in: str, table: str) -> list[ShopColumn]:
        found = shop_columns.read(connection, sql.Identifier(live_in, table), TABLES[table])
        return [column for column in found if not column.generated]


def _named(columns: list[ShopColumn]) -> list[tuple[str, int]]:
    return [(column.name, column.number) for column in columns]
