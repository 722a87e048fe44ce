"""The server itself: its version, the settings on which a promise stands, and its clock."""

from datetime import datetime

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection

OLDEST_POSTGRES = 15
"""The oldest major version on which the tests ran."""
NEWEST_POSTGRES = 18

_DURABLE = "after a crash of the server, orders that were answered are gone until the consumers read them again"
_WANTED = {
    "fsync": ("on", "a crash of the machine may destroy the database"),
    "full_page_writes": ("on", "a crash of the machine may destroy the database"),
    "synchronous_commit": ("on", _DURABLE),
}
_ALSO_GOOD = {"remote_apply", "remote_write", "local"}
"""Of synchronous_commit: the commit is on the disk of this server."""


def require_supported(connection: Connection) -> None:
    """Raises ConsumerStoppedError if the server is too old."""
    version = connection.info.server_version
    if version < OLDEST_POSTGRES * 10_000:
        raise ConsumerStoppedError(
            f"Postgres at {connection.info.host} has version {version_text(version)}, and this program needs "
            f"{OLDEST_POSTGRES} or newer: upgrade it with pg_upgrade, or set ORDERS_POSTGRES_URL to a newer server."
        )


def version_text(version: int) -> str:
    """170002 is 17.2."""
    return f"{version // 10_000}.{version % 10_000}"


def settings_at_fault(connection: Connection) -> list[str]:
    """A sentence for each setting that takes a promise away."""
    texts = []
    for name, (wanted, why) in _WANTED.items():
        value = _shown(connection, name)
        if value != wanted and value not in _ALSO_GOOD:
            texts.append(
                f"Postgres has {name}={value} and needs {wanted}: {why}. Run: ALTER SYSTEM SET {name} = {wanted}"
            )
    if _shown(connection, "transaction_read_only") == "on":
        texts.append(
            "Postgres takes no writes: it is a standby, or read-only. Name the primary, or all hosts with "
            "target_session_attrs=read-write, in ORDERS_POSTGRES_URL"
        )
    return texts


def clock(connection: Connection) -> datetime:
    """The time of the server, with its offset from UTC."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def limit_statements(connection: Connection, timeout_ms: int) -> None:
    """Ends each statement of this session that takes longer."""
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(timeout_ms)])


def _shown(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])
