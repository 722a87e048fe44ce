"""schema.sql is what the migrations give: whoever wants to know the tables reads one file."""

from support.schema_sql import SCHEMA, schema_of


def test_schema_sql_is_what_all_migrations_together_give(database: str) -> None:
    assert SCHEMA.read_text() == schema_of(database), "run make schema"
