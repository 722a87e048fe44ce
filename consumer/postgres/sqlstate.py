"""Translates errors of Postgres once, at the edge (design 6). https://www.postgresql.org/docs/18/errcodes-appendix.html"""

import re

import psycopg

from consumer.errors import (
    ConsumerError,
    ConsumerStoppedError,
    DiskFullError,
    RefusedByPostgresError,
    RetryLaterError,
)

RETRY_CLASSES = {
    "08": "connection exception",
    "40": "transaction rollback: deadlock, serialization",
    "53": "insufficient resources: disk full, out of memory, too many connections",
    "55": "object not in prerequisite state: lock not available",
    "57": "operator intervention: shutdown, cancelled, not yet accepting connections",
    "58": "system error: an input or output error of the server's disk",
}
DISK_FULL = "53100"
RETRY_CODES = {"25006": "read-only transaction: a standby that is not promoted yet"}
REFUSED_CLASSES = {
    "22": "data exception",
    "23": "integrity constraint violation",
    "54": "program limit exceeded",
}
ADVICE = {
    "28": "Check the user and password in ORDERS_POSTGRES_URL, and pg_hba.conf.",
    "3D": "Create the database that ORDERS_POSTGRES_URL names, then run: orders setup",
    "3F": "Run: orders setup",
    "42": "The tables or the privileges do not fit this version. Run: orders setup",
}

# libpq gives a refused log-in no SQLSTATE, only a text.
_LOGIN_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|no password supplied|"
    r'role "[^"]*" (?:does not exist|is not permitted to log in)|permission denied for database'
)
_DATABASE_MISSING = re.compile(r'database "[^"]*" does not exist')


def translate(error: psycopg.Error) -> ConsumerError:
    """The error of ours that says what to do about `error`. Without a SQLSTATE the connection is lost: try again."""
    code, text = error.sqlstate, str(error).strip()
    if code is None:
        if _LOGIN_REFUSED.search(text):
            code = "28000"
        elif _DATABASE_MISSING.search(text):
            code = "3D000"
        elif isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return RetryLaterError(text)
        else:
            return ConsumerStoppedError(f"Postgres sent an answer that this program does not understand: {text}")
    if code == DISK_FULL:
        return DiskFullError(f"{code} {text}")
    if code[:2] in RETRY_CLASSES or code in RETRY_CODES:
        return RetryLaterError(f"{code} {text}")
    if code[:2] in REFUSED_CLASSES:
        return RefusedByPostgresError(f"{code} {text}")
    advice = ADVICE.get(code[:2], "Look at the log of the Postgres server.")
    return ConsumerStoppedError(f"Postgres refuses a statement ({code}): {text}\n{advice}")
