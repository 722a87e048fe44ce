"""A Postgres that asks for a password, but for the superuser of the tests."""

from pathlib import Path

import psycopg
from psycopg import sql

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import PostgresServer

_RULES = f"host all orders {LOOPBACK}/32 trust", f"host all all {LOOPBACK}/32 scram-sha-256"


class SecuredPostgres(PostgresServer):
    """The wheel has no TLS. `support.pgbouncer` has it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())

    def start(self) -> None:
        super().start()
        self._execute(
            sql.SQL("COPY (SELECT unnest({}::text[])) TO PROGRAM 'cat > pg_hba.conf'").format(sql.Literal([*_RULES]))
        )
        self._execute("SELECT pg_reload_conf()")

    def url_of(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@{LOOPBACK}:{self.port}/orders"

    def make_user(self, user: str, password: str) -> None:
        """With the rights of the owner of the tables."""
        self._execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE orders")

    def change_password(self, user: str, password: str) -> None:
        """Ends the sessions of the user too."""
        self._execute(f"ALTER ROLE {user} PASSWORD '{password}'")
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'")

    def _execute(self, statement: str | sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)
