"""The ledger `request_part`: the outcomes of requests, so that they can be sent again after any crash."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import psycopg

from consumer.core.replies import RequestPart, StoredPart
from consumer.errors import RetryLaterError
from consumer.postgres.connection import JSON_ROWS_MAX, Connection, Pending
from contracts.event import BodyKey, RequestKey

_COLUMNS = (
    "request_id", "partition", "first_offset", "day", "partner_id", "request_size", "request_invalid", "outcomes",
    "digest",
)  # fmt: skip
_COPY = f"COPY request_part ({', '.join(_COLUMNS)}) FROM STDIN"
_INSERT = "INSERT INTO request_part SELECT * FROM json_populate_recordset(NULL::request_part, %b::json)"
_NOTHING: Pending[list[StoredPart]] = Pending(list)
_DAYS_LOCK = 7_041_001  # for pg_advisory_xact_lock: any number that nothing else uses


class Ledger:
    """Statements on one connection. The caller holds the transaction.

    A day is created when its first event arrives. It is dropped relative to the newest day in the ledger, never to a
    clock, so a replay of old events files them as the first run did.
    """

    def __init__(self, connection: Connection, days_kept: int) -> None:
        self._connection = connection
        self._kept = timedelta(days=days_kept)
        self._days: set[date] = set()

    def ensure_days(self, days: Collection[date]) -> None:
        """Creates the missing days in a transaction of its own, because attaching a table needs a heavy lock."""
        if self._days.issuperset(day for day in days if not self._is_past(day)):
            return
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [_DAYS_LOCK])
            present = self._read_days()
            self._days = present | set(days)
            for day in [day for day in self._days if self._is_past(day)]:
                self._connection.execute(f"DROP TABLE IF EXISTS {_table(day)}")
                self._connection.execute("DELETE FROM request_key WHERE day <= %s", [day])
                self._days.discard(day)
            for day in self._days - present:
                self._connection.execute(
                    f"CREATE TABLE {_table(day)} PARTITION OF request_part FOR VALUES IN ('{day.isoformat()}')"
                )

    def write(self, parts: Iterable[RequestPart]) -> None:
        rows = [_row(part) for part in parts if not self._is_past(part.day)]
        if not rows:
            return
        if len(rows) <= JSON_ROWS_MAX:
            objects = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
            self._connection.execute(_INSERT, [json.dumps(objects, default=str)])
            return
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def noticing_dropped_days(self) -> Iterator[None]:
        """Wraps a transaction that writes. Raises RetryLaterError if another consumer dropped a day meanwhile. Then
        `ensure_days` reads the days again."""
        try:
            yield
        except psycopg.errors.CheckViolation as error:
            if error.diag.constraint_name is not None:
                raise
            self._days.clear()
            raise RetryLaterError("another consumer dropped a day of the ledger") from error

    def read(self, requests: Collection[RequestKey], since: date = date.min) -> Pending[list[StoredPart]]:
        """Every part of these requests in the ledger, of the day `since` or later."""
        if not requests:
            return _NOTHING
        wanted = set(requests)
        rows = self._connection.execute(
            "SELECT request_id, partner_id, digest, outcomes FROM request_part "
            "WHERE request_id = ANY(%b::uuid[]) AND day >= %b",
            [f"{{{','.join(str(request_id) for request_id, _ in wanted)}}}", since],
        )
        parts = (
            StoredPart(BodyKey(RequestKey(request_id, partner_id), digest), outcomes_json)
            for request_id, partner_id, digest, outcomes_json in rows
        )
        return Pending(lambda: [part for part in parts if part.body_key.request_key in wanted])

    def _is_past(self, day: date) -> bool:
        return bool(self._days) and day <= max(self._days) - self._kept

    def _read_days(self) -> set[date]:
        rows = self._connection.execute(
            "SELECT right(inhrelid::regclass::text, 8)::date FROM pg_inherits "
            "WHERE inhparent = 'request_part'::regclass"
        )
        return {day for (day,) in rows}


def _table(day: date) -> str:
    return f"request_part_{day:%Y%m%d}"


def _row(part: RequestPart) -> tuple[object, ...]:
    context = part.context
    return (
        context.request_id, part.partition, part.first_offset, part.day, context.partner_id, context.size,
        context.invalid, part.outcomes_json, context.digest,
    )  # fmt: skip


class IdempotencyKeys:
    """Statements on one connection. The caller holds the transaction."""

    def __init__(self, connection: Connection, days_kept: int) -> None:
        self._connection = connection
        self._days_kept = days_kept

    def claim(self, claims: Mapping[RequestKey, tuple[str, datetime]]) -> dict[RequestKey, str]:
        """The digest that owns each key, from now on for as long as the ledger is kept: the given one if it was free.

        Waits for other transactions that claim the same keys. All claim in the same order, so there is no deadlock.
        """
        if not claims:
            return {}
        ordered = sorted(claims.items())
        self._connection.execute(
            "INSERT INTO request_key AS k (request_id, partner_id, digest, day) "
            "SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::date[]) "
            "ON CONFLICT (request_id, partner_id) DO UPDATE SET digest = excluded.digest, day = excluded.day "
            "WHERE k.day <= excluded.day - %b",
            [
                [request_id for (request_id, _), _ in ordered],
                [partner_id for (_, partner_id), _ in ordered],
                [digest for _, (digest, _) in ordered],
                [time.date() for _, (_, time) in ordered],
                self._days_kept,
            ],
        )
        return self.owners(claims.keys())

    def owners(self, requests: Collection[RequestKey]) -> dict[RequestKey, str]:
        """The digest that owns each key. A key without an owner is left out."""
        if not requests:
            return {}
        wanted = set(requests)
        rows = self._connection.execute(
            "SELECT request_id, partner_id, digest FROM request_key WHERE request_id = ANY(%b::uuid[])",
            [[request_id for request_id, _ in wanted]],
        )
        owners: dict[RequestKey, str] = {
            RequestKey(request_id, partner_id): digest for request_id, partner_id, digest in rows
        }
        return {request: digest for request, digest in owners.items() if request in wanted}
