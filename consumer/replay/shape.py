"""What of a table is made before a swap, because it takes time: storage, settings of columns, constraints, indexes.

A part is a statement that makes something on a given table, as Postgres itself writes it, and one that takes it away.
Tables with equal parts have equal shapes. So the same query tells what a table has, what another lacks, and whether
nothing is missing in the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

from consumer.postgres.connection import Connection

Key = tuple[str, str]
"""The kind of a part, and the name of what it is about."""


@dataclass(frozen=True, slots=True)
class Part:
    """`make`, `unmake`: statements. `unmake` is None if only another part can take the place of this one."""

    make: str
    unmake: str | None


Parts = Mapping[Key, Part]
"""In the order in which they can be made."""

# A foreign key is validated by itself, because to add a valid one keeps others from writing to the table that it names.
_SHAPE: LiteralString = """
WITH t AS (SELECT c.*, n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
  WHERE c.oid = %(table)s::regclass),
a AS (SELECT *, format('ALTER TABLE %%s ALTER %%I ', %(named)s::text, attname) AS alter
  FROM pg_attribute WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped),
k AS (SELECT *, ' REFERENCES ' || conrelid::regclass || '(' AS itself FROM pg_constraint
  WHERE conrelid = %(table)s::regclass AND contype IN ('c', 'f', 'p', 'u', 'x')),
x AS (SELECT i.*, x.*, conname, format(' ON %%I.%%I ', t.nspname, t.relname) AS place,
  format('ALTER INDEX %%I.%%I ', %(schema)s::text, i.relname) AS alter
  FROM t JOIN pg_index AS x ON x.indrelid = t.oid JOIN pg_class AS i ON i.oid = x.indexrelid
  LEFT JOIN pg_constraint AS c ON conindid = i.oid AND conrelid = t.oid AND contype IN ('p', 'u', 'x')
  WHERE indisvalid),
parts (rank, kind, name, make, unmake) AS (
  SELECT 1, 'persistence', '', format('ALTER TABLE %%s SET %%s', %(named)s::text,
    CASE relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END), NULL FROM t
  UNION ALL SELECT 2, 'access method', '', format('ALTER TABLE %%s SET ACCESS METHOD %%I', %(named)s::text, amname),
    NULL FROM t JOIN pg_am AS m ON m.oid = relam
  UNION ALL SELECT 3, 'tablespace', '', format('ALTER TABLE %%s SET TABLESPACE %%I', %(named)s::text, spcname), NULL
    FROM t JOIN pg_database ON datname = current_database()
    JOIN pg_tablespace AS s ON s.oid = coalesce(nullif(reltablespace, 0), dattablespace)
  UNION ALL SELECT 4 + n * 1e-6, 'storage parameter', prefix || option_name,
    format('ALTER TABLE %%s SET (%%s%%I = %%L)', %(named)s::text, prefix, option_name, option_value),
    format('ALTER TABLE %%s RESET (%%s%%I)', %(named)s::text, prefix, option_name)
    FROM t, LATERAL (SELECT '' AS prefix, t.reloptions AS options
      UNION ALL SELECT 'toast.', reloptions FROM pg_class WHERE oid = t.reltoastrelid) AS o,
    pg_options_to_table(options) WITH ORDINALITY AS p (option_name, option_value, n)
  UNION ALL SELECT 5, 'storage of the column', attname, alter || 'SET STORAGE ' || CASE attstorage WHEN 'p' THEN 'PLAIN'
    WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END, NULL FROM a WHERE attgenerated <> 'v'
  UNION ALL SELECT 5, 'compression of the column', attname, alter || 'SET COMPRESSION ' || CASE attcompression
    WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END, NULL FROM a WHERE attgenerated <> 'v'
  UNION ALL SELECT 5, 'statistics target of the column', attname,
    alter || 'SET STATISTICS ' || coalesce(attstattarget, -1), NULL FROM a
  UNION ALL SELECT 5 + n * 1e-6, 'option of the column', attname || ' ' || option_name,
    alter || format('SET (%%I = %%L)', option_name, option_value), alter || format('RESET (%%I)', option_name)
    FROM a, pg_options_to_table(attoptions) WITH ORDINALITY AS p (option_name, option_value, n)
  UNION ALL SELECT 6, 'default of the column', attname,
    alter || 'SET DEFAULT ' || pg_get_expr(adbin, adrelid), alter || 'DROP DEFAULT'
    FROM a JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attgenerated = ''
  UNION ALL SELECT CASE contype WHEN 'c' THEN 9 WHEN 'f' THEN 10 ELSE 7 END, 'constraint', conname,
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s%%s', %(named)s::text, conname, CASE WHEN confrelid = conrelid
      THEN overlay(d PLACING ' REFERENCES ' || %(named)s::text || '(' FROM position(itself IN d) FOR length(itself))
      ELSE d END, CASE WHEN contype = 'f' AND convalidated THEN ' NOT VALID' END),
    format('ALTER TABLE %%s DROP CONSTRAINT %%I', %(named)s::text, conname)
    FROM k, pg_get_constraintdef(oid) AS d
  UNION ALL SELECT 11, 'validity of the constraint', conname,
    format('ALTER TABLE %%s VALIDATE CONSTRAINT %%I', %(named)s::text, conname), NULL
    FROM k WHERE contype = 'f' AND convalidated
  UNION ALL SELECT 8, 'index', relname,
    overlay(d PLACING ' ON ' || %(named)s::text || ' ' FROM position(place IN d) FOR length(place)),
    format('DROP INDEX %%I.%%I', %(schema)s::text, relname)
    FROM x, pg_get_indexdef(indexrelid) AS d WHERE conname IS NULL
  UNION ALL SELECT 11 + n * 1e-6, 'storage parameter of the index', relname || ' ' || option_name,
    alter || format('SET (%%I = %%L)', option_name, option_value), alter || format('RESET (%%I)', option_name)
    FROM x, pg_options_to_table(reloptions) WITH ORDINALITY AS p (option_name, option_value, n)
    WHERE conname IS NOT NULL
  UNION ALL SELECT 11, 'tablespace of the index', relname, alter || format('SET TABLESPACE %%I', spcname), NULL
    FROM x JOIN pg_database ON datname = current_database()
    JOIN pg_tablespace AS s ON s.oid = coalesce(nullif(reltablespace, 0), dattablespace)
  UNION ALL SELECT 11, 'statistics target of the index', relname || ' ' || attnum,
    alter || format('ALTER COLUMN %%s SET STATISTICS %%s', attnum, attstattarget),
    alter || format('ALTER COLUMN %%s SET STATISTICS -1', attnum)
    FROM x JOIN pg_attribute ON attrelid = indexrelid WHERE attstattarget >= 0
)
SELECT kind, name, make, unmake FROM parts ORDER BY rank, kind, name
"""


def read_parts(connection: Connection, query: LiteralString, table: str, named: str, schema: str) -> Parts:
    """What `table` has, as statements that make it on the table `named` in `schema`. All of them are quoted.

    The search_path must be pg_catalog, so that Postgres writes every name with its schema.
    """
    rows = connection.execute(query, {"table": table, "named": named, "schema": schema}, prepare=True)
    return {(kind, name): Part(make, unmake) for kind, name, make, unmake in rows}


def shape(connection: Connection, table: str, named: str, schema: str) -> Parts:
    """What of `table` takes time to make, as `read_parts`."""
    return read_parts(connection, _SHAPE, table, named, schema)


def adopt(connection: Connection, wanted: Parts, present: Parts) -> None:
    """Makes what is wanted and not present, and takes away what is present and not wanted, on the table of both."""
    for key, part in reversed(list(present.items())):
        if wanted.get(key) != part and part.unmake is not None:
            connection.execute(part.unmake.encode())
    for key, part in wanted.items():
        if present.get(key) != part:
            connection.execute(part.make.encode())


def names_of_difference(wanted: Parts, present: Parts) -> list[str]:
    """What is not the same in both, for people."""
    return [" ".join(key).strip() for key in {**wanted, **present} if wanted.get(key) != present.get(key)]
