"""Every SQLSTATE of Postgres 18, what a batch does about it, and why.

The codes: https://www.postgresql.org/docs/18/errcodes-appendix.html. A test compares the table with the errcodes.txt of
the server. `sqlstate.py` uses it, and says when the verdict depends on more than the code.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """What is done about an error."""

    RETRY = "retry"
    """The same batch again, forever: an outage, or somebody else was in the way."""
    NEW_SESSION = "new_session"
    """The same batch again over another connection, which also finds a new primary: an outage of this session."""
    NEW_PLAN = "new_plan"
    """The same, because another session plans and prepares anew; where that does not help either, as ROW."""
    SMALLER = "smaller"
    """Again over another connection, and from the second time on with fewer records: too much for one transaction."""
    ROW = "row"
    """Some row is refused: the batch is halved down to it, and it becomes a dead letter."""
    STOP = "stop"
    """No row can be blamed, and waiting does not help: a person must act."""


_TABLE = """
row 00 000
    Not an error. Only a function of the shop's raises it as one, for a row.
row 01 000 003 004 006 007 008 00C P01
    Warnings. Only a function of the shop's raises one as an error, for a row.
row 02 000 001
    "No data" is no error of a statement of ours. A function of the shop's raises it, for a row.
stop 03 000
    A statement of ours was sent before the one before it ended: a bug.
new_session 08 000 001 003 004 006 007 P01
    The connection broke or could not be made. Whether the commit arrived is told by the fence.
row 09 000
    A trigger of the shop's failed for a row.
new_plan 0A 000
    "cached plan must not change result type", after ALTER TABLE: another session plans anew.
stop 0B 000
    Our statements begin their transactions one by one: a bug.
row 0F 000 001
    Locators are large objects; only a function of the shop's has them.
row 0L 000 P01
    Only a function of the shop's grants rights.
stop 0P 000
    The role of ORDERS_POSTGRES_URL, or a setting of it, names a role that does not exist.
row 0Z 000 002
    GET STACKED DIAGNOSTICS in a function of the shop's.
row 10 608
    XML in a column or function of the shop's.
row 20 000
    CASE without ELSE in a function of the shop's met a value that it does not know.
row 21 000
    A subquery of the shop's (in a function, a policy) gave several rows for one.
row 22 000 001 002 003 004 005 007 008 009 00B 00C 00D 00F 00G 00H 00L 00M 00N 00S 00T
    A value does not fit the column, or what the shop computes from it.
row 22 010 011 012 013 014 015 016 018 019 01B 01E 01F 01G 01W 01X 021 022 023 024 025 026 027 02E 02G 02H
    A value does not fit the column, or what the shop computes from it.
row 22 030 031 032 033 034 035 036 037 038 039 03A 03B 03C 03D 03E 03F 03G P01 P02 P03 P04 P05 P06
    A value does not fit the column, or what the shop computes from it.
row 23 000 001 502 503 505 514 P01
    A constraint of the shop's: NOT NULL, FOREIGN KEY, UNIQUE, CHECK, EXCLUDE.
new_plan 24 000
    A cursor is not in the state that the client library thinks: it starts anew.
new_plan 25 000 001 002 003 004 005 007 008 P01 P02
    The session's transaction is not in the state that we think: another session begins outside of one.
new_session 25 006
    A standby, or a primary that became one. Another connection finds the new primary, where the URL has several hosts.
new_session 25 P03
    We were away for longer than idle_in_transaction_session_timeout: a frozen machine.
smaller 25 P04
    transaction_timeout, of the role or the server: the batch took longer. A smaller one takes less.
new_plan 26 000
    A prepared statement is gone (DISCARD ALL, a pooler): another session prepares it anew.
row 27 000
    A BEFORE trigger of the shop's changed the row that was being changed.
stop 28 000 P01
    The log-in was refused.
row 2B 000 P01
    Only a function of the shop's drops something.
row 2D 000
    COMMIT in a function of the shop's, where there may be none.
row 2F 000 002 003 004 005
    A function of the shop's ended without RETURN, or did what it may not do.
new_plan 34 000
    A cursor or portal is gone: another session makes its own.
row 38 000 001 002 003 004
    A function of the shop's in C, Python, Perl, ... failed.
row 39 000 001 004 P01 P02 P03
    A function of the shop's broke the protocol: a trigger that gives no row, a made-up SQLSTATE.
row 3B 000 001
    Only a function of the shop's has savepoints.
stop 3D 000
    There is no such database.
stop 3F 000
    There is no such schema in the search_path.
retry 40 000 001 002 003 P01
    The server rolled the transaction back for another one's sake: a deadlock, a serialization failure.
stop 42 000 601 602 611 622 701 702 703 704 710 712 723 725 803 804 809 830 846 883 8C9 939
    A statement of ours does not fit the tables: what is missing, or is of another type, is looked for and told.
stop 42 P01 P02 P03 P04 P06 P07 P08 P09 P10 P11 P12 P13 P14 P15 P16 P17 P18 P19 P20 P21 P22
    A statement of ours does not fit the tables: what is missing, or is of another type, is looked for and told.
stop 42 501
    A right is missing: the role, the right and the table are looked for and told.
new_session 42 P05
    A prepared statement is there already: the session was somebody else's before (a pooler).
row 44 000
    WITH CHECK OPTION of a view of the shop's.
retry 53 000 300
    Too many connections, or another resource that is short.
retry 53 100
    The disk is full. A consumer waits for room; what fills the disk itself ends.
smaller 53 200 400
    Out of memory, or a limit such as temp_file_limit: a smaller batch needs less.
row 54 000 001 011 023
    A value is too large for an index, a check too deep: a limit of the server's that one row meets.
retry 55 000 006 P02 P03 P04
    Somebody has the table, or changes it: a lock, an index that is being made.
retry 57 000
    An operator is at work.
smaller 57 014
    Cancelled: by hand, or the batch took longer than statement_timeout, waiting for a lock or in a slow trigger.
new_session 57 P01 P02 P03 P04 P05
    The server ends or starts, or ended this session (57P05: it was idle).
retry 58 000 030 P01 P02 P03
    The server's disk or file system failed.
retry 72 000
    A snapshot is too old: the next attempt takes a new one.
retry F0 000 001
    The server's configuration is being changed and cannot be read.
row HV 000 002 004 005 006 007 008 009 00A 00B 00C 00D 00J 00K 00L 00M 00P 00Q 00R 010 021 024 090 091
    A foreign table, which only a trigger of the shop's writes to, refused the row.
retry HV 001 00N 014
    The server behind a foreign table is down or full: an outage, of the shop's.
row P0 000 001 002 003 004
    RAISE, ASSERT, or INTO STRICT in a function of the shop's.
new_plan XX 000
    "cache lookup failed", "tuple concurrently updated": somebody changes the tables. A new session sees them anew.
stop XX 001 002
    Data or an index are corrupted: going on would build upon it.
"""


def _read(table: str) -> dict[str, tuple[Verdict, str]]:
    lines = table.strip().splitlines()
    found: dict[str, tuple[Verdict, str]] = {}
    for head, why in zip(lines[::2], lines[1::2], strict=True):
        verdict, class_, *rest = head.split()
        for code in rest:
            assert class_ + code not in found, class_ + code
            found[class_ + code] = Verdict(verdict), why.strip()
    return found


SQLSTATES = _read(_TABLE)
"""Verdict and reason by code."""
