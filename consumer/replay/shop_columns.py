"""The columns that a shop added to a table of ours, and the table of a replay, which is made without them.

Their values are the shop's, and no event gives them again. So they are copied from the live table: before a comparison,
and once more, as far as they changed, by `shop_values`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from consumer.postgres.connection import Connection

_READ: LiteralString = """
SELECT attnum::int AS number, attname::text AS name, format_type(atttypid, atttypmod) AS type,
  CASE WHEN attcollation <> typcollation THEN attcollation::regcollation::text END AS collation,
  attgenerated::text AS generated, attidentity::text AS identity,
  pg_get_expr(adbin, adrelid) AS expression, pg_get_serial_sequence(%(table)s, attname) AS sequence
FROM pg_attribute JOIN pg_type AS t ON t.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%(ours)s::text[])
ORDER BY attnum
"""
_NOT_NULL: LiteralString = """
SELECT attname, attnotnull, conname, pg_get_constraintdef(c.oid) FROM pg_attribute
LEFT JOIN pg_constraint AS c ON conrelid = attrelid AND contype = 'n' AND conkey = ARRAY[attnum]
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
"""
_SEQUENCE: LiteralString = """
SELECT relname, format('START %%s INCREMENT %%s MINVALUE %%s MAXVALUE %%s CACHE %%s %%s', seqstart, seqincrement,
  seqmin, seqmax, seqcache, CASE WHEN seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid WHERE seqrelid = %(table)s::regclass
"""
_IDENTITIES = {"a": sql.SQL("ALWAYS"), "d": sql.SQL("BY DEFAULT")}
SAME_KEY = sql.SQL("(l.partner_id, l.order_id) = (n.partner_id, n.order_id)")
_KINDS = {"s": sql.SQL("STORED"), "v": sql.SQL("VIRTUAL")}


@dataclass(frozen=True, slots=True)
class ShopColumn:
    """As Postgres describes it. `number`: its place in the table, which no other column ever gets. `sequence`: that of
    an identity or a serial."""

    number: int
    name: str
    type: str
    collation: str | None
    generated: str
    identity: str
    expression: str | None
    sequence: str | None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)

    @property
    def made_as(self) -> tuple[str, ...]:
        """What cannot be changed without making the column anew."""
        expression = self.expression if self.generated else None
        return self.name, self.type, self.collation or "", self.generated, expression or ""


def read(connection: Connection, table: sql.Identifier, ours: Collection[str]) -> list[ShopColumn]:
    """The columns of `table` that are not ours."""
    rows = connection.execute(_READ, {"table": table.as_string(connection), "ours": list(ours)}, prepare=True)
    return [ShopColumn(*row) for row in rows]


def differ(connection: Connection, live: sql.Identifier, new: sql.Identifier, ours: Collection[str]) -> bool:
    """Whether `add` has something to do but copy values."""
    one, other = ({column.made_as for column in read(connection, table, ours)} for table in (live, new))
    return one != other or not in_order(connection, live, new)


def add(connection: Connection, live: sql.Identifier, new: sql.Identifier, ours: Collection[str]) -> None:
    """Gives `new` the columns of `live`, with their values; what is required may be NULL yet.

    Columns that `live` has no more, or has otherwise, are dropped.
    """
    columns = read(connection, live, ours)
    wanted = {column.made_as for column in columns}
    present = {column.made_as for column in read(connection, new, ours)}
    for column in reversed(read(connection, new, ours)):
        if column.made_as not in wanted:
            connection.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(new, column.identifier))
    for column in columns:
        if column.made_as in present:
            continue
        connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(new, _definition(column)))
        if column.expression and not column.generated:
            default = sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}")
            connection.execute(default.format(new, column.identifier, _raw(column.expression)))
    fill(connection, live, new, ours)


def in_order(connection: Connection, live: sql.Identifier, new: sql.Identifier) -> bool:
    """Whether `new` has its columns in the order of `live`: a shop may have added some before a version of ours did."""
    one, other = ([column.name for column in read(connection, table, ())] for table in (live, new))
    return one == other


def put_in_order(connection: Connection, live: sql.Identifier, schema: str, table: str) -> None:
    """Makes `table` in `schema` once more, with the columns of `live` in their order, if it has another one."""
    new, aside = sql.Identifier(schema, table), sql.Identifier(schema, f"{table}_in_order")
    if in_order(connection, live, new):
        return
    columns = read(connection, live, ())
    defined = sql.SQL(", ").join(map(_definition, columns))
    listed = sql.SQL(", ").join(column.identifier for column in columns if not column.generated)
    with connection.transaction():
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(aside, defined))
        _require(connection, new, aside)
        connection.execute(sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(aside, listed, listed, new))
        connection.execute(sql.SQL("DROP TABLE {}").format(new))
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(aside, sql.Identifier(table)))
        key = sql.Identifier(f"{table}_pkey")
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY (partner_id, order_id)").format(new, key)
        )


def fill(connection: Connection, live: sql.Identifier, new: sql.Identifier, ours: Collection[str]) -> None:
    """Copies the values that differ. An order without a live row has the defaults. Reads all rows of both tables."""
    columns = [column for column in read(connection, live, ours) if not column.generated]
    if not columns:
        return
    names = [column.identifier for column in columns]
    listed = sql.SQL(", ").join(names)
    copied = sql.SQL("UPDATE {} AS n SET ({}) = ROW({}) FROM {} AS l WHERE {} AND {}")
    connection.execute(copied.format(new, listed, of("l", names), live, SAME_KEY, differing(names)))
    defaults = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(column.identifier, sql.SQL("DEFAULT") if not column.identity else _next(column))
        for column in columns
    )
    others = sql.SQL("UPDATE {} AS n SET {} WHERE NOT EXISTS (SELECT FROM {} AS l WHERE {})")
    connection.execute(others.format(new, defaults, live, SAME_KEY))


def of(alias: LiteralString, names: Iterable[sql.Identifier]) -> sql.Composed:
    """The columns of one table of a join."""
    return sql.SQL(", ").join(sql.SQL("{}.{}").format(sql.SQL(alias), name) for name in names)


def differing(names: Collection[sql.Identifier]) -> sql.Composed:
    """Whether the rows `n` and `l` differ in a byte. Not every type has an equality, and 1.0 equals 1.00."""
    return sql.SQL("ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record").format(of("n", names), of("l", names))


def finish(
    connection: Connection, live: sql.Identifier, new: sql.Identifier, new_schema: str, ours: Collection[str]
) -> None:
    """Makes the columns of `new` what they are in `live`, under the locks of a swap. The values are copied already."""
    columns = [column for column in read(connection, live, ours) if column.identity and column.sequence is not None]
    for column in columns:  # an order that was new to the replay, and that has no live row
        numbered = sql.SQL("UPDATE {} SET {} = {} WHERE {} IS NULL")
        connection.execute(numbered.format(new, column.identifier, _next(column), column.identifier))
    _require(connection, live, new)
    for column in columns:
        ((name, options),) = connection.execute(_SEQUENCE, {"table": column.sequence})
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER {} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {} {})").format(
                new,
                column.identifier,
                _IDENTITIES[column.identity],
                sql.Identifier(new_schema, str(name)),
                _raw(str(options)),
            )
        )
        connection.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), last_value, is_called) FROM {}").format(
                new.as_string(connection), column.name, _raw(str(column.sequence))
            )
        )


def _require(connection: Connection, live: sql.Identifier, new: sql.Identifier) -> None:
    """NOT NULL where the live table has it, and only there, under the names that it has there."""
    found = (connection.execute(_NOT_NULL, {"table": table.as_string(connection)}) for table in (live, new))
    wanted, present = ({str(name): about for name, *about in rows} for rows in found)
    alter, required = sql.SQL("ALTER TABLE {} ").format(new), []
    for column, (is_required, name, definition) in wanted.items():
        was_required, old_name, _ = present[column]
        if was_required and not is_required:
            connection.execute(alter + sql.SQL("ALTER {} DROP NOT NULL").format(sql.Identifier(column)))
        elif is_required and not was_required and name is None:  # before Postgres 18 it has no name
            required.append(sql.SQL("ALTER {} SET NOT NULL").format(sql.Identifier(column)))
        elif is_required and not was_required:
            required.append(sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(str(name)), _raw(str(definition))))
        elif name != old_name:
            names = sql.Identifier(str(old_name)), sql.Identifier(str(name))
            connection.execute(alter + sql.SQL("RENAME CONSTRAINT {} TO {}").format(*names))
    if required:  # in one statement, because each would read the whole table
        connection.execute(alter + sql.SQL(", ").join(required))


def _definition(column: ShopColumn) -> sql.Composed:
    parts = [sql.SQL("{} {}").format(column.identifier, _raw(column.type))]
    if column.collation:
        parts.append(sql.SQL("COLLATE {}").format(_raw(column.collation)))
    if column.generated:
        generated = _raw(column.expression or "NULL"), _KINDS[column.generated]
        parts.append(sql.SQL("GENERATED ALWAYS AS ({}) {}").format(*generated))
    return sql.SQL(" ").join(parts)


def _next(column: ShopColumn) -> sql.Composed:
    return sql.SQL("nextval({})").format(column.sequence)


def _raw(text: str) -> sql.SQL:
    """As Postgres wrote it."""
    return sql.SQL(text)
