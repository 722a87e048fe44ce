"""What depends on the live tables that a swap replaces, and what a swap would lose.

A view is bound to a table, not to its name, so it is made again on the new table. It keeps its identity, and with it
its privileges and everything that depends on it. What cannot move to the new table is reported before anything changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection
from consumer.postgres.tables import TABLES
from consumer.replay import shop_columns
from consumer.replay.carried import carried
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.shape import Parts, adopt, shape

SWAPPED = "orders", "order_letter"
"""The tables that are swapped: the rows, and the letters that belong to them. The ledger stays, because answers that
were sent are not decided again. The fence stays, because it is locked and equal to that of the replay."""
COMPLETE_LOCK_MS = 1_500
"""How long a replay waits for a table that a foreign key of the shop's names. Others wait behind it. Longer than the
`deadlock_timeout` of a second, after which Postgres ends an autovacuum of the new table."""

_SCHEMA: LiteralString = (
    "SELECT nspname FROM pg_namespace AS n JOIN pg_class AS c ON relnamespace = n.oid WHERE c.oid = 'orders'::regclass"
)

_LEFT: LiteralString = """
SELECT replace(pg_describe_object(d.classid, d.objid, d.objsubid), 'rule _RETURN on ', '') FROM pg_depend AS d
JOIN pg_class AS live ON live.oid = %(live)s
LEFT JOIN pg_type AS rows ON rows.oid = live.reltype
LEFT JOIN pg_rewrite AS rule ON d.classid = 'pg_rewrite'::regclass AND rule.oid = d.objid
LEFT JOIN pg_class AS view ON view.oid = rule.ev_class
LEFT JOIN pg_class AS own ON d.classid = 'pg_class'::regclass AND own.oid = d.objid AND own.relkind IN ('i', 'S')
WHERE d.deptype IN ('n', 'a') AND own.oid IS NULL AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = live.oid
    OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (rows.oid, rows.typarray))
  AND rule.ev_class IS DISTINCT FROM live.oid
  AND (rule.oid IS NULL OR %(moved)s OR rulename = '_RETURN' AND view.relkind <> 'v')
  AND d.classid <> 'pg_publication_rel'::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE d.classid = 'pg_constraint'::regclass AND oid = d.objid
    AND conrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_trigger WHERE d.classid = 'pg_trigger'::regclass AND oid = d.objid
    AND tgrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_attrdef WHERE d.classid = 'pg_attrdef'::regclass AND oid = d.objid
    AND adrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_policy WHERE d.classid = 'pg_policy'::regclass AND oid = d.objid
    AND polrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_statistic_ext WHERE d.classid = 'pg_statistic_ext'::regclass AND oid = d.objid
    AND stxrelid = live.oid)
"""
"""What is bound to a table and does not belong to it. `moved`: whether views and rules should be bound to another one
by now."""
_LOST: LiteralString = """
SELECT format('publication %%I, which belongs to the role %%s', pubname, pg_get_userbyid(pubowner))
  FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
  WHERE prrelid = %(live)s AND NOT pg_has_role(pubowner, 'USAGE')
UNION SELECT format('publication %%I FOR TABLES IN SCHEMA %%s (it would not send the rows of the new table)',
  pubname, relnamespace::regnamespace) FROM pg_publication AS p JOIN pg_publication_namespace ON pnpubid = p.oid
  JOIN pg_class AS c ON c.relnamespace = pnnspid WHERE c.oid = %(live)s
UNION SELECT format('%%s, which belongs to the role %%s', replace(pg_describe_object(classid, objid, 0),
  'rule _RETURN on ', ''), pg_get_userbyid(relowner)) FROM pg_depend
  JOIN pg_rewrite AS rule ON rule.oid = objid JOIN pg_class AS c ON c.oid = ev_class
  WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = %(live)s
  AND ev_class <> %(live)s AND NOT pg_has_role(relowner, 'USAGE')
UNION SELECT format('the table itself, which belongs to the role %%s', pg_get_userbyid(relowner)) FROM pg_class
  WHERE oid = %(live)s AND NOT pg_has_role(relowner, 'USAGE')
UNION SELECT format('statistics %%I, which belong to the role %%s', stxname, pg_get_userbyid(stxowner))
  FROM pg_statistic_ext WHERE stxrelid = %(live)s AND NOT pg_has_role(stxowner, 'USAGE')
UNION SELECT format('a right that the role %%s gave', pg_get_userbyid(grantor)) FROM pg_class AS c,
  LATERAL (SELECT relacl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL)
    AS a (acl), aclexplode(acl) AS e
  WHERE c.oid = %(live)s AND grantor <> relowner AND NOT pg_has_role(grantor,
    CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
UNION SELECT 'inheritance of ' || inhrelid::regclass || ' from ' || inhparent::regclass FROM pg_inherits
  WHERE %(live)s IN (inhrelid, inhparent)
UNION SELECT 'partitioning' FROM pg_class WHERE oid = %(live)s AND relkind = 'p'
UNION SELECT 'the type ' || reloftype::regtype FROM pg_class WHERE oid = %(live)s AND reloftype <> 0
UNION SELECT 'subscription of ' || srrelid::regclass FROM pg_subscription_rel WHERE srrelid = %(live)s
UNION SELECT 'security label of ' || provider FROM pg_seclabel
  WHERE classoid = 'pg_class'::regclass AND objoid = %(live)s
UNION SELECT 'membership of the extension ' || extname FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid
  WHERE classid = 'pg_class'::regclass AND objid = %(live)s AND deptype = 'e'
"""

_REBOUND: LiteralString = """
SELECT DISTINCT CASE WHEN rulename = '_RETURN' THEN format('CREATE OR REPLACE VIEW %%I.%%I%%s AS %%s', n.nspname,
    v.relname, ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
  ELSE overlay(pg_get_ruledef(r.oid) PLACING 'CREATE OR REPLACE RULE' FROM 1 FOR length('CREATE RULE')) END
FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
JOIN pg_namespace AS n ON n.oid = v.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(tables)s::oid[])
  AND v.oid <> ALL(%(tables)s::oid[]) AND (v.relkind = 'v' OR rulename <> '_RETURN')
"""
"""Views, and rules of other tables and views, as statements that bind them to what has the names now."""

_RELATIONS: LiteralString = """
WITH live AS (SELECT name::regclass::oid AS oid FROM unnest(%(swapped)s::text[]) AS name)
SELECT 1, 'consumer_partition'::regclass::oid
UNION SELECT 2, oid FROM live
UNION SELECT 2, ev_class FROM live JOIN pg_depend AS d ON refobjid = live.oid AND classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite AS r ON r.oid = objid
UNION SELECT 2, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
  WHERE nspname = ANY(%(schemas)s::text[]) AND relkind IN ('r', 'p')
ORDER BY 1
"""

_COLUMNS: LiteralString = """
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation::text, attgenerated::text
FROM pg_attribute WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
  AND attname = ANY(%(ours)s::text[]) ORDER BY attname
"""


@dataclass(frozen=True, slots=True)
class Dependents:
    """What there is of the live tables, in the schema `live_schema`.

    `tables`: by name, their oids. `carried`: by name, what the new ones get when they are in their places. `rebound`:
    statements that then bind views to them.
    """

    live_schema: str
    tables: Mapping[str, int]
    carried: Mapping[str, Parts]
    rebound: list[str]


def dependents(connection: Connection) -> Dependents:
    """Reads them inside a transaction. Raises ConsumerStoppedError if a swap would lose something that depends on
    them."""
    schema = live_schema(connection)
    # From here on, Postgres writes every name with its schema.
    connection.execute("SET LOCAL search_path = pg_catalog")
    tables = {table: _oid(connection, quoted(connection, schema, table)) for table in SWAPPED}
    lost = []
    for table, oid in tables.items():
        about: dict[str, Any] = {"live": oid, "moved": False}
        of_table = "" if table == "orders" else f" (of {table})"
        for query in (_LEFT, _LOST):
            lost += [f"{name}{of_table}" for (name,) in connection.execute(query, about, prepare=True)]
    if lost:
        raise ConsumerStoppedError(
            "The tables cannot be swapped, because these would stay with the old ones:\n  "
            + "\n  ".join(sorted(set(lost)))
            + f"\nRemove them, swap, and create them again. {LIVE_TABLES_UNCHANGED}"
        )
    rows = connection.execute(_REBOUND, {"tables": list(tables.values())}, prepare=True)
    rebound = [str(text) for (text,) in rows]
    to_carry = {table: carried(connection, quoted(connection, schema, table), schema) for table in SWAPPED}
    return Dependents(schema, tables, to_carry, rebound)


def relations_of(connection: Connection, schemas: Sequence[str]) -> tuple[list[int], int]:
    """The oids of all that a swap locks beside the fence, and that of the fence. `schemas`: those that it empties."""
    (_, fence), *rows = connection.execute(_RELATIONS, {"swapped": list(SWAPPED), "schemas": list(schemas)}).fetchall()
    return [oid for _, oid in rows], fence


def left_behind(connection: Connection, replaced: int) -> list[str]:
    """What is still bound to the table with this oid, which was replaced."""
    about = {"live": replaced, "moved": True}
    return [str(name) for (name,) in connection.execute(_LEFT, about, prepare=True)]


def complete(connection: Connection, schema: str) -> None:
    """Gives the tables of a replay the shop's columns, settings, constraints and indexes of the live ones.

    Call it after the rows are written: a constraint of a shop took effect when the consumers applied the events, and
    must not decide again. It changes the search_path of the connection. Raises ConsumerStoppedError if our columns
    differ from those of the live table.
    """
    live_in = live_schema(connection)
    connection.execute("SET search_path = pg_catalog")
    connection.execute(sql.SQL("SET lock_timeout = {}").format(COMPLETE_LOCK_MS))
    for table in SWAPPED:
        live, new = sql.Identifier(live_in, table), sql.Identifier(schema, table)
        ours, theirs = ([*_columns(connection, in_schema, table)] for in_schema in (live_in, schema))
        if ours != theirs:
            raise ConsumerStoppedError(
                f"The live table {table} has other columns than this version makes: {ours} instead of {theirs}. The "
                f"two cannot be compared or swapped. {LIVE_TABLES_UNCHANGED}"
            )
        shop_columns.add(connection, live, new, TABLES[table])
        shop_columns.put_in_order(connection, live, schema, table)
        adopt(connection, *shapes(connection, live_in, schema, table))
        connection.execute(sql.SQL("ANALYZE {}").format(new))


def complete_again(connection: Connection, schema: str) -> None:
    """As `complete`, if the live tables were changed since."""
    live_in = live_schema(connection)
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")
        done = is_complete(connection, live_in, schema)
    if not done:
        complete(connection, schema)


def is_complete(connection: Connection, live_in: str, schema: str) -> bool:
    """Whether the tables in `schema` have what `complete` gives them, as the live tables are now."""
    for table in SWAPPED:
        wanted, present = shapes(connection, live_in, schema, table)
        live, new = sql.Identifier(live_in, table), sql.Identifier(schema, table)
        if wanted != present or shop_columns.differ(connection, live, new, TABLES[table]):
            return False
    return True


def shapes(connection: Connection, live_in: str, schema: str, table: str) -> tuple[Parts, Parts]:
    """The shapes that `table` is to have in `schema`, and that it has."""
    live, new = (quoted(connection, in_schema, table) for in_schema in (live_in, schema))
    wanted, present = (shape(connection, source, new, schema) for source in (live, new))
    key = "constraint", f"{table}_pkey"
    # Without its primary key, a replay would not end. So it stays if somebody took it from the live table.
    return {key: present[key], **wanted} if key in present and not _has_primary_key(wanted) else wanted, present


def live_schema(connection: Connection) -> str:
    ((schema,),) = connection.execute(_SCHEMA)
    return str(schema)


def quoted(connection: Connection, schema: str, table: str) -> str:
    return sql.Identifier(schema, table).as_string(connection)


def _has_primary_key(parts: Parts) -> bool:
    return any(kind == "constraint" and " PRIMARY KEY (" in part.make for (kind, _), part in parts.items())


def _columns(connection: Connection, schema: str, table: str) -> list[tuple[Any, ...]]:
    about = {"table": quoted(connection, schema, table), "ours": list(TABLES[table])}
    return connection.execute(_COLUMNS, about).fetchall()


def _oid(connection: Connection, table: str) -> int:
    ((oid,),) = connection.execute("SELECT %s::regclass::oid", [table])
    return int(oid)
