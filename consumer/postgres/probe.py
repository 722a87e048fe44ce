"""Whether the tables refuse rows that they took before. Then they were changed, and no order is to blame."""

from collections.abc import Sequence

import psycopg

from consumer.core.record import OrderKey
from consumer.postgres.connection import Connection
from consumer.postgres.describe import reason_of
from consumer.postgres.orders import COLUMNS, KEY_COLUMNS

_LIST = ", ".join(COLUMNS)
_OF_KEY = "WHERE (partner_id, order_id) = (%b, %b)"
# Nothing is written: the row is there. But NOT NULL, CHECK, generated columns and BEFORE triggers are asked first.
_INSERT = f"INSERT INTO orders ({_LIST}) SELECT {_LIST} FROM orders {_OF_KEY} ON CONFLICT DO NOTHING"
_UPDATE = f"UPDATE orders SET {', '.join(f'{name} = {name}' for name in COLUMNS if name not in KEY_COLUMNS)} {_OF_KEY}"
# What Postgres asks only after it inserted a row needs a row that is not there. Under another key it is another row.
_TAKEN_OUT = f"WITH o AS (DELETE FROM orders {_OF_KEY} RETURNING {_LIST})"
_PUT_BACK = f"{_TAKEN_OUT} INSERT INTO orders ({_LIST}) SELECT {_LIST} FROM o"
_FOREIGN_KEY = "23503"
"""An update that leaves a column as it is does not ask for its foreign key."""


def refuses_rows(connection: Connection, keys: Sequence[OrderKey], reason: str, *, is_new: bool) -> bool:
    """Whether the tables would refuse each of these rows for `reason`, as new rows or as changed ones.

    Nothing is written. Without the right DELETE on orders it does not see AFTER INSERT triggers and foreign keys.
    """
    return bool(keys) and all(reason in _reasons(connection, key, reason, is_new=is_new) for key in keys)


def some_rows(connection: Connection) -> list[OrderKey]:
    """Keys of any rows."""
    return connection.execute("SELECT partner_id, order_id FROM orders LIMIT 5").fetchall()


def others_of(connection: Connection, partner_id: str) -> list[str]:
    """Partners that have orders, up to two, but for this one."""
    rows = connection.execute(
        "(SELECT partner_id FROM orders WHERE partner_id > %b ORDER BY partner_id LIMIT 1) UNION ALL "
        "(SELECT partner_id FROM orders WHERE partner_id < %b ORDER BY partner_id DESC LIMIT 1)",
        [partner_id, partner_id],
    )
    return [partner for (partner,) in rows]


def _reasons(connection: Connection, key: OrderKey, reason: str, *, is_new: bool) -> list[str | None]:
    """Why Postgres refuses the row, asked in one or two ways."""
    found = [_reason(connection, key, _INSERT if is_new else _UPDATE)]
    if found != [reason] and (is_new or reason.startswith(_FOREIGN_KEY)):
        found.append(_reason(connection, key, _PUT_BACK))
    return found


def _reason(connection: Connection, key: OrderKey, statement: str) -> str | None:
    """Why Postgres refuses it, or None."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement.encode(), key)
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        if connection.broken:
            raise
        return reason_of(error)
    return None
