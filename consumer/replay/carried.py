"""What of a table is carried over in the transaction of a swap, because it is made at once: rights, triggers, comments.

It is read before the tables are exchanged, and made when the new table has the name of the old one. So the texts that
Postgres writes need no other names.
"""

from typing import LiteralString

from consumer.postgres.connection import Connection
from consumer.replay.shape import Parts, read_parts

_CARRIED: LiteralString = """
WITH t AS (SELECT c.*, n.nspname, format('ALTER TABLE %%s ', %(named)s::text) AS alter
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = %(table)s::regclass),
sequences AS (SELECT c.*, format('%%I.%%I', %(schema)s::text, relname) AS identity, deptype, refobjsubid
  FROM pg_depend JOIN pg_class AS c ON c.oid = objid WHERE classid = 'pg_class'::regclass AND relkind = 'S'
  AND refclassid = 'pg_class'::regclass AND refobjid = %(table)s::regclass AND deptype IN ('a', 'i')),
mine (class, id) AS (
  SELECT 'pg_class'::regclass::oid, oid FROM t
  UNION ALL SELECT 'pg_class'::regclass::oid, oid FROM sequences WHERE deptype = 'i'
  UNION ALL SELECT 'pg_class'::regclass::oid, indexrelid FROM pg_index JOIN t ON indrelid = t.oid WHERE indisvalid
  UNION ALL SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint AS k JOIN t ON conrelid = t.oid
  UNION ALL SELECT 'pg_trigger'::regclass::oid, g.oid FROM pg_trigger AS g JOIN t ON tgrelid = t.oid
    WHERE NOT tgisinternal
  UNION ALL SELECT 'pg_rewrite'::regclass::oid, r.oid FROM pg_rewrite AS r JOIN t ON ev_class = t.oid
  UNION ALL SELECT 'pg_policy'::regclass::oid, p.oid FROM pg_policy AS p JOIN t ON polrelid = t.oid
  UNION ALL SELECT 'pg_statistic_ext'::regclass::oid, s.oid FROM pg_statistic_ext AS s JOIN t ON stxrelid = t.oid),
commented AS (SELECT description, o.identity, CASE o.type WHEN 'table column' THEN 'COLUMN'
    WHEN 'table constraint' THEN 'CONSTRAINT' WHEN 'statistics object' THEN 'STATISTICS' ELSE upper(o.type) END AS type
  FROM mine JOIN pg_description ON classoid = class AND objoid = id,
  LATERAL pg_identify_object(classoid, objoid, objsubid) AS o),
guarded AS (
  SELECT 'TABLE ' || %(named)s::text AS object, '' AS columns, relowner AS owner,
    coalesce(relacl, acldefault('r', relowner)) AS acl FROM t
  UNION ALL SELECT 'SEQUENCE ' || identity, '', relowner, coalesce(relacl, acldefault('s', relowner))
    FROM sequences WHERE deptype = 'i'
  UNION ALL SELECT 'TABLE ' || %(named)s::text, format(' (%%I)', attname), relowner, attacl
    FROM t JOIN pg_attribute ON attrelid = t.oid WHERE attacl IS NOT NULL AND NOT attisdropped),
rights AS (SELECT object, columns, privilege_type,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS receiver,
    quote_ident(pg_get_userbyid(grantor)) AS giver, grantor <> owner AS is_passed_on, number
  FROM guarded, aclexplode(acl) WITH ORDINALITY AS e (grantor, grantee, privilege_type, is_grantable, number)),
parts (rank, kind, name, make, unmake) AS (
  SELECT 1, 'owner', '', alter || format('OWNER TO %%I', pg_get_userbyid(relowner)), NULL FROM t
  UNION ALL SELECT 2, 'owned sequence', identity,
    format('ALTER SEQUENCE %%s OWNED BY %%s.%%I', identity, %(named)s::text, attname), NULL
    FROM sequences JOIN pg_attribute ON attrelid = %(table)s::regclass AND attnum = refobjsubid WHERE deptype = 'a'
  UNION ALL SELECT 3, 'statistics', format('%%s.%%I', stxnamespace::regnamespace, stxname),
    pg_get_statisticsobjdef(s.oid), NULL FROM pg_statistic_ext AS s JOIN t ON stxrelid = t.oid
  UNION ALL SELECT 4, 'owner of the statistics', stxname, format('ALTER STATISTICS %%s.%%I OWNER TO %%I',
    stxnamespace::regnamespace, stxname, pg_get_userbyid(stxowner)), NULL
    FROM pg_statistic_ext JOIN t ON stxrelid = t.oid
  UNION ALL SELECT 4, 'target of the statistics', stxname, format('ALTER STATISTICS %%s.%%I SET STATISTICS %%s',
    stxnamespace::regnamespace, stxname, coalesce(stxstattarget, -1)), NULL
    FROM pg_statistic_ext JOIN t ON stxrelid = t.oid
  UNION ALL SELECT 5, 'trigger', tgname, pg_get_triggerdef(g.oid), format('DROP TRIGGER %%I ON %%s', tgname,
    %(named)s::text) FROM pg_trigger AS g JOIN t ON tgrelid = t.oid WHERE NOT tgisinternal
  UNION ALL SELECT 6, 'state of the trigger', tgname, alter || CASE tgenabled WHEN 'D' THEN 'DISABLE'
    WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END || format(' TRIGGER %%I', tgname),
    NULL FROM pg_trigger JOIN t ON tgrelid = t.oid WHERE NOT tgisinternal
  UNION ALL SELECT 5, 'rule', rulename, pg_get_ruledef(r.oid), NULL FROM pg_rewrite AS r JOIN t ON ev_class = t.oid
  UNION ALL SELECT 6, 'state of the rule', rulename, alter || CASE ev_enabled WHEN 'D' THEN 'DISABLE'
    WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END || format(' RULE %%I', rulename),
    NULL FROM pg_rewrite JOIN t ON ev_class = t.oid
  UNION ALL SELECT 5, 'policy', polname, format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', polname,
    %(named)s::text, CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
      ELSE 'ALL' END,
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
      FROM unnest(polroles) AS r),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'),
    NULL FROM pg_policy JOIN t ON polrelid = t.oid
  UNION ALL SELECT 6, 'row level security', '', alter || CASE WHEN relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END
    || ' ROW LEVEL SECURITY', NULL FROM t
  UNION ALL SELECT 6, 'force of row level security', '', alter || CASE WHEN relforcerowsecurity THEN '' ELSE 'NO ' END
    || 'FORCE ROW LEVEL SECURITY', NULL FROM t
  UNION ALL SELECT 6, 'replica identity', '', alter || 'REPLICA IDENTITY ' || CASE relreplident WHEN 'f' THEN 'FULL'
    WHEN 'n' THEN 'NOTHING' WHEN 'i' THEN format('USING INDEX %%I', (SELECT i.relname FROM pg_index AS x
      JOIN pg_class AS i ON i.oid = indexrelid WHERE indrelid = t.oid AND indisreplident)) ELSE 'DEFAULT' END, NULL
    FROM t
  UNION ALL SELECT 6, 'cluster mark', '', alter || format('CLUSTER ON %%I', i.relname), alter || 'SET WITHOUT CLUSTER'
    FROM t JOIN pg_index ON indrelid = t.oid JOIN pg_class AS i ON i.oid = indexrelid WHERE indisclustered
  UNION ALL SELECT 7 + number * 1e-6, 'right',
    concat_ws(' ', privilege_type || columns, 'on', object, 'of', receiver, 'from', giver),
    format(CASE WHEN is_passed_on THEN 'SET LOCAL ROLE %%2$s; %%1$s; RESET ROLE' ELSE '%%1$s' END,
      format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type, columns, object, receiver, option), giver),
    format('REVOKE %%s%%s ON %%s FROM %%s', privilege_type, columns, object, receiver) FROM rights
  UNION ALL SELECT 8, 'comment', type || ' ' || identity,
    format('COMMENT ON %%s %%s IS %%L', type, identity, description),
    format('COMMENT ON %%s %%s IS NULL', type, identity) FROM commented
  UNION ALL SELECT 8, 'extension needed by', o.type || ' ' || o.identity || ' ' || extname,
    format('ALTER %%s %%s DEPENDS ON EXTENSION %%I', upper(o.type), o.identity, extname), NULL
    FROM mine JOIN pg_depend ON classid = class AND objid = id AND deptype = 'x'
    JOIN pg_extension AS e ON e.oid = refobjid, LATERAL pg_identify_object(classid, objid, 0) AS o
  UNION ALL SELECT 9, 'publication', pubname, format('ALTER PUBLICATION %%I ADD TABLE %%s%%s%%s', pubname,
    %(named)s::text, (SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' FROM pg_attribute
      WHERE attrelid = prrelid AND attnum = ANY (prattrs)), ' WHERE (' || pg_get_expr(prqual, prrelid) || ')'),
    NULL FROM t JOIN pg_publication_rel ON prrelid = t.oid JOIN pg_publication AS p ON p.oid = prpubid
)
SELECT kind, name, make, unmake FROM parts ORDER BY rank, kind, name
"""
"""The rows of a replay are those that were published already. So subscribers get only what comes after the swap."""

_FREED: LiteralString = """
SELECT format('ALTER PUBLICATION %%I DROP TABLE %%s', pubname, prrelid::regclass)
  FROM pg_publication_rel JOIN pg_publication AS p ON p.oid = prpubid WHERE prrelid = %(table)s::regclass
UNION ALL SELECT format('DROP STATISTICS %%s.%%I', stxnamespace::regnamespace, stxname)
  FROM pg_statistic_ext WHERE stxrelid = %(table)s::regclass
UNION ALL SELECT format('ALTER SEQUENCE %%s OWNED BY NONE', objid::regclass) FROM pg_depend
  JOIN pg_class AS c ON c.oid = objid AND relkind = 'S' WHERE classid = 'pg_class'::regclass AND deptype = 'a'
  AND refclassid = 'pg_class'::regclass AND refobjid = %(table)s::regclass
"""


def carried(connection: Connection, table: str, schema: str) -> Parts:
    """What of `table`, which is in `schema`, is made in the transaction of a swap. As `read_parts`."""
    return read_parts(connection, _CARRIED, table, table, schema)


def free(connection: Connection, table: str) -> None:
    """Takes from the old table what there can be only once: names in schemas of their own, and places in publications.

    The new table gets it again from what `carried` read before.
    """
    for (statement,) in connection.execute(_FREED, {"table": table}).fetchall():
        connection.execute(str(statement).encode())
