"""Migrations only add: the version before works on the tables of today's, so it may run beside it and come back."""

import re

import pytest

from consumer.postgres.migrate import _migrations

_COMMENT = re.compile(r"--[^\n]*")
_BODY = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_OF_TABLES = re.compile(r"DO \$\$(?:(?!\$\$).)*\bTABLE\b(?:(?!\$\$).)*\$\$", re.DOTALL)
"""A body that is run at once, and that the rules below do not see."""
_ADDS = re.compile(
    r"CREATE TABLE .+"
    r"|CREATE INDEX .+"  # not UNIQUE: it would refuse what the version before writes
    r"|CREATE FUNCTION .+"
    r"|ALTER TABLE \w+ ADD COLUMN \w+ (?:\w+|\w+ NOT NULL DEFAULT [\w']+)"
    r"|REVOKE EXECUTE ON FUNCTION .+ FROM PUBLIC"
    r"|INSERT INTO consumer_partition SELECT partition, 0 FROM .+"  # 0001: the table is new
    r"|DO"  # a body: the settings of new functions
)


def not_additive(migration: str) -> list[str]:
    """The statements that may take something from the version before, on one line each."""
    bare = _BODY.sub("", _OF_TABLES.sub("DO with a TABLE", _COMMENT.sub("", migration)))
    statements = (" ".join(statement.split()) for statement in bare.split(";"))
    return [statement for statement in statements if statement and not _ADDS.fullmatch(statement)]


@pytest.mark.parametrize("name", sorted(_migrations()))
def test_a_migration_only_adds(name: str) -> None:
    assert not_additive(_migrations()[name]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders DROP COLUMN phone",
        "ALTER TABLE orders RENAME COLUMN phone TO telephone",
        "ALTER TABLE orders ALTER COLUMN phone SET NOT NULL",
        "ALTER TABLE orders ADD COLUMN vat bigint NOT NULL",
        "ALTER TABLE orders ADD COLUMN vat bigint CHECK (vat > 0)",
        "ALTER TABLE orders ADD CONSTRAINT c UNIQUE (email)",
        "CREATE UNIQUE INDEX ON orders (email)",
        "CREATE OR REPLACE FUNCTION make_ledger_day(day date) RETURNS void LANGUAGE sql AS $$SELECT$$",
        "DROP TABLE request_key",
        "UPDATE orders SET phone = NULL",
    ],
)
def test_what_takes_something_away_is_found(statement: str) -> None:
    migration = f"ALTER TABLE orders ADD COLUMN vat bigint;  -- fine\n{statement};"
    assert not_additive(migration) == [statement.replace("$$SELECT$$", "").strip()]


def test_what_a_block_does_to_tables_is_found() -> None:
    assert not_additive("DO $$ BEGIN EXECUTE 'ALTER TABLE orders DROP COLUMN phone'; END $$;") == ["DO with a TABLE"]
