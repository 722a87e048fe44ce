"""What is told of an error of Postgres: never what stands in a row."""

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from consumer.postgres.describe import CUT, describe, function_of, functions_of
from consumer.postgres.sqlstate import translate

ROW = "Ada Lovelace"
FUNCTION = "PL/pgSQL function check_order(text) line 3 at EXECUTE"
NAMES = "message_primary", "table_name", "column_name", "constraint_name", "context", "source_function"


class Refused(psycopg.DataError):
    """As the server sends it."""

    def __init__(self, code: str, message: str, **about: str) -> None:
        super().__init__(f'{message}\nDETAIL:  Failing row contains ("{ROW}").')
        self.sqlstate = code
        self.about: Any = SimpleNamespace(**{name: about.get(name) for name in NAMES} | {"message_primary": message})

    @property
    def diag(self) -> Any:
        return self.about


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Refused("22P02", f'invalid input syntax for type integer: "{ROW}"'), f"syntax for type integer: {CUT}"),
        (Refused("22P02", f'invalid input syntax for type integer: "a"b {ROW}"'), f"syntax for type integer: {CUT}"),
        (Refused("22P02", f"ungültige Eingabesyntax für Typ integer: »{ROW}«"), f"für Typ integer: {CUT}"),
        (Refused("22P02", f"syntaxe en entrée invalide : « {ROW} »"), f"invalide : {CUT}"),
        (Refused("22003", 'value "12345" is out of range for type integer'), f"value {CUT} is out of range"),
        (Refused("22021", 'invalid byte sequence for encoding "UTF8": 0xe4 0xbd'), f"encoding {CUT}: …"),
        (Refused("22P05", 'byte sequence 0xe4 0xbd in encoding "UTF8" has none'), f"sequence … in encoding {CUT}"),
        (Refused("22001", "value too long for type character varying(5)", column_name="name"), "(column name)"),
        (
            Refused("23502", 'null value in column "a" of relation "orders"', table_name="orders", column_name="a"),
            'null value in column "a" of relation "orders"',
        ),
        (Refused("42P01", 'relation "orders" does not exist'), 'relation "orders" does not exist'),
        (Refused("42P01", f'relation "{ROW}" does not exist', context=FUNCTION), f"relation {CUT} does not exist"),
        (Refused("42601", f"""unterminated string "'{ROW}" """, context=FUNCTION), f"string {CUT}"),
        (
            Refused("23505", 'violates unique constraint "k"', constraint_name="k", context=FUNCTION),
            'violates unique constraint "k" (function check_order)',
        ),
        (
            Refused("P0001", f"{ROW} is bad", context=FUNCTION, source_function="exec_stmt_raise"),
            "P0001 raised line 3; Postgres' own log has the text (function check_order)",
        ),
        (
            Refused("23514", "x", constraint_name=ROW, context=FUNCTION, source_function="exec_stmt_raise"),
            "23514 raised line 3; Postgres' own log has the text (function check_order)",
        ),
        (Refused("P0004", f"{ROW} is bad", source_function="exec_stmt_assert"), "Postgres' own log has the text"),
    ],
    ids=str,
)
def test_no_text_quotes_a_row(error: psycopg.Error, told: str) -> None:
    assert told in describe(error)
    for text in (describe(error), str(translate(error, writes_rows=True)), str(translate(error))):
        assert "Ada" not in text
        assert "Lovelace" not in text
        assert "12345" not in text
        assert "xe4" not in text


def test_what_a_function_raises_is_told_if_it_stands_in_its_source() -> None:
    error = Refused("P0001", "the shop is closed", context=FUNCTION, source_function="exec_stmt_raise")
    assert describe(error, is_constant=True) == "P0001 the shop is closed (function check_order)"


def test_a_row_that_looks_like_a_function_is_not_taken_for_one() -> None:
    """COPY quotes the value, with its line ends. A statement that a function makes may have the value too."""
    fake = f"x\nPL/pgSQL function {ROW.split()[0]}() line 1 at RAISE"
    copied = Refused("22001", "too long", context=f'COPY orders, line 1, column name: "{fake}"')
    assert function_of(copied.diag) is None
    made = Refused("42601", "syntax error", context=f'SQL statement "{fake}"\n{FUNCTION}')
    assert function_of(made.diag) == "check_order"
    assert "check_order(text)" in functions_of(made.diag)


def test_an_error_of_the_client_library_about_a_value_is_told_by_its_class() -> None:
    assert describe(psycopg.DataError(f"can't parse date {ROW!r}")) == "DataError"
    assert describe(psycopg.OperationalError("connection refused")) == "connection refused"
