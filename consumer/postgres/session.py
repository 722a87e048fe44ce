"""The one connection of a consumer process: opened when it is needed, and opened again after it broke."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from consumer.core.record import Work
from consumer.errors import ConsumerError, ConsumerStoppedError, PlanLostError, RetryLaterError
from consumer.postgres.connecting import connect
from consumer.postgres.connection import BusyConnection
from consumer.postgres.describe import functions_of, is_raised
from consumer.postgres.fence import Fence
from consumer.postgres.ledger import IdempotencyKeys, Ledger
from consumer.postgres.orders import OpenLetters, Orders
from consumer.postgres.sqlstate import is_login_refused, needs_new_session, translate
from consumer.postgres.tables import explain, problems, require_tables
from consumer.settings import CurrentUrl

# A frozen consumer keeps its locks no longer than this, and the next owner of its partitions waits no longer for them.
STATEMENT_TIMEOUT_MS = 10_000
_IN_SOURCE = (
    "SELECT FROM unnest(%s::text[]) AS f JOIN pg_proc AS p ON p.oid = to_regprocedure(f) WHERE strpos(prosrc, %s) > 0"
)


class Session:
    """One live connection and the statements that are prepared on it."""

    def __init__(self, connection: BusyConnection, ledger_days: int) -> None:
        self.connection = connection
        connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MS}")
        # A role's own would fail each batch that meets another consumer, to no purpose: the fence is a lock.
        connection.execute("SET default_transaction_isolation = 'read committed'")
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
        self,
        url: str | CurrentUrl,
        ledger_days: int,
        make_session: Callable[[BusyConnection, int], Session] = Session,
        on_use: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_use` is called whenever the session is asked for."""
        self._url = CurrentUrl(url) if isinstance(url, str) else url
        self._was_connected = False
        self._ledger_days = ledger_days
        self._make_session = make_session
        self._on_use = on_use
        self._session: Session | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a session, and it worked when it was used last."""
        return self._session is not None

    @contextmanager
    def session(self, meanwhile: Work | None = None, *, writes_rows: bool = False) -> Iterator[Session]:
        """The live session. Inside, `meanwhile` is called while the server works.

        `writes_rows`: whether a row can be to blame for an error. Raises RetryLaterError or ConsumerStoppedError, and
        RefusedByPostgresError if it is a row.
        """
        self._on_use()
        try:
            if self._session is None:
                self._session = self._connect()
                self._was_connected = True
            with self._session.connection.working(meanwhile):
                yield self._session
        except psycopg.Error as error:
            translated = self._translate(error, writes_rows)
            if self._session is not None and (self._session.connection.broken or needs_new_session(error)):
                self.close()
            raise translated from error

    def close(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _translate(self, error: psycopg.Error, writes_rows: bool) -> ConsumerError:
        """What a statement finds missing is not always what is missing, so the tables are asked."""
        translated = translate(error, writes_rows=writes_rows, is_constant=self._is_constant(error))
        if self._was_connected and self._url.may_change and is_login_refused(error):
            return RetryLaterError(f"{translated} Or the new password is not in its file yet.")
        # With row level security, rows that are there are not seen, and then they are inserted once more.
        is_hidden = error.sqlstate == "42501" or error.diag.constraint_name == "orders_pkey"
        may_lack = isinstance(translated, ConsumerStoppedError | PlanLostError)
        if not (may_lack or is_hidden) or self._session is None or error.sqlstate is None:
            return translated
        try:
            found = problems(self._session.connection)
            return (
                ConsumerStoppedError(f"{translated}\n{explain(self._session.connection, found)}")
                if found
                else translated
            )
        except psycopg.Error:
            return translated

    def _is_constant(self, error: psycopg.Error) -> bool:
        """Whether what a function of the shop's raised stands so in its source, and so is no part of a row."""
        functions = functions_of(error.diag)
        if not is_raised(error.diag) or not functions or self._session is None:
            return False
        try:
            found = self._session.connection.execute(_IN_SOURCE, [functions, error.diag.message_primary])
            return found.fetchone() is not None
        except psycopg.Error:
            return False

    def _connect(self) -> Session:
        connection = connect(self._url(), "order-upsert consumer", BusyConnection)
        try:
            try:
                return self._make_session(connection, self._ledger_days)
            except psycopg.errors.InsufficientPrivilege:
                require_tables(connection)  # names the right
                raise
        except BaseException:
            connection.close()
            raise
