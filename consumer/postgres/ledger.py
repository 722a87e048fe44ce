"""The ledger `request_part`: the outcomes of requests, so that they can be sent again after any crash."""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import psycopg

from consumer.core.replies import RequestPart, StoredPart
from consumer.errors import RetryLaterError
from consumer.postgres.connection import JSON_ROWS_MAX, Connection, Pending
from consumer.postgres.orders import timestamp
from consumer.postgres.tables import REQUEST_PART, column_definitions, counted, require_count
from contracts.event import BodyKey, RequestKey

_COLUMN_LIST = ", ".join(REQUEST_PART)
_COPY = f"COPY request_part ({_COLUMN_LIST}) FROM STDIN"
_INSERT = counted(
    "request_part",
    f"INSERT INTO request_part ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} "
    f"FROM json_to_recordset(%b::json) AS p ({column_definitions(REQUEST_PART)})",
)
_NULL = "\\N"
CLOCKS_APART = timedelta(days=1)
"""Two clocks may be on different days without being wrong."""
_log = logging.getLogger(__name__)
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
        self.today = date.max - CLOCKS_APART
        """Of Postgres's clock, when a day was last created."""

    def ensure_days(self, days: Collection[date]) -> None:
        """Creates the missing days in a transaction of its own, because attaching a table needs a heavy lock."""
        if self._days.issuperset(day for day in days if not self._is_past(day)):
            return
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [_DAYS_LOCK])
            present = self._read_days()
            self._days = present | set(days)
            self.today = self._read_today()
            self._warn_of_a_clock_ahead()
            for day in [day for day in self._days if self._is_past(day)]:
                self._connection.execute("SELECT drop_ledger_day(%s)", [day])
                self._connection.execute("DELETE FROM request_key WHERE day <= %s", [day])
                self._days.discard(day)
            for day in self._days - present:
                self._connection.execute("SELECT make_ledger_day(%s)", [day])

    def write(self, parts: Iterable[RequestPart]) -> None:
        kept = [part for part in parts if self.keeps(part.day)]
        if not kept:
            return
        if len(kept) <= JSON_ROWS_MAX:
            self._connection.execute(_INSERT, [f"[{','.join(map(_json_row, kept))}]", len(kept)])
            return
        with self._connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.write("".join(map(_copy_line, kept)))
            require_count("request_part", cursor.rowcount, len(kept))

    @contextmanager
    def noticing_dropped_days(self) -> Iterator[None]:
        """Wraps a transaction that writes. Raises RetryLaterError if another consumer dropped a day meanwhile. Then
        `ensure_days` reads the days again."""
        try:
            yield
        except psycopg.errors.CheckViolation as error:
            # The server's own, for a row without a partition. A shop may have partitioned `orders`.
            if error.diag.source_function != "ExecFindPartition" or error.diag.table_name != "request_part":
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

    def oldest_day(self) -> date | None:
        """The oldest day that is kept; None if the ledger is empty."""
        return min(self._read_days(), default=None)

    def keeps(self, day: date) -> bool:
        """Whether outcomes of this day are written."""
        return not self._is_past(day)

    def _is_past(self, day: date) -> bool:
        return bool(self._days) and day <= self._newest() - self._kept

    def _newest(self) -> date:
        """The newest day of the ledger. A day that Postgres has not reached yet is a broker's clock that runs ahead:
        it drops nothing."""
        return min(max(self._days), self.today + CLOCKS_APART)

    def _read_today(self) -> date:
        ((today,),) = self._connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        assert isinstance(today, date)
        return today

    def _warn_of_a_clock_ahead(self) -> None:
        ahead, today = max(self._days), self.today
        if ahead > today + CLOCKS_APART:
            _log.warning(
                "an event is of %s, and the clock of Postgres says %s: the broker's clock is ahead. No day of the "
                "ledger is dropped because of it",
                ahead,
                today,
            )

    def _read_days(self) -> set[date]:
        rows = self._connection.execute(
            "SELECT right(relname, 8)::date FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'request_part'::regclass AND relname ~ '^request_part_[0-9]{8}$'"
        )
        return {day for (day,) in rows}


def _copy_line(part: RequestPart) -> str:
    """The row of a part, as a line for COPY. None of its texts has a character to escape (contracts/headers.py)."""
    context = part.context
    size = _NULL if context.size is None else context.size
    invalid = _NULL if context.invalid is None else context.invalid
    return (
        f"{context.request_id.hex}\t{part.partition}\t{part.first_offset}\t{part.day}\t{context.partner_id}\t{size}\t"
        f"{invalid}\t{part.outcomes_json}\t{context.digest or _NULL}\t{timestamp(part.time_ms)}\n"
    )


def _json_row(part: RequestPart) -> str:
    """The same row as a JSON object."""
    context = part.context
    size = "null" if context.size is None else context.size
    invalid = "null" if context.invalid is None else context.invalid
    digest = "null" if context.digest is None else f'"{context.digest}"'
    return (
        f'{{"request_id":"{context.request_id.hex}","partition":{part.partition},"first_offset":{part.first_offset},'
        f'"day":"{part.day}","partner_id":"{context.partner_id}","request_size":{size},"request_invalid":{invalid},'
        f'"outcomes":{json.dumps(part.outcomes_json)},"digest":{digest},'
        f'"event_time":"{timestamp(part.time_ms)}"}}'
    )


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
            "SELECT c.id, c.partner, c.digest, c.day "
            "FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::date[]) AS c (id, partner, digest, day) "
            "ON CONFLICT (request_id, partner_id) DO UPDATE SET digest = excluded.digest, day = excluded.day "
            "WHERE k.day <= least(excluded.day, (now() AT TIME ZONE 'UTC')::date + 1) - %b",
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
