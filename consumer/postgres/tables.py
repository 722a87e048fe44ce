"""The tables as statements name them: columns with their types, and the rights that a consumer needs.

Every statement names its columns, so that a shop may add its own. What does not fit is told by `problems`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from consumer.errors import ConsumerStoppedError, RefusedByPostgresError
from consumer.postgres.connection import Connection
from consumer.postgres.describe import left_out

_KEY_TEXT = 'text COLLATE "C"'
ORDERS: Mapping[str, str] = {
    "order_id": _KEY_TEXT,
    "name": "text",
    "phone": "text",
    "address": "text",
    "email": "text",
    "refferral_code": "text",
    "user_id": "text",
    "products": "jsonb",
    "total_amount": "bigint",
    "discount": "bigint",
    "total_qty": "bigint",
    "partner_id": _KEY_TEXT,
    "content_hash": "bytea",
    "event_partition": "smallint",
    "event_offset": "bigint",
    "event_time": "timestamptz",
}
REQUEST_PART: Mapping[str, str] = {
    "request_id": "uuid",
    "partition": "smallint",
    "first_offset": "bigint",
    "day": "date",
    "partner_id": _KEY_TEXT,
    "request_size": "smallint",
    "request_invalid": "smallint",
    "outcomes": "text",
    "digest": "text",
    "event_time": "timestamptz",
}
REQUEST_KEY: Mapping[str, str] = {"request_id": "uuid", "partner_id": _KEY_TEXT, "digest": "text", "day": "date"}
ORDER_LETTER: Mapping[str, str] = {"partner_id": _KEY_TEXT, "order_id": _KEY_TEXT, "event_offset": "bigint"}
CONSUMER_PARTITION: Mapping[str, str] = {
    "partition": "smallint",
    "next_offset": "bigint",
    "last_epoch": "int",
    "last_hash": "bytea",
    "log_start": "bigint",
    "answered_to": "bigint",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "orders": ORDERS,
    "request_part": REQUEST_PART,
    "request_key": REQUEST_KEY,
    "order_letter": ORDER_LETTER,
    "consumer_partition": CONSUMER_PARTITION,
    "source_topic": {"topic": "text", "topic_id": "text"},
    "schema_migration": {"version": "text"},
}
RIGHTS: Mapping[str, str] = {
    "orders": "SELECT, INSERT, UPDATE",
    "request_part": "SELECT, INSERT",
    "request_key": "SELECT, INSERT, UPDATE, DELETE",
    "order_letter": "SELECT, INSERT, UPDATE, DELETE",
    "consumer_partition": "SELECT, UPDATE",
    "source_topic": "SELECT, INSERT",
    "schema_migration": "SELECT",
}
"""Of a consumer; docs/operating.md has them as SQL, for three roles."""
FUNCTIONS = "make_ledger_day(date)", "drop_ledger_day(date)"
FUNCTIONS_OF_INGRESS = ("order_hashes(text, text[])",)
"""No consumer needs them."""

_PROBLEMS: LiteralString = """
WITH wanted AS (SELECT name, columns, rights, to_regclass(quote_ident(name)) AS oid
  FROM json_to_recordset(%(tables)s::json) AS w (name text, columns json, rights text[]))
SELECT format('no schema of the search_path (%%s) exists, or the right USAGE on it is missing',
  current_setting('search_path')) WHERE current_schema() IS NULL
UNION ALL SELECT format('the table %%s is missing', name) FROM wanted WHERE oid IS NULL AND current_schema() IS NOT NULL
UNION ALL SELECT format(
  'the column %%1$s.%%2$s is missing (ALTER TABLE %%1$s ADD COLUMN %%2$s %%3$s, then: orders replay --swap)',
  name, c.key, c.value)
  FROM wanted, json_each_text(columns) AS c
  WHERE oid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = oid AND attname = c.key AND attnum > 0 AND NOT attisdropped)
UNION ALL SELECT format('%%s is a generated column; it is ours to write', oid::text || '.' || attname)
  FROM wanted JOIN pg_attribute ON attrelid = oid
  WHERE attgenerated <> '' AND columns -> attname::text IS NOT NULL
UNION ALL SELECT format('the table %%s has the rule %%s, which COPY does not know (DROP RULE)', name, rulename)
  FROM wanted JOIN pg_rewrite ON ev_class = wanted.oid
UNION ALL SELECT format('the right %%s on the table %%s is missing', r, name) FROM wanted, unnest(rights) AS r
  WHERE oid IS NOT NULL AND NOT has_table_privilege(oid, r)
UNION ALL SELECT format('row level security of %%s applies to this role, which
  COPY does not know (ALTER ROLE ... BYPASSRLS)', name)
  FROM wanted WHERE oid IS NOT NULL AND row_security_active(oid)
UNION ALL SELECT format('the function %%s is missing', f)
  FROM unnest(%(functions)s::text[]) AS f WHERE to_regprocedure(f) IS NULL
UNION ALL SELECT format('the right EXECUTE on the function %%s is missing', f)
  FROM unnest(%(functions)s::text[]) AS f WHERE NOT has_function_privilege(to_regprocedure(f), 'EXECUTE')
UNION ALL SELECT format('the right TEMPORARY on the database %%s is missing', current_database())
  WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
"""


def column_definitions(columns: Mapping[str, str], names: Iterable[str] = ()) -> str:
    """`name type, ...`, of some columns or of all: for json_to_recordset, and for a temporary table."""
    return ", ".join(f"{name} {columns[name]}" for name in names or columns)


def counted(table: str, statement: str) -> str:
    """An INSERT or UPDATE that fails, with SQLSTATE 22P02, unless it writes as many rows as its last parameter says.

    A BEFORE trigger that returns NULL leaves a row out without an error. In a pipeline the client would notice it only
    after the COMMIT, which it sends in the same round trip.
    """
    told = f"('{left_out(table)}' || count(*))::int"  # not a number, so the cast fails and quotes it
    return f"WITH written AS ({statement} RETURNING 1) SELECT {told} FROM written HAVING count(*) <> %b"


def require_count(table: str, written: int, wanted: int) -> None:
    """The same for a statement whose answer is waited for. Raises RefusedByPostgresError."""
    if written != wanted:
        text = f"{left_out(table)}{written}"
        raise RefusedByPostgresError(text, text.partition(",")[0])


def problems(connection: Connection) -> list[str]:
    """What is missing for a consumer on this connection, each in some words; empty if nothing is."""
    wanted: list[dict[str, Any]] = [
        {"name": name, "columns": columns, "rights": RIGHTS[name].split(", ")} for name, columns in TABLES.items()
    ]
    rows = connection.execute(_PROBLEMS, {"tables": json.dumps(wanted), "functions": list(FUNCTIONS)})
    return [str(text) for (text,) in rows]


def require_tables(connection: Connection) -> None:
    """Raises ConsumerStoppedError that names everything that is missing, and the role to which it is."""
    found = problems(connection)
    if found:
        raise ConsumerStoppedError(explain(connection, found))


def explain(connection: Connection, found: Iterable[str]) -> str:
    """One sentence with all that is missing, and to whom, and where to read on."""
    row = connection.execute("SELECT current_user, current_schema()").fetchone()
    user, schema = row or ("?", "?")
    return (
        f"The role {user} cannot work with the tables in the schema {schema}: {'; '.join(found)}.\n"
        'See docs/operating.md, "Roles and rights" and "What a shop may do to the tables". A table that is gone comes '
        "back from a backup; or run orders setup in an empty database, and the topic fills it."
    )
