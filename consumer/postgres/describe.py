"""What logs and letters quote of an error of Postgres: its code, message and names, and nothing of a row.

Never its DETAIL and CONTEXT, which contain rows. A message may quote a row too:

- In class 22 (data) it quotes the value. Quoted parts and bytes are cut out, unless they are names.
- While a function of the shop's runs, it may quote what that function makes of a row, in a statement for example. There
  the same is cut out.
- What RAISE says is the shop's own text. It is told only if it stands so in the source of the function. Otherwise the
  function and its line say where to look, and Postgres' own log has the text.
"""

import re
from collections.abc import Collection

import psycopg
from psycopg.errors import Diagnostic

RAISED_BY = {
    "exec_stmt_raise", "exec_stmt_assert", "PLy_elog_impl", "PLy_output", "croak_cstr", "do_util_elog",
    "throw_tcl_error",
}  # fmt: skip
"""The C functions of the server behind RAISE and its like."""
CUT = '"…"'
_FUNCTION = re.compile(r"^PL/\w+ function (([\w\"$.]+)\([^\n]*\))( line \d+)?", re.MULTILINE)
"""A line in the context of an error, such as `PL/pgSQL function check_order() line 3 at RAISE`."""
_COPY = re.compile(r"^COPY \w+, line ", re.MULTILINE)
"""Begins what COPY adds to the context, behind all functions: it quotes a value, which may look like such a line."""
_LEFT_OUT = re.compile(r"(a trigger of \w+ returned NULL), rows written: \d+")
"""In the message of a statement that is `tables.counted`."""
_QUOTE = re.compile("[\"'`„“”‚‘’«»「」『』]")  # noqa: RUF001
"""As Postgres quotes in any of its languages."""
_BYTES = re.compile(r"0x[0-9a-fA-F]{2}(?: 0x[0-9a-fA-F]{2})*")
_CLIENT_BUGS = psycopg.ProgrammingError, psycopg.InterfaceError, psycopg.OperationalError, psycopg.NotSupportedError
"""What psycopg says in these itself quotes no value."""


def left_out(table: str) -> str:
    """What such a statement says, before the number of rows."""
    return f"a trigger of {table} returned NULL, rows written: "


def describe(error: psycopg.Error, *, is_constant: bool = False) -> str:
    """Code, message and names; nothing of a row. `is_constant`: what was raised stands so in the function's source."""
    diag = error.diag
    code, message = error.sqlstate, diag.message_primary
    if found := _LEFT_OUT.search(message or ""):
        return found[0]
    if message is None:
        text = str(error).strip() if code or isinstance(error, _CLIENT_BUGS) else type(error).__name__
        return " ".join(filter(None, [code, cut(text, ()) if (code or "")[:2] == "22" else text]))
    line = _line_of(diag)
    names = {"table": diag.table_name, "column": diag.column_name, "constraint": diag.constraint_name}
    known = {kind: name for kind, name in names.items() if name}
    if is_raised(diag):
        known.clear()  # RAISE ... USING CONSTRAINT may give any text
        if not is_constant:
            message = f"raised{'' if line is None else line[3] or ''}; Postgres' own log has the text"
    elif (code or "22")[:2] == "22" or line is not None:
        message = cut(message, known.values())
    told = [f"{kind} {name}" for kind, name in known.items() if f'"{name}"' not in message]
    told += [] if line is None else [f"function {line[2]}"]
    return f"{code} {message}" + (f" ({', '.join(told)})" if told else "")


def cut(message: str, names: Collection[str]) -> str:
    """The message without its quoted parts and bytes, unless all that is quoted are `names`.

    All from the first quote to the last one goes: the value may have quotes in it.
    """
    quotes = list(_QUOTE.finditer(message))
    if quotes:
        first, end = quotes[0].start(), quotes[-1].end()
        rest = message[first:end]
        for name in names:
            rest = rest.replace(f'"{name}"', "")
        if _QUOTE.search(rest):
            message = message[:first] + CUT + message[end:]
    return _BYTES.sub("…", message)


def reason_of(error: psycopg.Error) -> str:
    """Equal for all rows that are refused for one reason, unlike the message, which may quote the row."""
    diag = error.diag
    if found := _LEFT_OUT.search(diag.message_primary or ""):
        return found[1]
    line = _line_of(diag)
    names = diag.table_name, diag.column_name, diag.constraint_name, line and line[0]
    return " ".join([error.sqlstate or "?", *(name or "-" for name in names)])


def is_raised(diag: Diagnostic) -> bool:
    """Whether a function of the shop's raised it on purpose."""
    return diag.source_function in RAISED_BY


def function_of(diag: Diagnostic) -> str | None:
    """The function of a shop's in which it happened, such as that of a trigger."""
    line = _line_of(diag)
    return None if line is None else line[2]


def functions_of(diag: Diagnostic) -> list[str]:
    """All of them, each with the types of its arguments."""
    return [line[1] for line in _FUNCTION.finditer(_context(diag))]


def _line_of(diag: Diagnostic) -> re.Match[str] | None:
    """The outermost function, which stands last: a statement before it may quote a row that looks like one."""
    return next(reversed(list(_FUNCTION.finditer(_context(diag)))), None)


def _context(diag: Diagnostic) -> str:
    context = diag.context or ""
    copies = list(_COPY.finditer(context))
    return context[: copies[-1].start()] if copies else context
