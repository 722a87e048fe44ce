"""What a batch costs the consumer, in counts: the check in CI that notices when it grows (tests/bench/README.md).

The table is the budget. A failure, and `pytest -s`, prints what was measured in the same form, to be copied.
"""

import gc
import random
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import Message

from bench.sample import order_template
from consumer.applier import Applier
from consumer.core.batch import Batch
from consumer.core.decoder import Decoder
from consumer.core.record import Outgoing
from consumer.core.replies import result_records
from consumer.kafka.message import records_of
from consumer.metrics import ConsumerMetrics
from consumer.postgres.connection import BusyConnection
from consumer.postgres.session import Session, SessionHolder
from consumer.prefetch import Prefetched
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.order import Order
from contracts.partitioner import partition_of
from contracts.result import Outcome, decode_results
from support.events import TIME
from support.installation import Installation
from support.work import Figures, Traffic, Wire, calls, check, record_bytes, wal_of

ROOT = Path(__file__).parents[2]

# To and from Postgres for each batch: statements and round trips; for each order: bytes sent and received, without TCP,
# and what Postgres writes to its WAL.
# Calls: of our own code (support/work.py), from the client library's message to the result record, for each order.
# Messages: the result records of a batch, and their bytes without compression for each order.
BUDGET = """
a batch                   statements  round_trips  sent_bytes_per_order  received_bytes_per_order  wal_bytes_per_order  calls_per_order  messages  message_bytes_per_order
1 new                              9            2                  1428                       643                 1037              471         1                      224
100 new                            9            2                 583.9                         9                517.7             60.1         1                      5.2
500 new                            9            6                   355                       1.9                460.7             43.5         1                      4.3
500 new, of 500 requests           9            7                 551.9                       1.9                778.3            122.7         1                    134.1
500 changed                       10            7                 355.9                      91.1                550.3             45.2         1                      4.3
500 unchanged                      8            4                  33.3                      90.9                  8.5             38.2         1                      4.3
500 keyed                         11            9                 355.7                       2.4                463.2             49.2         1                      4.4
500 keyed, asked again            11            8                  30.9                       100                  3.8             48.3         1                      4.4
500 read again                     7            4                  26.8                      94.9                  1.4             30.3         1                      4.3
"""  # noqa: E501

# What a record takes in a batch that waits for its turn: of Python's own memory, as the client library gave it.
MEMORY_BUDGET = """
500 records     memory_bytes_per_order
of one request                   961.4
"""


@dataclass(frozen=True)
class Batches:
    """Batches of one kind, one after the other. What is the same in all of them was applied before the one measured."""

    outcome: Outcome
    orders: int
    requests: int = 1
    keyed: bool = False
    same_orders: bool = False
    same_values: bool = False
    same_requests: bool = False
    same_offsets: bool = False


NEW, CHANGED, UNCHANGED = Outcome.INSERTED, Outcome.UPDATED, Outcome.UNCHANGED
AGAIN = {"same_orders": True, "same_values": True, "same_requests": True}
BATCHES = {
    "1 new": Batches(NEW, 1),
    "100 new": Batches(NEW, 100),
    "500 new": Batches(NEW, 500),
    "500 new, of 500 requests": Batches(NEW, 500, requests=500),
    "500 changed": Batches(CHANGED, 500, same_orders=True),
    "500 unchanged": Batches(UNCHANGED, 500, same_orders=True, same_values=True),
    "500 keyed": Batches(NEW, 500, keyed=True),
    "500 keyed, asked again": Batches(NEW, 500, keyed=True, **AGAIN),
    "500 read again": Batches(NEW, 500, **AGAIN, same_offsets=True),
}
WARM_UP_BATCHES = 7
"""psycopg prepares a statement when it is sent for the sixth time; before that, the same work takes more bytes."""
REPLY_TO, RESULTS = ReplyTo(None, 3), "orders.results"
"""As the ingress asks for replies."""
FIRST_OFFSET = FIRST_NUMBER = 1_000_000  # so that every number has the same digits


TEMPLATES = [order_template(random.Random(seed), products=2) for seed in range(16)]


def an_order(number: int, total: int) -> Order:
    return Order.model_validate_json(TEMPLATES[number % len(TEMPLATES)] % (number, total))


class Topic:
    """Records of orders.upserts as the client library gives them, of a partner and of requests of its own."""

    def __init__(self, number: int) -> None:
        self._partner = f"shop-{number}"
        self._first_request = (number + 1) * FIRST_NUMBER
        self._ends: dict[int, int] = defaultdict(lambda: FIRST_OFFSET)

    def batch(self, kind: Batches, number: int) -> list[Message]:
        if kind.same_offsets:
            self._ends.clear()
        return [self._message(kind, number, position) for position in range(kind.orders)]

    def _message(self, kind: Batches, number: int, position: int) -> Message:
        order_number = FIRST_NUMBER + position + (0 if kind.same_orders else number * kind.orders)
        total = FIRST_NUMBER + (0 if kind.same_values else number)
        order = an_order(order_number, total)
        key = order.order_id.encode()
        partition = partition_of(key, 12)
        offset = self._ends[partition]
        self._ends[partition] += 1
        request, index = divmod(position, kind.orders // kind.requests)
        request += self._first_request + (0 if kind.same_requests else number * kind.requests)
        digest = "d" * 32 if kind.keyed else None
        size = kind.orders // kind.requests
        context = RequestContext(UUID(int=request), self._partner, size, 0, REPLY_TO, digest=digest)
        return Message(
            partition=partition,
            offset=offset,
            key=key,
            value=order.canonical(),
            headers=HeaderWriter(context).headers(index),
            timestamp=(2, int(TIME.timestamp() * 1000)),
        )


def consumed(applier: Applier, decoder: Decoder, messages: list[Message]) -> list[Outgoing]:
    """A batch through the consumer, as `Assignment` and `Worker` lead it."""
    prefetched = Prefetched(messages, {}, lambda taken, columns: decoder.decode(records_of(taken), columns))
    columns = prefetched.batch().columns
    batch = Batch(columns, columns.runs, dict.fromkeys(columns.partitions, FIRST_OFFSET))
    return result_records(applier.apply(batch).replies, RESULTS)


def measured_batch(kind: Batches, topic: Topic, url: str) -> tuple[dict[str, float], Traffic]:
    wires: list[Wire] = []
    with TemporaryFile("w+b") as trace, closing(SessionHolder(url, 7, traced(trace, wires))) as database:
        with database.session() as session:
            connection = session.connection
            connection.execute("UPDATE consumer_partition SET next_offset = %s", [FIRST_OFFSET])
        applier, decoder = Applier(database, lambda _: None, on_applied=ConsumerMetrics().on_applied), Decoder()
        for number in range(WARM_UP_BATCHES):
            consumed(applier, decoder, topic.batch(kind, number))
        for number in count(WARM_UP_BATCHES):
            messages = topic.batch(kind, number)
            wal_before = wal_of(connection)
            wires[0].read()
            with calls() as counted:
                replies = consumed(applier, decoder, messages)
            traffic = wires[0].read()
            wal = wal_of(connection) - wal_before
            if not wal["full_pages"]:
                break  # else there was a checkpoint, and the first change of each page after one takes the whole page
    results = [result for reply in replies for result in decode_results(reply.value)]
    assert sum(len(result.outcomes[kind.outcome]) for result in results) == kind.orders, "the batch is not what it says"
    figures: dict[str, float] = {
        "statements": traffic.statements,
        "round_trips": len(traffic.trips),
        "sent_bytes_per_order": traffic.sent_bytes / kind.orders,
        "received_bytes_per_order": traffic.received_bytes / kind.orders,
        "wal_bytes_per_order": wal["bytes"] / kind.orders,
        "calls_per_order": counted.count / kind.orders,
        "messages": len(replies),
        "message_bytes_per_order": sum(record_bytes(r.key, r.value, r.headers) for r in replies) / kind.orders,
    }
    return figures, traffic


def traced(trace: IO[bytes], wires: list[Wire]) -> Callable[[BusyConnection, int], Session]:
    """Makes the sessions of a SessionHolder; the first one's traffic is in `wires`."""

    def make(connection: BusyConnection, ledger_days: int) -> Session:
        wires.append(Wire(connection, trace))
        return Session(connection, ledger_days)

    return make


@pytest.mark.skipif(sys.platform != "linux", reason="psycopg gives libpq's trace on Linux only")
def test_the_work_for_a_batch_does_not_grow(database: str) -> None:
    measured: Figures = {}
    explanations = {}
    with psycopg.connect(database, autocommit=True) as connection:  # a vacuum in between would change the WAL
        for table in ("orders", "consumer_partition", "request_key"):
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
    for number, (name, kind) in enumerate(BATCHES.items()):
        measured[name], explanations[name] = measured_batch(kind, Topic(number), database)
    check(BUDGET, measured, explanations)


def test_the_memory_for_a_record_that_waits_does_not_grow(installation: Installation) -> None:
    orders = [an_order(FIRST_NUMBER + number, total=FIRST_NUMBER) for number in range(500)]
    written = HeaderWriter(RequestContext(UUID(int=1), "shop-1", len(orders), 0, REPLY_TO))
    installation.produce(
        [
            {"key": order.order_id, "value": order.canonical(), "headers": written.headers(index)}
            for index, order in enumerate(orders)
        ]
    )
    decoder = Decoder()
    tracemalloc.start()
    try:
        messages = installation.records(installation.settings.topics.upserts)
        waiting = Prefetched(messages, {}, lambda taken, columns: decoder.decode(records_of(taken), columns)).batch()
        del messages
        gc.collect()
        # Of our own code alone: what pytest or a logger keeps of these moments is not the record's.
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"{ROOT}/*")])
        size_bytes = sum(
            found.size for found in ours.statistics("filename") if ".venv" not in found.traceback[0].filename
        )
    finally:
        tracemalloc.stop()
    check(MEMORY_BUDGET, {"of one request": {"memory_bytes_per_order": size_bytes / len(waiting)}})


@pytest.mark.skipif(sys.platform != "linux", reason="psycopg gives libpq's trace on Linux only")
def test_statements_are_counted_by_themselves_and_round_trips_by_the_waits(database: str) -> None:
    with TemporaryFile("w+b") as trace, psycopg.connect(database, autocommit=True) as connection:
        wire = Wire(connection, trace)
        connection.execute("SELECT 1")
        connection.execute("SELECT %s", ["two"])
        assert wire.read().trips == [["SELECT 1"], ["SELECT $1"]]
        with connection.pipeline():
            connection.execute("SELECT 3")
            connection.execute("SELECT 4")
        assert wire.read().trips == [["SELECT 3", "SELECT 4"]]
        with connection.cursor().copy("COPY (SELECT 1) TO STDOUT") as copy:
            assert list(copy) == [b"1\n"]
        [[only]] = wire.read().trips
        assert only.startswith("COPY")
