"""The one connection of a consumer process: opened when it is needed, and opened again after it broke."""

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
# A frozen consumer keeps its locks no longer than this, and the next owner of its partitions waits no longer for them.
STATEMENT_TIMEOUT_MS = 10_000
# The client notices within about 10 s that the server is unreachable, also in the middle of a wait.
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Session:
    """One live connection and the statements that are prepared on it."""

    def __init__(self, connection: BusyConnection, ledger_days: int) -> None:
        self.connection = connection
        connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MS}")
        # Every statement looks up keys, so one plan is right for its whole life (see Orders). Planning each batch would
        # take longer than reading it.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for plan in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET enable_{plan} = off")
        self.fence = Fence(connection)
        self.orders = Orders(connection)
        self.ledger = Ledger(connection, ledger_days)
        self.open_letters = OpenLetters(connection)
        self.idempotency_keys = IdempotencyKeys(connection, ledger_days)


class SessionHolder:
    """Holds the session of the one thread that uses it, and opens a new one after the connection broke.

    Translates errors of psycopg into ours.
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
        """The live session. Inside, `meanwhile` is called while the server works.

        Raises RetryLaterError, RefusedByPostgresError or ConsumerStoppedError.
        """
        try:
            if self._session is None:
                self._session = self._connect()
            with self._session.connection.working(meanwhile):
                yield self._session
        except psycopg.Error as error:
            # An error of the client itself has no SQLSTATE, and its connection may wait for an answer for ever.
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
            autocommit=True,  # transactions begin only with an explicit BEGIN
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="order-upsert consumer",
            **_KEEPALIVE,
        )
        try:
            return self._make_session(connection, self._ledger_days)
        except BaseException:
            connection.close()
            raise
