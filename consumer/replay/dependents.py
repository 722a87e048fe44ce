"""What depends on the live table `orders`, and the statements that give the same to the table that replaces it.

A view is bound to a table, not to its name, so it is made again on the new table. It keeps its identity, and with it
its privileges and everything that depends on it. What cannot move to the new table is reported before anything changes.
"""

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection
from consumer.postgres.tables import ORDER_LETTER, ORDERS
from consumer.replay import shop_columns
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.schema import REPLACED_SCHEMA

_SCHEMA: LiteralString = (
    "SELECT nspname FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid WHERE c.oid = %(live)s"
)

_LOST: LiteralString = """
SELECT replace(pg_describe_object(d.classid, d.objid, d.objsubid), 'rule _RETURN on ', '') FROM pg_depend AS d
JOIN pg_class AS live ON live.oid = %(live)s
LEFT JOIN pg_type AS rows ON rows.oid = live.reltype
LEFT JOIN pg_rewrite AS rule ON d.classid = 'pg_rewrite'::regclass AND rule.oid = d.objid
LEFT JOIN pg_class AS view ON view.oid = rule.ev_class
WHERE d.deptype = 'n' AND view.relkind IS DISTINCT FROM 'v' AND d.classid <> 'pg_publication_rel'::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE d.classid = 'pg_constraint'::regclass AND oid = d.objid
                  AND conrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_trigger WHERE d.classid = 'pg_trigger'::regclass AND oid = d.objid
                  AND tgrelid = live.oid)
  AND NOT EXISTS (SELECT FROM pg_attrdef WHERE d.classid = 'pg_attrdef'::regclass AND oid = d.objid
                  AND adrelid = live.oid) AND (
  d.refclassid = 'pg_class'::regclass AND d.refobjid = live.oid
  OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (rows.oid, rows.typarray))
UNION SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(live)s
UNION SELECT 'row level security' FROM pg_class WHERE oid = %(live)s AND relrowsecurity
UNION SELECT format('publication %%I, which belongs to the role %%s', pubname, pg_get_userbyid(pubowner))
  FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid JOIN pg_class AS c ON c.oid = prrelid
  WHERE prrelid = %(live)s AND (relname <> 'orders' OR NOT pg_has_role(pubowner, 'USAGE'))
UNION SELECT format('publication %%I FOR TABLES IN SCHEMA %%s (it would not send the rows of the new table)',
  pubname, relnamespace::regnamespace) FROM pg_publication AS p JOIN pg_publication_namespace ON pnpubid = p.oid
  JOIN pg_class AS c ON c.relnamespace = pnnspid WHERE c.oid = %(live)s
UNION SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(live)s
UNION SELECT 'inheritance of ' || inhrelid::regclass || ' from ' || inhparent::regclass FROM pg_inherits
  WHERE %(live)s IN (inhrelid, inhparent)
UNION SELECT 'extended statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = %(live)s
UNION SELECT 'trigger ' || tgname || ', which is not simply enabled' FROM pg_trigger
  WHERE tgrelid = %(live)s AND NOT tgisinternal AND tgenabled <> 'O'
UNION SELECT 'rights on the column ' || attname FROM pg_attribute WHERE attrelid = %(live)s AND attacl IS NOT NULL
UNION SELECT 'comment on ' || pg_describe_object(classoid, objoid, objsubid) FROM pg_description
  WHERE classoid = 'pg_class'::regclass AND objoid = %(live)s
UNION SELECT 'storage parameters ' || array_to_string(reloptions, ', ') FROM pg_class
  WHERE oid = %(live)s AND reloptions IS NOT NULL
UNION SELECT 'settings of the column ' || attname FROM pg_attribute JOIN pg_type AS t ON t.oid = atttypid
  WHERE attrelid = %(live)s AND attnum > 0 AND NOT attisdropped
  AND (attoptions IS NOT NULL OR attstattarget >= 0 OR attcompression <> '' OR attstorage <> typstorage)
UNION SELECT 'replica identity' FROM pg_class WHERE oid = %(live)s AND relreplident <> 'd'
UNION SELECT 'tablespace' FROM pg_class WHERE oid = %(live)s AND reltablespace <> 0
UNION SELECT 'UNLOGGED' FROM pg_class WHERE oid = %(live)s AND relpersistence <> 'p'
ORDER BY 1
"""
_ADDED_TO_LETTERS: LiteralString = """
SELECT 'column ' || attname FROM pg_attribute
  WHERE attrelid = %(live)s AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%(ours)s::text[])
UNION SELECT 'constraint ' || conname FROM pg_constraint WHERE conrelid = %(live)s AND contype NOT IN ('p', 'n')
UNION SELECT 'index ' || i.relname FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
  WHERE indrelid = %(live)s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid)
UNION SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = %(live)s AND NOT tgisinternal
UNION SELECT 'view ' || r.ev_class::regclass FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(live)s
ORDER BY 1
"""
"""A swap makes `order_letter` as this version has it, so whatever a shop added to it would be lost."""

_VIEWS: LiteralString = """
SELECT DISTINCT format('CREATE OR REPLACE VIEW %%I.%%I%%s AS %%s', n.nspname, v.relname,
  ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
JOIN pg_namespace AS n ON n.oid = v.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(live)s
  AND v.relkind = 'v'
"""
_TRIGGERS: LiteralString = (
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %(live)s AND NOT tgisinternal ORDER BY tgname"
)
_OWNER: LiteralString = (
    "SELECT format('ALTER TABLE %%s OWNER TO %%I', oid::regclass, pg_get_userbyid(relowner)) FROM pg_class "
    "WHERE oid = %(live)s"
)
_RIGHTS: LiteralString = """
SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, c.oid::regclass,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = %(live)s AND a.grantee <> c.relowner
"""

_PUBLICATIONS: LiteralString = """
SELECT format('ALTER PUBLICATION %%1$I DROP TABLE %%2$I.orders; ALTER PUBLICATION %%1$I ADD TABLE %%3$s%%4$s%%5$s',
  pubname, %(replaced)s::text, prrelid::regclass,
  (SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' FROM pg_attribute
   WHERE attrelid = prrelid AND attnum = ANY (prattrs)),
  ' WHERE (' || pg_get_expr(prqual, prrelid) || ')')
FROM pg_publication_rel JOIN pg_publication AS p ON p.oid = prpubid WHERE prrelid = %(live)s
"""
"""The rows of a replay are those that were published already. So subscribers get only what comes after the swap."""

_COLUMNS: LiteralString = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated::text, pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""
_CONSTRAINTS: LiteralString = """
SELECT conname, format('ADD CONSTRAINT %%I %%s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE conrelid = %(table)s::regclass AND contype IN ('c', 'f', 'p', 'u', 'x') ORDER BY contype DESC, conname
"""
_INDEXES: LiteralString = """
SELECT i.relname, replace(pg_get_indexdef(i.oid), format(' ON %%I.%%I ', n.nspname, t.relname), ' ON {new} ')
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE x.indrelid = %(table)s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid)
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Dependents:
    """`live_schema`: the schema of the live table. `statements`: to run after the new table is in its place."""

    live_schema: str
    statements: list[str]


def dependents(connection: Connection) -> Dependents:
    """Reads them inside a transaction. Raises ConsumerStoppedError if a swap would lose something that depends on
    `orders`."""
    live = connection.execute("SELECT 'orders'::regclass::oid").fetchone()
    assert live is not None
    about: dict[str, Any] = {"live": live[0], "ours": list(ORDER_LETTER), "replaced": REPLACED_SCHEMA}
    # From here on, Postgres writes every name with its schema.
    connection.execute("SET LOCAL search_path = pg_catalog")
    ((schema,),) = connection.execute(_SCHEMA, about)
    letters = sql.Identifier(str(schema), "order_letter").as_string(connection)
    ((letters_oid,),) = connection.execute("SELECT %s::regclass::oid", [letters])
    about_letters = {**about, "live": letters_oid}
    lost = [str(name) for (name,) in connection.execute(_LOST, about)]
    for query in (_LOST, _ADDED_TO_LETTERS):
        lost += [f"{name} (of order_letter)" for (name,) in connection.execute(query, about_letters)]
    if lost:
        raise ConsumerStoppedError(
            "The tables cannot be swapped, because these would stay with the old ones:\n  "
            + "\n  ".join(lost)
            + f"\nRemove them, swap, and create them again. {LIVE_TABLES_UNCHANGED}"
        )
    queries = _OWNER, _RIGHTS, _TRIGGERS, _VIEWS, _PUBLICATIONS
    statements = [str(text) for query in queries for (text,) in connection.execute(query, about)]
    statements += [str(text) for query in (_OWNER, _RIGHTS) for (text,) in connection.execute(query, about_letters)]
    return Dependents(str(schema), statements)


def complete(connection: Connection, schema: str) -> None:
    """Gives the table of a replay the shop's columns, constraints and indexes of the live one, under the same names.

    Call it after the rows are written: a constraint of a shop took effect when the consumers applied the events, and
    must not decide again. Raises ConsumerStoppedError if our columns differ from those of the live table.
    """
    ((live_oid,),) = connection.execute("SELECT 'orders'::regclass::oid")
    ((live_schema,),) = connection.execute(_SCHEMA, {"live": live_oid})
    live, new = sql.Identifier(str(live_schema), "orders"), sql.Identifier(schema, "orders")
    ours, theirs = [[row for row in _rows(connection, _COLUMNS, table) if row[0] in ORDERS] for table in (live, new)]
    if ours != theirs:
        raise ConsumerStoppedError(
            f"The live table orders has other columns than this version makes: {ours} instead of {theirs}. The two "
            f"cannot be compared or swapped. {LIVE_TABLES_UNCHANGED}"
        )
    shop_columns.add(connection, live, new)
    existing = {name for name, _ in _rows(connection, _CONSTRAINTS, new)}
    for name, definition in _rows(connection, _CONSTRAINTS, live):
        if name not in existing:
            connection.execute(sql.SQL("ALTER TABLE {} {}").format(new, sql.SQL(definition)))
    existing = {name for name, _ in _rows(connection, _INDEXES, new)}
    for name, definition in _rows(connection, _INDEXES, live):
        if name not in existing:
            connection.execute(sql.SQL(definition).format(new=new))
    connection.execute(sql.SQL("ANALYZE {}").format(new))


def _rows(connection: Connection, query: LiteralString, table: sql.Identifier) -> list[tuple[Any, ...]]:
    return connection.execute(query, {"table": table.as_string(connection)}).fetchall()
