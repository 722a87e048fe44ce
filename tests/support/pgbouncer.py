"""PgBouncer in front of a Postgres, from the Debian package `pgbouncer`."""

import shutil
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from deploy.local.child import Child
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import _system_user

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer:
    """A pool of `size` sessions in `pool_mode`; every client is let in as the user of `postgres_url`."""

    def __init__(
        self,
        folder: Path,
        postgres_url: str,
        pool_mode: str,
        size: int = 2,
        ignored: str = "",
        certificate: Path | None = None,
    ) -> None:
        """`certificate`: with its key. If it is given, clients have to speak TLS."""
        server = conninfo_to_dict(postgres_url)
        self.port = free_port()
        self.url = f"postgresql://{server['user']}@{LOOPBACK}:{self.port}/{server['dbname']}"
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        file = folder / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={server['host']} port={server['port']} user={server['user']}\n"
            f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {pool_mode}\ndefault_pool_size = {size}\nignore_startup_parameters = {ignored}\n"
        )
        if certificate is not None:
            own = folder / "server.pem"
            own.write_bytes(certificate.read_bytes())
            own.chmod(0o644)
            with file.open("a") as more:
                more.write(f"client_tls_sslmode = require\nclient_tls_key_file = {own}\nclient_tls_cert_file = {own}\n")
        assert PROGRAM is not None
        user = _system_user(folder)  # it refuses to run as root
        self._child = Child("PgBouncer", [PROGRAM, str(file)], folder.with_suffix(".log"), user=user)

    def start(self) -> "PgBouncer":
        self._child.wait_until(self._answers, 20)
        return self

    def stop(self) -> None:
        self._child.stop()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
