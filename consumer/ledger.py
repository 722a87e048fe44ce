"""The ledger `request_part`: what was answered, so that it can be answered again after any crash."""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

from consumer.errors import RetryLaterError
from consumer.record import Decoded
from consumer.store import JSON_ROWS_MAX, Connection, Pending
from contracts.record import EventContext, Request
from contracts.result import Outcome, encode_outcomes, outcomes_of

_COLUMNS = (
    "request_id", "partition", "first_offset", "day", "partner_id", "request_size", "request_invalid", "outcomes",
    "digest",
)  # fmt: skip
_COPY = f"COPY request_part ({', '.join(_COLUMNS)}) FROM STDIN"
_INSERT = "INSERT INTO request_part SELECT * FROM json_populate_recordset(NULL::request_part, %b::json)"
_DAYS_LOCK = 7_041_001  # of pg_advisory_xact_lock: any number that nobody else uses


@dataclass(frozen=True, slots=True)
class RequestPart:
    """The outcomes of one request in one batch, named after the first event of the request in it."""

    context: EventContext
    partition: int
    first_offset: int
    day: date
    outcomes_json: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the ledger has of one request and one batch."""

    request: Request
    digest: str | None
    outcomes_json: str


def request_parts(outcomes: Iterable[tuple[Decoded, Outcome]]) -> list[RequestPart]:
    """The outcomes of a batch, request by request. A request is known by its id and its partner."""
    grouped: dict[Request, list[tuple[Decoded, Outcome]]] = {}
    last, items = None, list[tuple[Decoded, Outcome]]()
    for decoded, outcome in outcomes:
        context = decoded.context
        assert context is not None  # the fold gives outcomes for such records only
        if context is not last:  # the events of a request come together, and share it
            last = context
            items = grouped.setdefault(context.request, [])
        items.append((decoded, outcome))
    parts = []
    for items in grouped.values():
        first, _ = items[0]
        indexes = ((decoded.index, outcome) for decoded, outcome in items)
        parts.append(
            RequestPart(
                first.context,  # type: ignore[arg-type]
                first.record.partition,
                first.record.offset,
                first.record.time.date(),
                encode_outcomes(outcomes_of(indexes)),
            )
        )
    return parts


class Ledger:
    """Statements over one connection; the caller holds the transaction.

    Days are made when their first event comes, and dropped relative to the newest day in the ledger, never to a clock:
    so a replay of old events files them as it did the first time.
    """

    def __init__(self, connection: Connection, days_kept: int) -> None:
        self._connection = connection
        self._kept = timedelta(days=days_kept)
        self._days: set[date] = set()

    def ensure_days(self, days: Collection[date]) -> None:
        """Makes what is missing, in a transaction of its own: a table can only be attached under a heavy lock."""
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
        """Around a transaction that writes. Raises RetryLaterError where another consumer dropped a day meanwhile:
        `ensure_days` then looks again."""
        try:
            yield
        except psycopg.errors.CheckViolation as error:
            if error.diag.constraint_name is not None:
                raise
            self._days.clear()
            raise RetryLaterError("a day of the ledger was dropped by another consumer") from error

    def read(self, requests: Collection[Request], since: date = date.min) -> Pending[list[StoredPart]]:
        """Every part of these requests that is in the ledger, of `since` or a later day."""
        if not requests:
            return list
        asked = set(requests)
        rows = self._connection.execute(
            "SELECT request_id, partner_id, digest, outcomes FROM request_part "
            "WHERE request_id = ANY(%b::uuid[]) AND day >= %b",
            [f"{{{','.join(str(request_id) for request_id, _ in asked)}}}", since],
        )
        parts = (StoredPart((request_id, partner_id), *about) for request_id, partner_id, *about in rows)  # type: ignore
        return lambda: [part for part in parts if part.request in asked]

    def _is_past(self, day: date) -> bool:
        return bool(self._days) and day <= max(self._days) - self._kept

    def _read_days(self) -> set[date]:
        rows = self._connection.execute(
            "SELECT right(inhrelid::regclass::text, 8)::date FROM pg_inherits "
            "WHERE inhparent = 'request_part'::regclass"
        )
        return {day for (day,) in rows}  # type: ignore[misc]


def _table(day: date) -> str:
    return f"request_part_{day:%Y%m%d}"


def _row(part: RequestPart) -> tuple[object, ...]:
    context = part.context
    return (
        context.request_id, part.partition, part.first_offset, part.day, context.partner_id, context.size,
        context.invalid, part.outcomes_json, context.digest,
    )  # fmt: skip
