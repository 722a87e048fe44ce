"""The fence `consumer_partition`, which is the watermark *applied*; and the topic that the tables are a view of."""

import json
from collections.abc import Iterable, Mapping

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection, Pending


class Fence:
    """Statements over one connection; the caller holds the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, partitions: Iterable[int]) -> Pending[dict[int, int]]:
        """next_offset of each partition, locked in one order by everybody: a zombie waits here for the new owner."""
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM consumer_partition WHERE partition = ANY(%b::int[]) "
            "ORDER BY partition FOR UPDATE",
            [f"{{{','.join(map(str, partitions))}}}"],
        )
        return Pending(lambda: dict(rows))

    def read(self) -> dict[int, int]:
        """next_offset of every partition, as it is at this moment."""
        rows = self._connection.execute("SELECT partition, next_offset FROM consumer_partition")
        return dict(rows)

    def set(self, next_offsets: Mapping[int, int]) -> None:
        self._connection.execute(
            "UPDATE consumer_partition AS p SET next_offset = n.next_offset::bigint "
            "FROM json_each_text(%b::json) AS n (partition, next_offset) WHERE p.partition = n.partition::int",
            [json.dumps(next_offsets)],
        )


def require_same_topic(connection: Connection, topic: str, topic_id: str) -> None:
    """Notes the topic at the first start. Raises ConsumerStoppedError where it is another one now."""
    connection.execute(
        "INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", [topic, topic_id]
    )
    known = connection.execute("SELECT topic, topic_id FROM source_topic").fetchone()
    if known != (topic, topic_id):
        raise ConsumerStoppedError(
            f"These tables were filled from another topic than {topic} as it is now (known: {known}, now: {topic_id}): "
            "it was deleted and created again, or ORDERS_POSTGRES_URL or ORDERS_KAFKA_BOOTSTRAP is that of another "
            "installation.\nNothing was applied. To fill tables from this topic, give an empty database and run: "
            "orders setup"
        )
