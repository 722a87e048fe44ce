"""A streaming replica of a Postgres, asynchronous, as a server of its own."""

import shutil
import subprocess
from pathlib import Path

import psycopg

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import PostgresServer, _system_user, binaries
from support.waiting import eventually


class Replica(PostgresServer):
    """It follows `primary` from its start on, until `detach`. `promote` makes it a primary."""

    def __init__(self, folder: Path, primary: PostgresServer, port: int | None = None) -> None:
        super().__init__(folder, port or free_port())
        self._primary = primary

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        user = _system_user(self.folder)
        self._data.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(self._data, user, user)
        of_primary = ["-h", LOOPBACK, "-p", str(self._primary.port), "-U", "orders"]
        command: list[str | Path] = [
            binaries() / "pg_basebackup",
            *of_primary,
            "-D",
            self._data,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        subprocess.run(command, user=user, group=user, cwd="/", check=True, capture_output=True, timeout=60)
        super().start()
        eventually(self.has_caught_up)

    def has_caught_up(self) -> bool:
        [[sent]] = self._ask(self._primary, "SELECT pg_current_wal_lsn()")
        return self._ask(self, f"SELECT pg_last_wal_replay_lsn() >= '{sent}'") == [(True,)]

    def detach(self) -> None:
        """From now on it gets nothing, as if the network between the two were gone."""
        self._ask(self, "ALTER SYSTEM SET primary_conninfo = ''")
        self._ask(self, "SELECT pg_reload_conf()")
        eventually(lambda: self._ask(self, "SELECT count(*) FROM pg_stat_wal_receiver") == [(0,)])

    def promote(self) -> None:
        assert self._ask(self, "SELECT pg_promote()") == [(True,)]

    def _ask(self, server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []
