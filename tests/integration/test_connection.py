"""A connection that does other work while Postgres works."""

from collections.abc import Generator, Iterator
from typing import Any

import psycopg
import pytest

from consumer.postgres.connection import BusyConnection
from support.waiting import eventually


@pytest.fixture
def connection(database: str) -> Iterator[BusyConnection]:
    with BusyConnection.connect(database, autocommit=True) as connection:
        yield connection


class Countdown:
    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> bool:
        self.left -= 1
        return self.left > 0


def one(cursor: Any) -> object:
    return cursor.fetchone()[0]


def test_work_is_done_while_the_server_has_not_answered(connection: BusyConnection, database: str) -> None:
    with BusyConnection.connect(database, autocommit=True) as other:
        connection.execute("SELECT pg_advisory_lock(1)")

        def work() -> bool:
            connection.execute("SELECT pg_advisory_unlock(1)")
            return False

        with other.working(work):
            assert one(other.execute("SELECT count(*) FROM (SELECT pg_advisory_lock(1)) AS waits")) == 1


def test_statements_are_what_they_are_without(connection: BusyConnection) -> None:
    """In a pipeline, with COPY, after an error, and if the work ends before the server does."""
    connection.execute("CREATE TEMPORARY TABLE numbers (number int)")
    for left in (1, 3, 10**9):
        with connection.working(Countdown(left)):
            with connection.pipeline():
                first, second = connection.execute("SELECT 1"), connection.execute("SELECT 2")
                assert (one(first), one(second)) == (1, 2)
            with connection.cursor() as cursor, cursor.copy("COPY numbers FROM STDIN") as copy:
                copy.write("".join(f"{number}\n" for number in range(100_000)))
            with pytest.raises(psycopg.errors.DivisionByZero):
                connection.execute("SELECT 1 / 0")
            assert one(connection.execute("SELECT count(*) FROM numbers")) == 100_000
            connection.execute("TRUNCATE numbers")


class Waiting(BusyConnection):
    """Counts how often it waits for the socket."""

    waits = 0

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        def counting() -> Generator[Any, Any, Any]:
            answer = None
            try:
                while True:
                    wanted = gen.send(answer)
                    self.waits += 1
                    answer = yield wanted
            except StopIteration as end:
                return end.value

        return super().wait(counting(), *args, **options)


def test_the_statements_of_a_pipeline_are_sent_together(database: str) -> None:
    with Waiting.connect(database, autocommit=True) as connection:
        connection.waits = 0
        with connection.pipeline():
            cursors = [connection.execute("SELECT %b::int", [number]) for number in range(20)]
            assert connection.waits == 0
            assert [one(cursor) for cursor in cursors] == list(range(20))
        connection.execute("SELECT 1")


def test_a_pipeline_may_send_more_than_a_socket_takes(connection: BusyConnection) -> None:
    text = "x" * 1_000_000
    with connection.pipeline():
        cursors = [connection.execute("SELECT %b::text", [text]) for _ in range(20)]
        assert all(one(cursor) == text for cursor in cursors)
        connection.execute("SELECT %b::text", [text])


def test_an_error_in_a_pipeline_is_that_of_its_statement(connection: BusyConnection) -> None:
    def in_a_pipeline() -> None:
        with connection.pipeline():
            connection.execute("SELECT 1 / 0")
            connection.execute("SELECT 2")

    with pytest.raises(psycopg.errors.DivisionByZero):
        in_a_pipeline()
    assert one(connection.execute("SELECT 3")) == 3


def test_a_connection_that_breaks_raises(database: str) -> None:
    """Also if the server has already gone when we look: psycopg alone may then believe that the connection works."""
    with psycopg.connect(database, autocommit=True) as other:

        def is_there(backend_pid: int) -> bool:
            return bool(other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [backend_pid]).fetchall())

        for _ in range(20):
            with BusyConnection.connect(database, autocommit=True) as leaving:
                backend_pid = leaving.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", [backend_pid])

                def until_gone(gone: int = backend_pid) -> bool:
                    return bool(eventually(lambda: not is_there(gone)))

                with pytest.raises(psycopg.OperationalError), leaving.working(until_gone):
                    leaving.execute("SELECT 1")
                assert leaving.broken
