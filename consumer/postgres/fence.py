"""The fence `consumer_partition`, which is the watermark *applied*; and the topic that the tables were filled from."""

from collections.abc import Collection, Mapping
from typing import TypeVar

from psycopg import sql

from consumer.core.log_mark import LogMark, Watermark
from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection, Pending
from consumer.postgres.tables import counted
from contracts.log_identity import CLOSED
from contracts.topics import UPSERT_PARTITIONS

_SET = counted(
    "consumer_partition",
    "UPDATE consumer_partition AS p SET next_offset = n.o, last_epoch = n.e, last_hash = decode(n.h, 'hex'), "
    "answered_to = coalesce(n.a, p.answered_to) "
    "FROM json_to_recordset(%b::json) AS n (p int, o bigint, e int, h text, a bigint) WHERE p.partition = n.p",
)

_PUT_BACK = """
INSERT INTO consumer_partition (partition, next_offset)
SELECT p, greatest(0, (SELECT max(event_offset) + 1 FROM orders WHERE event_partition = p),
  (SELECT max(first_offset) + 1 FROM request_part WHERE partition = p))
FROM generate_series(0, %s - 1) AS p WHERE NOT EXISTS (SELECT FROM consumer_partition WHERE partition = p)
RETURNING partition, next_offset
"""
Found = TypeVar("Found")


def read_fence(connection: Connection, schema: str | None = None) -> dict[int, int]:
    """next_offset of every partition now. `schema`: that of a replay; None for the first one of the search_path.

    Raises ConsumerStoppedError if a partition has no row.
    """
    table = sql.Identifier(schema, "consumer_partition") if schema else sql.Identifier("consumer_partition")
    return _complete(dict(connection.execute(sql.SQL("SELECT partition, next_offset FROM {}").format(table))))


def put_back(connection: Connection) -> dict[int, int]:
    """Makes the rows that are missing, and gives their next_offset.

    It is the lowest that orders and ledger allow: what was applied behind it is in the ledger, and is known again.
    """
    return dict(connection.execute(_PUT_BACK, [UPSERT_PARTITIONS]))


def _complete(found: dict[int, Found], wanted: Collection[int] = range(UPSERT_PARTITIONS)) -> dict[int, Found]:
    if len(found) < len(wanted):
        raise ConsumerStoppedError(
            f"The table consumer_partition has no row of the partitions {sorted(set(wanted) - found.keys())}: somebody "
            "removed them (TRUNCATE?). To find the fence again from the orders and the ledger, run: orders setup"
        )
    return found


class Fence:
    """Statements on one connection. The caller holds the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, partitions: Collection[int]) -> Pending[dict[int, int]]:
        """Locks each partition and gives its next_offset. Everybody locks in the same order.

        A consumer that lost a partition without knowing it waits here for the new owner. The result raises
        ConsumerStoppedError if a partition has no row.
        """
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM consumer_partition WHERE partition = ANY(%b::int[]) "
            "ORDER BY partition FOR UPDATE",
            [f"{{{','.join(map(str, partitions))}}}"],
        )
        return Pending(lambda: _complete(dict(rows), partitions))

    def read(self) -> dict[int, int]:
        """next_offset of every partition now. Raises ConsumerStoppedError while the tables are reseeded."""
        fence = read_fence(self._connection)
        require_open(fence)
        return fence

    def read_watermarks(self) -> dict[int, Watermark]:
        """The fence of every partition now, with what its log is known by. Raises as `read`."""
        watermarks = read_watermarks(self._connection)
        require_open({partition: watermark.next_offset for partition, watermark in watermarks.items()})
        return watermarks

    def set(self, watermarks: Mapping[int, Watermark]) -> None:
        """`answered_to` stays if it is None. `log_start` stays."""
        if watermarks:
            rows = [_row(partition, *watermark) for partition, watermark in watermarks.items()]
            self._connection.execute(_SET, [f"[{','.join(rows)}]", len(rows)])


def _row(partition: int, next_offset: int, mark: LogMark | None, _: int, answered_to: int | None) -> str:
    """As JSON, for `_SET`."""
    about = "" if answered_to is None else f',"a":{answered_to}'
    if mark is not None:
        epoch = "null" if mark.leader_epoch is None else mark.leader_epoch
        about += f',"e":{epoch},"h":"{mark.record_hash.hex()}"'
    return f'{{"p":{partition},"o":{next_offset}{about}}}'


def read_watermarks(connection: Connection) -> dict[int, Watermark]:
    """Raises ConsumerStoppedError if a partition has no row."""
    rows = connection.execute(
        "SELECT partition, next_offset, last_epoch, last_hash, log_start, answered_to FROM consumer_partition"
    )
    return _complete(
        {
            partition: Watermark(next_offset, None if found is None else LogMark(epoch, bytes(found)), *of_log)
            for partition, next_offset, epoch, found, *of_log in rows
        }
    )


def require_open(fence: Mapping[int, int]) -> None:
    """Raises ConsumerStoppedError while `orders reseed` holds the fences: it sets them to CLOSED."""
    if any(next_offset == CLOSED for next_offset in fence.values()):
        raise ConsumerStoppedError(
            "The tables are being reseeded. Wait until that is done; if it was ended, run it again: orders reseed"
        )


def note_source(connection: Connection, topic: str, topic_id: str) -> tuple[str, str]:
    """Notes the topic at the first start. Gives (topic, topic id) that the tables are filled from."""
    connection.execute(
        "INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", [topic, topic_id]
    )
    return read_source(connection) or (topic, topic_id)


def read_source(connection: Connection) -> tuple[str, str] | None:
    """(topic, topic id) that the tables are filled from; None before the first start of a consumer."""
    return connection.execute("SELECT topic, topic_id FROM source_topic").fetchone()
