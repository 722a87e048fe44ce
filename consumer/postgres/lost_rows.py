"""Notices that rows are gone of which the ledger has the outcomes: after `TRUNCATE orders`, or if a fence was put back.

What wrote a row also wrote its outcome and moved the fence, in one transaction. So in tables that nobody touched, or
that were restored as a whole, no outcome is without its row or behind the fence.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from consumer.core.batch import Batch
from consumer.core.record import OrderKey
from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection

_HAS_INSERTED = """SELECT FROM request_part WHERE outcomes ~ '"inserted": ?\\[[0-9]' LIMIT 1"""
_ROW = "SELECT event_time FROM orders WHERE (partner_id, order_id) = (%s, %s)"
_AS_OLD = "SELECT FROM orders WHERE event_time <= %s LIMIT 1"
_AT_THEIR_PLACES = (
    "SELECT k.p, k.o FROM unnest(%b::uuid[], %b::smallint[], %b::bigint[]) AS k (r, p, o), LATERAL (SELECT FROM "
    "request_part AS l WHERE (l.request_id, l.partition, l.first_offset) = (k.r, k.p, k.o) OFFSET 0) AS l LIMIT 1"
)
_BACK = "To have the rows back from the topic, run: orders replay --swap"


def require_rows(connection: Connection) -> None:
    """Raises ConsumerStoppedError if `orders` is empty and the ledger says that orders were inserted."""
    if connection.execute("SELECT FROM orders LIMIT 1").fetchone() is None and _has_inserted(connection):
        raise ConsumerStoppedError(
            "The table orders is empty, and the ledger has orders that were inserted: somebody removed the rows "
            f"(TRUNCATE?). {_BACK}"
        )


class RowsWatch:
    """Remembers one row that this process wrote, and looks whether it is still there."""

    def __init__(self) -> None:
        self._seen: tuple[OrderKey, datetime] | None = None

    def look(self, connection: Connection, written: Sequence[OrderKey]) -> None:
        """`written`: some orders whose rows were written lately. Raises ConsumerStoppedError if ours is gone, with all
        rows that are as old, and the ledger is not."""
        key = self._seen[0] if self._seen else next(iter(written), None)
        if key is None:
            return
        row = connection.execute(_ROW, key).fetchone()
        if self._seen is None:
            self._seen = None if row is None else (key, row[0])
        elif row is None:
            _, time = self._seen
            self._seen = None  # one order may be deleted by hand
            if connection.execute(_AS_OLD, [time]).fetchone() is None and _has_inserted(connection):
                raise ConsumerStoppedError(
                    f"The table orders has no row from before {time:%Y-%m-%d %H:%M:%S} UTC any more, and the ledger "
                    f"has orders that were inserted: somebody removed the rows (TRUNCATE?). {_BACK}"
                )


def require_new(connection: Connection, repeats: Batch) -> None:
    """`repeats`: events at or above the fence that the ledger knows. Raises ConsumerStoppedError if it knows one from
    this very place: then the fence was put back."""
    places = list(_places(repeats))
    found = connection.execute(_AT_THEIR_PLACES, [list(column) for column in zip(*places, strict=True)]).fetchone()
    if found is not None:
        raise ConsumerStoppedError(
            f"The ledger has the outcome of the event at offset {found[1]} of partition {found[0]}, and the fence in "
            "consumer_partition stands before it: somebody put the fence back, and the rows of such events may be "
            "gone. Run DELETE FROM consumer_partition, then `orders setup`, which finds the fence again. "
            f"{_BACK}"
        )


def _places(repeats: Batch) -> Iterable[tuple[UUID, int, int]]:
    offsets = repeats.columns.offsets
    for run in repeats.runs:
        if run.context is not None:
            for position in run.positions:
                yield run.context.request_id, run.partition, offsets[position]


def _has_inserted(connection: Connection) -> bool:
    return connection.execute(_HAS_INSERTED).fetchone() is not None
