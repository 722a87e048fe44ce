"""Which sessions hold locks that a swap must have, so that it waits for them while nobody has to wait for the swap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from consumer.postgres.connection import Connection

_HOLDERS: LiteralString = """
SELECT virtualtransaction, l.pid, application_name, state, min(coalesce(xact_start, backend_start)),
  bool_or(usesysid IS NULL AND l.pid IS NOT NULL AND mode = 'ShareUpdateExclusiveLock'),
  min(relation::regclass::text)
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE granted AND locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = ANY(%(relations)s::oid[])
  AND NOT EXISTS (SELECT FROM pg_locks AS f WHERE f.virtualtransaction = l.virtualtransaction
    AND f.relation = %(fence)s::oid AND f.mode = 'RowShareLock')
GROUP BY virtualtransaction, l.pid, application_name, state ORDER BY 5, 2
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction that holds a lock. What a role may not see of a session of another one is None.

    `pid` is None for a prepared transaction. `since`: when the transaction began. `is_autovacuum`: Postgres ends it a
    second after somebody waits for it.
    """

    transaction: str
    pid: int | None
    application: str | None
    state: str | None
    since: datetime | None
    is_autovacuum: bool
    relation: str

    def __str__(self) -> str:
        if self.pid is None:
            return f"a prepared transaction (pg_prepared_xacts), on {self.relation}"
        began = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.since else "a time that is not shown"
        who = "autovacuum" if self.is_autovacuum else self.application or "without an application_name"
        return f"pid {self.pid} ({who}), {self.state or 'state not shown'}, since {began}, on {self.relation}"


def holders(connection: Connection, relations: Sequence[int], fence: int | None = None) -> list[Holder]:
    """The oldest first. `relations`, `fence`: oids. Sessions that lock rows of `fence` are left out: they are consumers
    in a batch."""
    rows = connection.execute(_HOLDERS, {"relations": list(relations), "fence": fence})
    return [Holder(*row) for row in rows]
