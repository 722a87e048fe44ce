"""The columns that a shop added to `orders`, and the table of a replay, which is made without them.

Their values are the shop's, and no event gives them again. So they are copied from the live table: before a comparison,
and once more, as far as they changed, under the locks of a swap.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from consumer.postgres.connection import Connection
from consumer.postgres.tables import ORDERS

_READ: LiteralString = """
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type,
  CASE WHEN attcollation <> typcollation THEN attcollation::regcollation::text END AS collation,
  attnotnull AS is_required, attgenerated::text AS generated, attidentity::text AS identity,
  pg_get_expr(adbin, adrelid) AS expression, pg_get_serial_sequence(%(table)s, attname) AS sequence
FROM pg_attribute JOIN pg_type AS t ON t.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%(ours)s::text[])
ORDER BY attnum
"""
_IDENTITIES = {"a": sql.SQL("ALWAYS"), "d": sql.SQL("BY DEFAULT")}
_KINDS = {"s": sql.SQL("STORED"), "v": sql.SQL("VIRTUAL")}


@dataclass(frozen=True, slots=True)
class ShopColumn:
    """As Postgres describes it. `sequence`: that of an identity or a serial."""

    name: str
    type: str
    collation: str | None
    is_required: bool
    generated: str
    identity: str
    expression: str | None
    sequence: str | None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


def read(connection: Connection, table: sql.Identifier) -> list[ShopColumn]:
    """The columns of `table` that are not ours."""
    rows = connection.execute(_READ, {"table": table.as_string(connection), "ours": list(ORDERS)})
    return [ShopColumn(*row) for row in rows]


def add(connection: Connection, live: sql.Identifier, new: sql.Identifier) -> None:
    """Gives `new` the columns of `live` that it does not have, with their values; what is required may be NULL yet."""
    present = {column.name for column in read(connection, new)}
    for column in read(connection, live):
        if column.name in present:
            continue
        parts = [sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(new, column.identifier, _raw(column.type))]
        if column.collation:
            parts.append(sql.SQL("COLLATE {}").format(_raw(column.collation)))
        if column.generated:
            generated = _raw(column.expression or "NULL"), _KINDS[column.generated]
            parts.append(sql.SQL("GENERATED ALWAYS AS ({}) {}").format(*generated))
        connection.execute(sql.SQL(" ").join(parts))
        if column.expression and not column.generated:
            default = sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}")
            connection.execute(default.format(new, column.identifier, _raw(column.expression)))
    fill(connection, live, new)


def fill(connection: Connection, live: sql.Identifier, new: sql.Identifier) -> None:
    """Copies the values that differ. An order without a live row has the defaults."""
    columns = [column for column in read(connection, live) if not column.generated]
    if not columns:
        return
    names = [column.identifier for column in columns]
    theirs = sql.SQL(", ").join(sql.SQL("l.{}").format(name) for name in names)
    ours = sql.SQL(", ").join(sql.SQL("n.{}").format(name) for name in names)
    listed = sql.SQL(", ").join(names)
    same_key = sql.SQL("(l.partner_id, l.order_id) = (n.partner_id, n.order_id)")
    copied = sql.SQL("UPDATE {} AS n SET ({}) = ROW({}) FROM {} AS l WHERE {} AND ({}) IS DISTINCT FROM ({})")
    connection.execute(copied.format(new, listed, theirs, live, same_key, ours, theirs))
    defaults = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(column.identifier, sql.SQL("DEFAULT") if not column.identity else _next(column))
        for column in columns
    )
    others = sql.SQL("UPDATE {} AS n SET {} WHERE NOT EXISTS (SELECT FROM {} AS l WHERE {})")
    connection.execute(others.format(new, defaults, live, same_key))


def finish(connection: Connection, live: sql.Identifier, new: sql.Identifier) -> list[sql.Composed]:
    """Makes the columns of `new` what they are in `live`, under the locks of a swap.

    Returns what is to be run when `new` is in the place of `live`: it gets the sequences, which would go with the old
    table.
    """
    add(connection, live, new)
    later: list[sql.Composed] = []
    for column in read(connection, live):
        change = sql.SQL("ALTER TABLE {} ALTER {} ").format(new, column.identifier)
        if column.is_required and not column.generated:
            connection.execute(change + sql.SQL("SET NOT NULL"))
        if column.sequence is None:
            continue
        sequence = _raw(column.sequence)
        if column.identity:
            kind = _IDENTITIES[column.identity]
            connection.execute(change + sql.SQL("ADD GENERATED {} AS IDENTITY").format(kind))
            connection.execute(
                sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), last_value, is_called) FROM {}").format(
                    new.as_string(connection), column.name, sequence
                )
            )
        else:
            connection.execute(sql.SQL("ALTER SEQUENCE {} OWNED BY NONE").format(sequence))
            later.append(sql.SQL("ALTER SEQUENCE {} OWNED BY {}.{}").format(sequence, live, column.identifier))
    return later


def _next(column: ShopColumn) -> sql.Composed:
    return sql.SQL("nextval({})").format(column.sequence)


def _raw(text: str) -> sql.SQL:
    """As Postgres wrote it."""
    return sql.SQL(text)
