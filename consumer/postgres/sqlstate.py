"""Translates errors of Postgres once, at the edge (design 6), by the line of `sqlstate_table.py` for their code.

`describe.py` says what logs and letters quote of an error.
"""

import re

import psycopg
from psycopg.errors import Diagnostic

from consumer.errors import (
    ConsumerError,
    ConsumerStoppedError,
    DiskFullError,
    PlanLostError,
    RefusedByPostgresError,
    RetryLaterError,
    TooMuchAtOnceError,
)
from consumer.postgres.describe import describe, function_of, is_raised, reason_of
from consumer.postgres.sqlstate_table import SQLSTATES, Verdict

DISK_FULL = "53100"
_MADE_UP = Verdict.ROW, "Postgres has no such code: a function of the shop's made it up."
_ADVICE = {
    "28": "Check the user and password in ORDERS_POSTGRES_URL, and pg_hba.conf.",
    "3D": "Create the database that ORDERS_POSTGRES_URL names, then run: orders setup",
    "3F": "No schema of the search_path exists. Create it, or correct options=-csearch_path... in ORDERS_POSTGRES_URL, "
    "then run: orders setup",
    "42": 'Somebody changed the tables. See docs/operating.md, "What a shop may do to the tables".',
    "42501": 'A right is missing. The SQL for all of them is in docs/operating.md, "Roles and rights".',
    "XX": "Look at the log of the Postgres server. Restore corrupted data from a backup; the topic gives the rest.",
}
_OF_A_FUNCTION = "55000", "55006", "58P01"
"""Outages in our statements. In a shop's function: currval() before nextval(), a change of the very table whose trigger
runs, or a library that is not there."""

# A refused log-in has no SQLSTATE in libpq, only its text.
_LOGIN_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|no password supplied|"
    r'role "[^"]*" (?:does not exist|is not permitted to log in)|permission denied for database'
)
_DATABASE_MISSING = re.compile(r'database "[^"]*" does not exist')


def translate(error: psycopg.Error, *, writes_rows: bool = False, is_constant: bool = False) -> ConsumerError:
    """What to do about `error`. Without a SQLSTATE the connection is gone: that is worth another try.

    `writes_rows`: whether it comes from a transaction that writes a batch. Only then a row can be to blame.
    `is_constant`: as of `describe`.
    """
    code = error.sqlstate or _code_of(error)
    if code is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            # A server that ends a session in the middle of a batch, for its time or memory, cannot always say why.
            return (TooMuchAtOnceError if writes_rows else RetryLaterError)(str(error).strip())
        return ConsumerStoppedError(f"Postgres sent an answer that this program does not understand: {describe(error)}")
    text = describe(error, is_constant=is_constant)
    match _verdict(error.diag, code, writes_rows):
        case Verdict.RETRY | Verdict.NEW_SESSION:
            return (DiskFullError if code == DISK_FULL else RetryLaterError)(text)
        case Verdict.NEW_PLAN:
            return PlanLostError(text, reason_of(error))
        case Verdict.SMALLER:
            return TooMuchAtOnceError(text, reason_of(error) if function_of(error.diag) else None)
        case Verdict.ROW if writes_rows:
            return RefusedByPostgresError(text, reason_of(error))
        case _:
            return ConsumerStoppedError(f"Postgres refuses a statement: {text}\n{advice(code)}")


def needs_new_session(error: psycopg.Error) -> bool:
    """Whether the session of `error` is not worth another try. What the client says itself has no SQLSTATE."""
    verdict, _ = SQLSTATES.get(error.sqlstate or "08000", _MADE_UP)
    return verdict in (Verdict.NEW_SESSION, Verdict.NEW_PLAN, Verdict.SMALLER)


def is_login_refused(error: psycopg.Error) -> bool:
    """Whether the server does not let this role in, or not with this password."""
    return (error.sqlstate or _code_of(error) or "").startswith("28")


def advice(code: str) -> str:
    """What a person can do about a code that stops."""
    return _ADVICE.get(code) or _ADVICE.get(code[:2], "Look at the log of the Postgres server.")


def _verdict(diag: Diagnostic, code: str, writes_rows: bool) -> Verdict:
    verdict, _ = SQLSTATES.get(code, _MADE_UP)
    is_of_the_shop = is_raised(diag) or diag.source_function == "ExecWithCheckOptions"
    may_be_a_function = (verdict is Verdict.STOP and code[:2] != "XX") or code in _OF_A_FUNCTION
    is_broken_function = may_be_a_function and function_of(diag) is not None
    return Verdict.ROW if writes_rows and (is_of_the_shop or is_broken_function) else verdict


def _code_of(error: psycopg.Error) -> str | None:
    text = str(error)
    if _LOGIN_REFUSED.search(text):
        return "28000"
    return "3D000" if _DATABASE_MISSING.search(text) else None
