"""What is measured: Kafka, Postgres, one ingress, one consumer, and the direct service on the same Postgres."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import psycopg

from bench.load import Outcome, Task
from bench.measured import Run, run_of
from bench.meter import Meter
from consumer.postgres.migrate import migrate
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS
from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from support.http import get
from support.installation import Ingress, Installation

Service = Literal["ours", "psycopg", "asyncpg"]
DRIVERS: tuple[Service, ...] = ("psycopg", "asyncpg")
TESTS = Path(__file__).parents[1]
READY_TIMEOUT_S = 60.0


class Stack:
    """Everything on one machine, with the settings that `orders up` gives to its local servers."""

    def __init__(self, folder: Path, kafka: KafkaBroker, postgres: PostgresServer, database: str = "orders") -> None:
        self.kafka, self.postgres = kafka, postgres
        self.installation = Installation(kafka.bootstrap, postgres.url(database), folder)
        self.token = ""
        self.consumers: list[Child] = []
        self.services: dict[Service, Ingress] = {}
        self._consumer_program: list[str] | None = None
        self._folder = folder

    def start(self) -> None:
        migrate(self.installation.postgres_url)
        self.installation.set_up()
        self.start_consumer()
        self.services["ours"] = self.installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "10"})  # the default
        self.token = self.installation.add_partner("bench")
        self.execute((TESTS / "bench" / "direct.sql").read_text())
        self.services.update({driver: self._start_direct(driver) for driver in DRIVERS})

    def measure(self, load: str, service: Service, task: Task) -> Run:
        """Runs a load; only the measured time counts, without the warm-up."""
        meter = self.meter()
        command = [sys.executable, "-m", "bench.load"]
        generator = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **_PYTHONPATH}
        )
        assert generator.stdin is not None
        assert generator.stdout is not None
        try:
            json.dump({**asdict(task), "port": self.port(service), "token": self.token}, generator.stdin)
            generator.stdin.close()
            if generator.stdout.readline() != "measuring\n":
                raise RuntimeError("the load generator ended before it measured")
            before = meter.read()
            result = generator.stdout.readline()
            after = meter.read()
        finally:
            meter.close()
            generator.stdout.close()
            generator.wait()
        return run_of(load, service, Outcome(**json.loads(result)), before, after)

    def meter(self) -> Meter:
        return Meter(self.pids(), self.kafka.folder / "log", self.installation.postgres_url)

    def port(self, service: Service) -> int:
        return self.services[service].port

    def pids(self) -> dict[str, int]:
        return {
            **{"ingress" if name == "ours" else name: service.child.pid for name, service in self.services.items()},
            **{f"consumer {n}" if n > 1 else "consumer": child.pid for n, child in enumerate(self.consumers, 1)},
            "kafka": self.kafka.child.pid,
            "postgres": self.postgres.child.pid,
        }

    def applied(self) -> int:
        """Events that are in the tables, of all partitions."""
        return int(
            self.installation.sql("SELECT sum(next_offset)::bigint AS events FROM consumer_partition")[0]["events"]
        )

    def start_consumer(self) -> None:
        self.consumers.append(self.installation.start_consumer())

    def launch_consumer(self) -> Child:
        """Does not wait for its partitions."""
        return self.installation.start("consumer", _PYTHONPATH, self._consumer_program)

    def with_partitions(self, count: int) -> "Stack":
        """Another topic and another database on the same servers, with nothing running."""
        database = f"partitions_{count}"
        self.execute(f"CREATE DATABASE {database}")
        other = Stack(self._folder, self.kafka, self.postgres, database)
        other.installation.running = self.installation.running
        program = [sys.executable, "-m", "bench.many_partitions", str(count)]
        environment = {**os.environ, **other.installation.environment, **_PYTHONPATH}
        subprocess.run([*program, "setup"], env=environment, check=True, capture_output=True)
        other.execute(f"INSERT INTO consumer_partition SELECT generate_series({UPSERT_PARTITIONS}, {count - 1}), 0")
        other._consumer_program = [*program, "consumer"]
        return other

    def stop_consumers(self) -> None:
        for child in self.consumers:
            child.stop()
        self.consumers = []

    def fill_table(self, rows: int) -> None:
        """So many orders of the partner `bench`, numbered from 0 on, as if they had come through the topic long ago."""
        self.empty_tables()
        with (
            psycopg.connect(self.installation.postgres_url) as connection,
            connection.cursor() as cursor,
            cursor.copy(_COPY_ORDERS) as copy,
        ):
            for first in range(0, rows, 10_000):
                numbers = range(first, min(rows, first + 10_000))
                copy.write("".join(_old_order(f"ORD-{number:010}") for number in numbers))
        self.execute("VACUUM ANALYZE orders")
        self.execute("CHECKPOINT")

    def empty_tables(self) -> None:
        """Both services start with empty tables, and with no checkpoint due from before."""
        self.execute("TRUNCATE orders, direct_orders")
        self.execute("CHECKPOINT")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.installation.postgres_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _start_direct(self, driver: Service) -> Ingress:
        port = free_port()
        child = self.installation.start(
            driver,
            {"ORDERS_PORT": str(port), "BENCH_TOKEN": self.token, "BENCH_DRIVER": driver, **_PYTHONPATH},
            [sys.executable, "-m", "bench.direct"],
        )
        child.wait_until(lambda: _answers(port), READY_TIMEOUT_S)
        return Ingress(child, port)


_COPY_ORDERS = (
    "COPY orders (partner_id, order_id, name, email, refferral_code, user_id, products, total_amount, discount, "
    "content_hash, event_partition, event_offset, event_time) FROM STDIN"
)
_PYTHONPATH = {"PYTHONPATH": str(TESTS)}


def _old_order(order_id: str) -> str:
    partition = partition_of(order_id.encode(), UPSERT_PARTITIONS)
    products = '[{"product_sku_id":"SKU-1","amount":"1.5","qty":1}]'
    return (
        f"bench\t{order_id}\tAda Abe\tada.abe@example.com\tREF-1\tU-1\t{products}\t1\t0\t"
        f"\\\\x00\t{partition}\t-1\t2026-01-01 00:00:00Z\n"
    )


def _answers(port: int) -> bool:
    try:
        return get(port, "/openapi.json").status == 200
    except OSError:
        return False


@contextmanager
def running_stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as name:
        folder = Path(name)
        kafka = KafkaBroker(folder / "kafka", free_port(), lives_long=True)
        postgres = PostgresServer(folder / "postgres", free_port())
        kafka.start()
        try:
            postgres.start()
            try:
                stack = Stack(folder, kafka, postgres)
                with stack.installation.running:
                    stack.start()
                    yield stack
            finally:
                postgres.stop()
        finally:
            kafka.stop()
