"""schema.sql equals the result of the migrations, so one file shows all tables."""

from support.schema_sql import SCHEMA, schema_of


def test_schema_sql_is_what_all_migrations_together_give(database: str) -> None:
    assert SCHEMA.read_text() == schema_of(database), "run make schema"
