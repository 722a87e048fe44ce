"""Publications that take in every new table: their subscribers stop at one that they do not have.

A replay makes a schema of tables, and each day makes a table of the ledger. `FOR TABLE orders` has neither.
"""

from typing import LiteralString

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection

ADVICE = (
    'Publish the orders alone: docs/operating.md, "Publish the orders to another database". (DROP PUBLICATION, then '
    "CREATE PUBLICATION ... FOR TABLE orders)"
)

_OF_SCHEMA: LiteralString = """
SELECT format('%%I FOR ALL TABLES', pubname) FROM pg_publication WHERE puballtables
UNION SELECT format('%%I FOR TABLES IN SCHEMA %%I', pubname, nspname) FROM pg_publication AS p
  JOIN pg_publication_namespace ON pnpubid = p.oid JOIN pg_namespace AS n ON n.oid = pnnspid WHERE nspname = %(schema)s
ORDER BY 1
"""
_OF_LEDGER: LiteralString = """
SELECT format('%%I FOR ALL TABLES', pubname) FROM pg_publication WHERE puballtables AND NOT pubviaroot
UNION SELECT format('%%I FOR TABLES IN SCHEMA %%s', pubname, relnamespace::regnamespace) FROM pg_publication AS p
  JOIN pg_publication_namespace ON pnpubid = p.oid JOIN pg_class AS c ON c.relnamespace = pnnspid
  WHERE c.oid = 'request_part'::regclass AND NOT pubviaroot
UNION SELECT format('%%I FOR TABLE request_part', pubname) FROM pg_publication AS p
  JOIN pg_publication_rel ON prpubid = p.oid WHERE prrelid = 'request_part'::regclass AND NOT pubviaroot
ORDER BY 1
"""


def require_unpublished(connection: Connection, schema: str) -> None:
    """Raises ConsumerStoppedError if tables that are made in `schema` would be published."""
    found = [str(name) for (name,) in connection.execute(_OF_SCHEMA, {"schema": schema})]
    if found:
        raise ConsumerStoppedError(
            f"Each table that is made in the schema {schema} would be published by: {', '.join(found)}. Subscribers do "
            f"not have these tables, so they would stop, and their slots would keep the WAL without end. {ADVICE} "
            "Nothing was done."
        )


def about_the_ledger(connection: Connection) -> str | None:
    """What to tell an operator if the ledger's table of each day is published; None if it is not."""
    found = [str(name) for (name,) in connection.execute(_OF_LEDGER, {})]
    if not found:
        return None
    return (
        f"The ledger makes a table each day, and it is published by: {', '.join(found)}. Subscribers do not have that "
        f"table, so they stop at midnight UTC, and their slots keep the WAL without end. {ADVICE}"
    )
