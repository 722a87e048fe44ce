"""Every SQLSTATE of Postgres, and what is done about it."""

import re
from typing import Any

import psycopg
import psycopg.errors
import pytest

from consumer.errors import (
    ConsumerError,
    ConsumerStoppedError,
    DiskFullError,
    PlanLostError,
    RefusedByPostgresError,
    RetryLaterError,
    TooMuchAtOnceError,
)
from consumer.postgres.sqlstate import needs_new_session, translate
from consumer.postgres.sqlstate_table import SQLSTATES, Verdict
from deploy.local.postgres import binaries

EXPECTED: dict[str, type[ConsumerError]] = {
    "08006": RetryLaterError,  # connection failure
    "40001": RetryLaterError,  # serialization failure
    "40P01": RetryLaterError,  # deadlock
    "53100": DiskFullError,  # disk full
    "53200": TooMuchAtOnceError,  # out of memory
    "53300": RetryLaterError,  # too many connections
    "55P03": RetryLaterError,  # lock not available
    "57014": TooMuchAtOnceError,  # cancelled, by a time-out too
    "57P01": RetryLaterError,  # admin shutdown
    "57P03": RetryLaterError,  # starting up
    "57P05": RetryLaterError,  # idle for too long
    "58030": RetryLaterError,  # input or output error
    "25006": RetryLaterError,  # read-only: a standby
    "25P03": RetryLaterError,  # idle in a transaction for too long
    "25P04": TooMuchAtOnceError,  # a transaction that took too long
    "0A000": PlanLostError,  # cached plan must not change result type
    "26000": PlanLostError,  # a prepared statement is gone
    "XX000": PlanLostError,  # tuple concurrently updated
    "22003": RefusedByPostgresError,  # number out of range
    "22P05": RefusedByPostgresError,  # untranslatable character
    "23505": RefusedByPostgresError,  # unique violation
    "23514": RefusedByPostgresError,  # check violation
    "38000": RefusedByPostgresError,  # a function in another language
    "39P01": RefusedByPostgresError,  # trigger protocol violated
    "44000": RefusedByPostgresError,  # WITH CHECK OPTION
    "54000": RefusedByPostgresError,  # program limit exceeded: an index row too large
    "P0001": RefusedByPostgresError,  # RAISE EXCEPTION
    "28P01": ConsumerStoppedError,  # invalid password
    "3D000": ConsumerStoppedError,  # no such database
    "3F000": ConsumerStoppedError,  # no such schema
    "42P01": ConsumerStoppedError,  # no such table
    "42501": ConsumerStoppedError,  # no right
    "XX001": ConsumerStoppedError,  # data corrupted
}


@pytest.mark.parametrize("code", EXPECTED)
def test_each_class_leads_to_its_treatment(code: str) -> None:
    translated = translate(psycopg.errors.lookup(code)("text of the server"), writes_rows=True)
    assert type(translated) is EXPECTED[code]
    assert code in str(translated)
    assert "text of the server" in str(translated)


def test_the_table_has_every_code_of_the_server_and_of_the_client_library() -> None:
    errcodes = (binaries().parent / "share" / "errcodes.txt").read_text()
    of_the_server = set(re.findall(r"^([0-9A-Z]{5})\s", errcodes, re.MULTILINE))
    of_psycopg = {code for code in vars(psycopg.errors)["_sqlcodes"] if re.fullmatch("[0-9A-Z]{5}", code)}
    assert len(of_the_server) > 250
    assert SQLSTATES.keys() == of_the_server | of_psycopg
    assert all(len(why) > 20 for _, why in SQLSTATES.values())


def test_every_code_has_the_treatment_of_its_verdict() -> None:
    """Of every code that psycopg can raise; outside of a batch no row can be to blame, and that stops."""
    kinds: dict[Verdict, type[ConsumerError]] = {
        Verdict.RETRY: RetryLaterError,
        Verdict.NEW_SESSION: RetryLaterError,
        Verdict.NEW_PLAN: PlanLostError,
        Verdict.SMALLER: TooMuchAtOnceError,
        Verdict.ROW: RefusedByPostgresError,
        Verdict.STOP: ConsumerStoppedError,
    }
    for code in vars(psycopg.errors)["_sqlcodes"]:
        if code not in SQLSTATES:
            continue  # a code by its name
        verdict, _ = SQLSTATES[code]
        error = psycopg.errors.lookup(code)("x")
        assert isinstance(translate(error, writes_rows=True), kinds[verdict]), code
        elsewhere = ConsumerStoppedError if verdict is Verdict.ROW else kinds[verdict]
        assert isinstance(translate(error), elsewhere), code


class MadeUp(psycopg.Error):
    """As psycopg raises what it does not know."""

    sqlstate: Any = "QQ123"


def test_a_code_that_a_shop_made_up_is_about_a_row() -> None:
    assert type(translate(MadeUp("x"), writes_rows=True)) is RefusedByPostgresError
    assert type(translate(MadeUp("x"))) is ConsumerStoppedError


def test_what_another_session_mends_gets_one() -> None:
    for code in ("25P03", "25P04", "25006", "0A000", "26000", "57P05", "57P01"):
        assert needs_new_session(psycopg.errors.lookup(code)("x")), code
    assert needs_new_session(psycopg.OperationalError("the connection is lost"))
    for code in ("23514", "42P01", "40001", "53100"):
        assert not needs_new_session(psycopg.errors.lookup(code)("x")), code


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('connection failed: FATAL:  password authentication failed for user "x"', ConsumerStoppedError),
        ('connection failed: FATAL:  no pg_hba.conf entry for host "1.2.3.4"', ConsumerStoppedError),
        ('connection failed: FATAL:  role "x" does not exist', ConsumerStoppedError),
        ('connection failed: FATAL:  database "x" does not exist', ConsumerStoppedError),
        ("connection failed: FATAL:  the database system is starting up", RetryLaterError),
        ("connection failed: Connection refused", RetryLaterError),
        ("connection timeout expired", RetryLaterError),
        ("server closed the connection unexpectedly", RetryLaterError),
    ],
)
def test_a_connection_that_fails_has_only_its_text(text: str, kind: type[ConsumerError]) -> None:
    assert type(translate(psycopg.OperationalError(text))) is kind


def test_a_session_that_ends_in_the_middle_of_a_batch_may_be_ended_for_its_size() -> None:
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    with pytest.raises(TooMuchAtOnceError):
        raise translate(error, writes_rows=True)


def test_a_bug_of_ours_is_not_taken_for_an_outage() -> None:
    assert type(translate(psycopg.ProgrammingError("the query has 0 placeholders"))) is ConsumerStoppedError


def test_a_full_disk_has_its_own_error_because_what_fills_it_must_not_wait() -> None:
    with pytest.raises(DiskFullError, match="53100"):
        raise translate(psycopg.errors.DiskFull("no space left"))
