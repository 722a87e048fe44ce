"""What logs and letters quote of an error of Postgres: its code, message and names.

Never its DETAIL and CONTEXT: they contain rows.
"""

import re

import psycopg
from psycopg.errors import Diagnostic

_FUNCTION = re.compile(r"PL/\w+[^\n(]*?([\w\"$.]+)\(")
"""The function in the context of an error, such as `PL/pgSQL function check_order() line 3 at RAISE`."""
_LEFT_OUT = re.compile(r"(a trigger of \w+ returned NULL), rows written: \d+")
"""In the message of a statement that is `tables.counted`."""


def left_out(table: str) -> str:
    """What such a statement says, before the number of rows."""
    return f"a trigger of {table} returned NULL, rows written: "


def describe(error: psycopg.Error) -> str:
    """Code, message and names; nothing of a row but what the message itself quotes."""
    diag = error.diag
    if found := _LEFT_OUT.search(diag.message_primary or ""):
        return found[0]
    if diag.message_primary is None:
        return " ".join(filter(None, [error.sqlstate, str(error).strip()]))
    names = {
        "table": diag.table_name,
        "column": diag.column_name,
        "constraint": diag.constraint_name,
        "function": function_of(diag),
    }
    told = [f"{kind} {name}" for kind, name in names.items() if name and f'"{name}"' not in diag.message_primary]
    return f"{error.sqlstate} {diag.message_primary}" + (f" ({', '.join(told)})" if told else "")


def reason_of(error: psycopg.Error) -> str:
    """Equal for all rows that are refused for one reason, unlike the message, which may quote the row."""
    diag = error.diag
    if found := _LEFT_OUT.search(diag.message_primary or ""):
        return found[1]
    where = next((line for line in (diag.context or "").splitlines() if _FUNCTION.search(line)), None)
    names = diag.table_name, diag.column_name, diag.constraint_name, where
    return " ".join([error.sqlstate or "?", *(name or "-" for name in names)])


def function_of(diag: Diagnostic) -> str | None:
    """The function of a shop's in which it happened, such as that of a trigger."""
    found = _FUNCTION.search(diag.context or "")
    return found[1] if found else None
