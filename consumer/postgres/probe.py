"""Whether the tables refuse rows that they took before. Then they were changed, and no order is to blame."""

from collections.abc import Sequence

import psycopg

from consumer.core.record import OrderKey
from consumer.postgres.connection import Connection
from consumer.postgres.describe import reason_of
from consumer.postgres.orders import COLUMNS, KEY_COLUMNS

_LIST = ", ".join(COLUMNS)
_SOME = "SELECT partner_id, order_id FROM orders LIMIT 5"
_OF_KEY = "WHERE (partner_id, order_id) = (%b, %b)"
# Nothing is written: the row is there. But NOT NULL, CHECK, generated columns and BEFORE triggers are asked first.
_INSERT = f"INSERT INTO orders ({_LIST}) SELECT {_LIST} FROM orders {_OF_KEY} ON CONFLICT DO NOTHING"
_UPDATE = f"UPDATE orders SET {', '.join(f'{name} = {name}' for name in COLUMNS if name not in KEY_COLUMNS)} {_OF_KEY}"


def refuses_known_rows(connection: Connection, known: Sequence[OrderKey], reason: str, *, is_new: bool) -> bool:
    """Whether the tables would refuse each of some existing rows for `reason`, as new rows or as changed ones.

    `known`: orders whose rows were accepted lately. If there are none, it takes some other rows. Nothing is written.
    It does not see what Postgres checks only after it inserted a row: AFTER INSERT triggers and foreign keys.
    """
    keys = known or [(str(partner_id), str(order_id)) for partner_id, order_id in connection.execute(_SOME)]
    statement = _INSERT if is_new else _UPDATE
    return bool(keys) and all(_reason(connection, statement, key) == reason for key in keys)


def _reason(connection: Connection, statement: str, key: OrderKey) -> str | None:
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
