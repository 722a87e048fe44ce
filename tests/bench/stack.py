"""What is measured: Kafka, Postgres, one ingress, one consumer, and the direct service on the same Postgres."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psycopg

from bench.load import Outcome, Task
from bench.meter import Meter, Reading
from order_upsert.consumer.migrate import migrate
from order_upsert.deploy.local.child import Child
from order_upsert.deploy.local.kafka import KafkaBroker
from order_upsert.deploy.local.ports import free_port
from order_upsert.deploy.local.postgres import PostgresServer
from support.http import get
from support.installation import Ingress, Installation

Service = Literal["ours", "direct"]
TESTS = Path(__file__).parents[1]
READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Measured:
    """One load on one service: what the clients saw, and what the stack spent meanwhile."""

    outcome: Outcome
    before: Reading
    after: Reading

    @property
    def orders(self) -> int:
        """Orders that were answered."""
        return sum(self.outcome.counts.values())

    @property
    def orders_per_s(self) -> float:
        return self.orders / self.outcome.seconds


class Stack:
    """Everything on one machine, with the settings that `orders up` gives to its local servers."""

    def __init__(self, folder: Path, kafka: KafkaBroker, postgres: PostgresServer) -> None:
        self.kafka, self.postgres = kafka, postgres
        self.installation = Installation(kafka.bootstrap, postgres.url(), folder)
        self.token = ""
        self.consumers: list[Child] = []
        self._folder = folder

    def start(self) -> None:
        migrate(self.postgres.url())
        self.installation.set_up()
        self.consumers.append(self.installation.start_consumer())
        self.ingress = self.installation.start_ingress()
        self.token = self.installation.add_partner("bench")
        self.execute((TESTS / "bench" / "direct.sql").read_text())
        self.direct = self._start_direct()

    def measure(self, service: Service, task: Task) -> Measured:
        """Runs a load; only the measured time counts, without the warm-up."""
        meter = Meter(self.pids(), self.kafka.folder / "log", self.postgres.url())
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
        return Measured(Outcome(**json.loads(result)), before, after)

    def port(self, service: Service) -> int:
        return self.ingress.port if service == "ours" else self.direct.port

    def pids(self) -> dict[str, int]:
        return {
            "ingress": self.ingress.child.pid,
            **{f"consumer {n}" if n > 1 else "consumer": child.pid for n, child in enumerate(self.consumers, 1)},
            "kafka": self.kafka.child.pid,
            "postgres": self.postgres.child.pid,
            "direct": self.direct.child.pid,
        }

    def applied(self) -> int:
        """Events that are in the tables, of all partitions."""
        return int(
            self.installation.sql("SELECT sum(next_offset)::bigint AS events FROM consumer_partition")[0]["events"]
        )

    def empty_tables(self) -> None:
        """Both services start with empty tables, and with no checkpoint due from before."""
        self.execute("TRUNCATE orders, direct_orders")
        self.execute("CHECKPOINT")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _start_direct(self) -> Ingress:
        port = free_port()
        child = self.installation.start(
            "direct",
            {"ORDERS_PORT": str(port), "BENCH_TOKEN": self.token, **_PYTHONPATH},
            [sys.executable, "-m", "bench.direct"],
        )
        child.wait_until(lambda: _answers(port), READY_TIMEOUT_S)
        return Ingress(child, port)


_PYTHONPATH = {"PYTHONPATH": str(TESTS)}


def _answers(port: int) -> bool:
    try:
        return get(port, "/openapi.json").status == 200
    except OSError:
        return False


@contextmanager
def running_stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as name:
        folder = Path(name)
        kafka = KafkaBroker(folder / "kafka", free_port())
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
