"""The relay of the outbox: moves its rows to Kafka, in order. `python -m bench.relay`

A batch is one transaction: its rows are deleted, sent, acknowledged by all replicas, and only then is the deletion
committed. So a row is in Kafka before it is gone, and a relay that is killed sends its last batch again.

It vacuums the outbox itself: autovacuum comes by once a minute, and until then each look would step over every row that
was deleted. It polls: NOTIFY takes a lock of the whole server in each commit of the service.
"""

import asyncio
import os
import signal
from typing import Any

import asyncpg
from confluent_kafka import Producer

BATCH_ROWS = 5_000
VACUUM_EVERY_ROWS = 20_000
POLL_EVERY_S = 0.01
ACKNOWLEDGED_TIMEOUT_S = 30.0
_TAKE = f"""
    DELETE FROM outbox WHERE id = ANY (ARRAY(SELECT id FROM outbox ORDER BY id LIMIT {BATCH_ROWS}))
    RETURNING id, partner_id, order_id, value"""


async def relay(url: str, topic: str, producer: Producer, stop: asyncio.Event) -> None:
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off"})  # it would send again
    print("relaying", flush=True)  # noqa: T201 - whoever started it waits for this
    deleted_rows = 0
    while not stop.is_set():
        async with connection.transaction():
            rows = await connection.fetch(_TAKE)
            _send(producer, topic, sorted(rows))  # by id: RETURNING has no order
        deleted_rows += len(rows)
        if deleted_rows >= VACUUM_EVERY_ROWS:
            await connection.execute("VACUUM (TRUNCATE false) outbox")
            deleted_rows = 0
        if not rows:
            await asyncio.sleep(POLL_EVERY_S)


def _send(producer: Producer, topic: str, rows: list[Any]) -> None:
    """Raises RuntimeError if not every row is acknowledged: then the transaction rolls back."""
    failed: list[object] = []

    def on_delivery(error: object, _: object) -> None:
        if error is not None:
            failed.append(error)

    for _, partner_id, order_id, value in rows:
        headers = [("partner_id", partner_id.encode())]
        producer.produce(topic, value, order_id.encode(), headers=headers, on_delivery=on_delivery)
    if producer.flush(ACKNOWLEDGED_TIMEOUT_S) or failed:
        raise RuntimeError(f"not acknowledged: {failed[:1]}")


async def _main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    producer = Producer(
        {
            "bootstrap.servers": os.environ["ORDERS_KAFKA_BOOTSTRAP"],
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 5,  # the flush sends what is left at once
        }
    )
    await relay(os.environ["ORDERS_POSTGRES_URL"], os.environ["BENCH_TOPIC"], producer, stop)


if __name__ == "__main__":
    asyncio.run(_main())
