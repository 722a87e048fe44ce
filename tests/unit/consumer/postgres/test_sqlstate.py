"""Every class of the table, and every class that Postgres has."""

import psycopg
import psycopg.errors
import pytest

from consumer.errors import (
    ConsumerError,
    ConsumerStoppedError,
    DiskFullError,
    RefusedByPostgresError,
    RetryLaterError,
)
from consumer.postgres import sqlstate
from consumer.postgres.sqlstate import translate

EXPECTED: dict[str, type[ConsumerError]] = {
    "08006": RetryLaterError,  # connection failure
    "40001": RetryLaterError,  # serialization failure
    "40P01": RetryLaterError,  # deadlock
    "53100": DiskFullError,  # disk full
    "53300": RetryLaterError,  # too many connections
    "55P03": RetryLaterError,  # lock not available
    "57014": RetryLaterError,  # cancelled, by a time-out too
    "57P01": RetryLaterError,  # admin shutdown
    "57P03": RetryLaterError,  # starting up
    "58030": RetryLaterError,  # input or output error
    "25006": RetryLaterError,  # read-only: a standby
    "22003": RefusedByPostgresError,  # number out of range
    "22P05": RefusedByPostgresError,  # untranslatable character
    "23505": RefusedByPostgresError,  # unique violation
    "23514": RefusedByPostgresError,  # check violation
    "54000": RefusedByPostgresError,  # program limit exceeded: an index row too large
    "28P01": ConsumerStoppedError,  # invalid password
    "3D000": ConsumerStoppedError,  # no such database
    "3F000": ConsumerStoppedError,  # no such schema
    "42P01": ConsumerStoppedError,  # no such table
    "42501": ConsumerStoppedError,  # no right
    "0A000": ConsumerStoppedError,  # not supported
    "XX001": ConsumerStoppedError,  # data corrupted
}


@pytest.mark.parametrize("code", EXPECTED)
def test_each_class_leads_to_its_treatment(code: str) -> None:
    error = psycopg.errors.lookup(code)("text of the server")
    translated = translate(error)
    assert type(translated) is EXPECTED[code]
    assert code in str(translated)
    assert "text of the server" in str(translated)


def test_no_class_is_treated_in_two_ways() -> None:
    groups = [set(sqlstate.RETRY_CLASSES), set(sqlstate.REFUSED_CLASSES), set(sqlstate.ADVICE)]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_every_code_of_postgres_is_treated() -> None:
    codes = [code for code in vars(psycopg.errors).get("_sqlcodes", {}) if len(code) == 5]
    assert len(codes) > 200
    for code in codes:
        assert isinstance(translate(psycopg.errors.lookup(code)("x")), ConsumerError)


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


def test_a_bug_of_ours_is_not_taken_for_an_outage() -> None:
    assert type(translate(psycopg.ProgrammingError("the query has 0 placeholders"))) is ConsumerStoppedError


def test_a_full_disk_has_its_own_error_because_what_fills_it_must_not_wait() -> None:
    with pytest.raises(DiskFullError, match="53100"):
        raise translate(psycopg.errors.DiskFull("no space left"))
