"""The one connection of a consumer process: made when it is needed, made anew when it broke."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from consumer.core.record import Work
from consumer.postgres.connection import BusyConnection
from consumer.postgres.fence import Fence
from consumer.postgres.ledger import IdempotencyKeys, Ledger
from consumer.postgres.orders import OpenLetters, Orders
from consumer.postgres.sqlstate import translate

CONNECT_TIMEOUT_S = 5
# A frozen consumer keeps its locks for no longer than this, and its successor waits no longer for them.
STATEMENT_TIMEOUT_MS = 10_000
# A server that fell off the network is noticed after about 10 s, in the middle of a wait too.
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Session:
    """One live connection and what is prepared on it."""

    def __init__(self, connection: BusyConnection, ledger_days: int) -> None:
        self.connection = connection
        connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MS}")
        # Every statement is about keys: one plan is right for all of its life (see Orders), and planning for each batch
        # would take longer than the reading.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for plan in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET enable_{plan} = off")
        self.fence = Fence(connection)
        self.orders = Orders(connection)
        self.ledger = Ledger(connection, ledger_days)
        self.open_letters = OpenLetters(connection)
        self.idempotency_keys = IdempotencyKeys(connection, ledger_days)


class Database:
    """Hands out the session, to the one thread that uses it.

    Errors of psycopg leave it as errors of ours, with the connection closed if it broke.
    """

    def __init__(
        self, url: str, ledger_days: int, make_session: Callable[[BusyConnection, int], Session] = Session
    ) -> None:
        self._url = url
        self._ledger_days = ledger_days
        self._make_session = make_session
        self._session: Session | None = None

    @contextmanager
    def session(self, meanwhile: Work | None = None) -> Iterator[Session]:
        """`meanwhile` is done while the server works.

        Raises RetryLaterError, RefusedByPostgresError or ConsumerStoppedError.
        """
        with self._translated():
            if self._session is None:
                self._session = self._connect()
            self._session.connection.meanwhile = meanwhile
            yield self._session

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # What the client says itself has no SQLSTATE, and may leave a connection that waits for an answer for ever.
            if self._session is not None and (self._session.connection.broken or error.sqlstate is None):
                self.close()
            raise translate(error) from error

    def close(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _connect(self) -> Session:
        connection = BusyConnection.connect(
            self._url,
            autocommit=True,  # transactions are opened where they are meant
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="order-upsert consumer",
            **_KEEPALIVE,
        )
        try:
            return self._make_session(connection, self._ledger_days)
        except BaseException:
            connection.close()
            raise
