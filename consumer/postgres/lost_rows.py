"""Notices that rows are gone of which the ledger has the outcomes: after `TRUNCATE orders`, or if a fence was put back.

What wrote a row also wrote its outcome and moved the fence, in one transaction. So in tables that nobody touched, or
that were restored as a whole, no outcome is without its row or behind the fence.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from consumer.core.batch import Batch, Run
from consumer.core.record import OrderKey
from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection

_HAS_INSERTED = """SELECT FROM request_part WHERE outcomes ~ '"inserted": ?\\[[0-9]' LIMIT 1"""
_ROW = "SELECT event_time FROM orders WHERE (partner_id, order_id) = (%s, %s)"
_AS_OLD = "SELECT FROM orders WHERE event_time <= %s LIMIT 1"
_OF_THEM = (
    "SELECT k.r, k.p, l.first_offset FROM unnest(%b::uuid[], %b::smallint[], %b::bigint[], %b::bigint[]) "
    "AS k (r, p, low, high), LATERAL (SELECT first_offset FROM request_part AS l WHERE l.request_id = k.r "
    "AND l.partition = k.p AND l.first_offset BETWEEN k.low AND k.high OFFSET 0) AS l"
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
        self._fence: Mapping[int, int] = {}

    def look(self, connection: Connection, written: Sequence[OrderKey], fence: Mapping[int, int]) -> None:
        """`written`: some orders whose rows were written lately. `fence`: of all partitions, from before this look.

        Raises ConsumerStoppedError if our row is gone, with all rows that are as old, and the ledger is not. After a
        restore that is no sign: newer rows of other partitions may be back before it. Then a fence has gone back.
        """
        if any(fence[partition] < offset for partition, offset in self._fence.items()):
            self._seen = None
        self._fence = fence
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
    together: dict[tuple[int, int], list[Run]] = {}  # of one request in one partition, mostly: a run may be one event
    for run in repeats.runs:
        if run.context is not None:
            together.setdefault((id(run.context), run.partition), []).append(run)
    offsets = repeats.columns.offsets
    places: dict[tuple[UUID, int], set[int]] = {}
    for (_, partition), runs in together.items():
        assert runs[0].context is not None
        own = places.setdefault((runs[0].context.request_id, partition), set())
        own.update([offsets[position] for run in runs for position in run.positions])
    asked = [(*of, min(own), max(own)) for of, own in places.items()]
    for request_id, partition, offset in connection.execute(_OF_THEM, [list(c) for c in zip(*asked, strict=True)]):
        if offset in places[request_id, partition]:  # after a reseed, it may be the place of another event
            raise ConsumerStoppedError(
                f"The ledger has the outcome of the event at offset {offset} of partition {partition}, and the fence "
                "in consumer_partition stands before it: somebody put the fence back, and the rows of such events may "
                "be gone. Run DELETE FROM consumer_partition, then `orders setup`, which finds the fence again. "
                f"{_BACK}"
            )


def _has_inserted(connection: Connection) -> bool:
    return connection.execute(_HAS_INSERTED).fetchone() is not None
