"""The fence `consumer_partition`, which is the watermark *applied*; and the topic that the tables were filled from."""

import json
from collections.abc import Iterable, Mapping

from psycopg import sql

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection, Pending


def read_fence(connection: Connection, schema: str | None = None) -> dict[int, int]:
    """next_offset of every partition now. `schema`: that of a replay; None for the first one of the search_path."""
    table = sql.Identifier(schema, "consumer_partition") if schema else sql.Identifier("consumer_partition")
    return dict(connection.execute(sql.SQL("SELECT partition, next_offset FROM {}").format(table)))


class Fence:
    """Statements on one connection. The caller holds the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, partitions: Iterable[int]) -> Pending[dict[int, int]]:
        """Locks each partition and gives its next_offset. Everybody locks in the same order.

        A consumer that lost a partition without knowing it waits here for the new owner.
        """
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM consumer_partition WHERE partition = ANY(%b::int[]) "
            "ORDER BY partition FOR UPDATE",
            [f"{{{','.join(map(str, partitions))}}}"],
        )
        return Pending(lambda: dict(rows))

    def read(self) -> dict[int, int]:
        """next_offset of every partition now."""
        return read_fence(self._connection)

    def set(self, next_offsets: Mapping[int, int]) -> None:
        self._connection.execute(
            "UPDATE consumer_partition AS p SET next_offset = n.next_offset::bigint "
            "FROM json_each_text(%b::json) AS n (partition, next_offset) WHERE p.partition = n.partition::int",
            [json.dumps(next_offsets)],
        )


def require_same_topic(connection: Connection, topic: str, topic_id: str) -> None:
    """Notes the topic at the first start. Raises ConsumerStoppedError if it is another one now."""
    connection.execute(
        "INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", [topic, topic_id]
    )
    known = connection.execute("SELECT topic, topic_id FROM source_topic").fetchone()
    if known != (topic, topic_id):
        raise ConsumerStoppedError(
            f"These tables were filled from another topic (known: {known}, now: {(topic, topic_id)}). Either "
            "it was deleted and created again, or ORDERS_POSTGRES_URL or ORDERS_KAFKA_BOOTSTRAP is that of another "
            "installation.\nNothing was applied. To fill tables from this topic, set ORDERS_POSTGRES_URL to an empty "
            "database and run: orders setup"
        )
