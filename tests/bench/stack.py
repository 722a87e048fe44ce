"""What is measured: Kafka, Postgres, one ingress, one consumer, and the peers on the same two servers."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.backlog import canonical_templates, flat_templates, write_backlog
from bench.debezium import Debezium
from bench.load import Outcome, Task
from bench.measured import Run, run_of
from bench.meter import Meter
from bench.services import (
    OURS,
    PROCESSES,
    PYTHON_PATH,
    TESTS,
    Service,
    environment_of,
    make_topic,
    start_peer,
    start_relay,
)
from bench.tables import execute, number_of
from consumer.postgres.migrate import migrate
from contracts.topics import UPSERT_PARTITIONS
from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from support.installation import Ingress, Installation

OUTBOX_TOPIC, FLAT_TOPIC = "outbox", "flat"
_DRAINED_CHECK_S = 0.01
_DRAINED_TIMEOUT_S = 300.0


class Stack:
    """Everything on one machine, with the settings that `orders up` gives to its local servers."""

    def __init__(self, folder: Path, kafka: KafkaBroker, postgres: PostgresServer, database: str = "orders") -> None:
        self.kafka, self.postgres = kafka, postgres
        self.installation = Installation(kafka.bootstrap, postgres.url(database), folder)
        self.url = self.installation.postgres_url
        self.debezium = Debezium(folder, kafka.bootstrap, self.url, FLAT_TOPIC)
        self.token = ""
        self.consumers: list[Child] = []
        self._ingress: Ingress | None = None
        self._peers: dict[str, list[Ingress]] = {}
        self._relay: Child | None = None
        self._consumer_program: list[str] | None = None
        self._folder = folder

    def start(self) -> None:
        migrate(self.url)
        self.installation.set_up()
        self.start_consumer()
        self._ingress = self.installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "10"})  # the default
        self.token = self.installation.add_partner("bench")
        execute(self.url, (TESTS / "bench" / "direct.sql").read_text())
        for topic in (OUTBOX_TOPIC, FLAT_TOPIC):
            make_topic(self.kafka.bootstrap, topic)
        for kind, numbers in PROCESSES.items():
            self._peers[kind] = [start_peer(self.installation, kind, self.token) for _ in range(max(numbers))]

    def measure(self, load: str, service: Service, task: Task) -> Run:
        """Runs a load; only the measured time counts, without the warm-up.

        With an outbox, the time counts until the relay has sent what the measured time added.
        """
        if service.kind == "outbox":
            self._relay = start_relay(self.installation, OUTBOX_TOPIC)
        meter = self.meter(service)
        generator = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment_of(self.installation),
        )
        assert generator.stdin is not None
        assert generator.stdout is not None
        try:
            json.dump({**asdict(task), "ports": self._ports(service), "token": self.token}, generator.stdin)
            generator.stdin.close()
            if generator.stdout.readline() != "measuring\n":
                raise RuntimeError("the load generator ended before it measured")
            before, waiting_before = meter.read(), self._waiting(service)
            result = generator.stdout.readline()
            drain_s = self._drain(waiting_before) if service.kind == "outbox" else 0.0
            after = meter.read()
        finally:
            meter.close()
            generator.stdout.close()
            generator.wait()
            if self._relay is not None:
                self._relay.stop()
                self._relay = None
        return run_of(load, str(service), Outcome(**json.loads(result)), before, after, drain_s)

    def require_stored(self, service: Service, run: Run, in_kafka_before: int) -> None:
        """Raises RuntimeError unless every order that was answered is in Postgres, and in Kafka if the service has a
        topic. The tables were empty before the run."""
        table = "orders" if service == OURS else "direct_orders"
        found = {"Postgres": number_of(self.url, f"SELECT count(*) FROM {table}")}
        if service.kind in self._topics():
            found["Kafka"] = self.in_kafka(service) - in_kafka_before
        for where, orders in found.items():
            if orders < run.answered_orders:
                raise RuntimeError(f"{service} answered {run.answered_orders} orders, and {orders} are in {where}")

    def in_kafka(self, service: Service) -> int:
        """Records in the topic of the service so far; 0 if it has none."""
        topic = self._topics().get(service.kind)
        return 0 if topic is None else sum(self.installation.end_offsets(topic).values())

    def meter(self, service: Service | None = None) -> Meter:
        """Of the processes that work for a service; without one, of all that consume."""
        return Meter(self._pids(service), self.kafka.folder / "log", self.url)

    def applied(self) -> int:
        """Events that are in the tables, of all partitions."""
        return number_of(self.url, "SELECT sum(next_offset)::bigint FROM consumer_partition")

    def write_backlog(self, events: int, first: int, total: int) -> None:
        """Events as our ingress writes them, for the consumers."""
        topic = self.installation.settings.topics.upserts
        write_backlog(self.kafka.bootstrap, topic, canonical_templates(), events, first, total)

    def write_backlog_for_debezium(self, events: int, first: int, total: int) -> None:
        write_backlog(self.kafka.bootstrap, FLAT_TOPIC, flat_templates(), events, first, total)

    def start_consumer(self) -> None:
        self.consumers.append(self.installation.start_consumer())

    def launch_consumer(self) -> Child:
        """Does not wait for its partitions."""
        return self.installation.start("consumer", PYTHON_PATH, self._consumer_program)

    def stop_consumers(self) -> None:
        for child in self.consumers:
            child.stop()
        self.consumers = []

    def with_partitions(self, count: int) -> "Stack":
        """Another topic and another database on the same servers, with nothing running."""
        database = f"partitions_{count}"
        execute(self.url, f"CREATE DATABASE {database}")
        other = Stack(self._folder, self.kafka, self.postgres, database)
        other.installation.running = self.installation.running
        program = [sys.executable, "-m", "bench.many_partitions", str(count)]
        subprocess.run([*program, "setup"], env=environment_of(other.installation), check=True, capture_output=True)
        execute(
            other.url, f"INSERT INTO consumer_partition SELECT generate_series({UPSERT_PARTITIONS}, {count - 1}), 0"
        )
        other._consumer_program = [*program, "consumer"]
        return other

    def _topics(self) -> dict[str, str]:
        return {"ours": self.installation.settings.topics.upserts, "outbox": OUTBOX_TOPIC}

    def _ports(self, service: Service) -> list[int]:
        return [process.port for process in self._processes(service)]

    def _processes(self, service: Service) -> list[Ingress]:
        if service == OURS:
            assert self._ingress is not None
            return [self._ingress]
        return self._peers[service.kind][: service.processes]

    def _pids(self, service: Service | None) -> dict[str, list[int]]:
        pids = {"kafka": [self.kafka.child.pid], "postgres": [self.postgres.child.pid]}
        if service is None and self.debezium.child is not None:
            pids["debezium"] = [self.debezium.child.pid]
        if service in (None, OURS):
            pids |= {f"consumer {n}" if n > 1 else "consumer": [c.pid] for n, c in enumerate(self.consumers, 1)}
        if service is not None:
            name = "ingress" if service == OURS else "service"
            pids[name] = [process.child.pid for process in self._processes(service)]
        if self._relay is not None:
            pids["relay"] = [self._relay.pid]
        return pids

    def _waiting(self, service: Service) -> int:
        """Orders that the relay has not taken yet."""
        return number_of(self.url, "SELECT count(*) FROM outbox") if service.kind == "outbox" else 0

    def _drain(self, waiting_before: int) -> float:
        """Waits until the relay has sent everything. The seconds that this took for what the measured time added."""
        waiting, from_s = number_of(self.url, "SELECT count(*) FROM outbox"), time.perf_counter()
        deadline_s = from_s + _DRAINED_TIMEOUT_S
        while number_of(self.url, "SELECT EXISTS (SELECT FROM outbox)::integer"):
            assert self._relay is not None
            if self._relay.exit_code is not None:
                raise self._relay.death()
            if time.perf_counter() > deadline_s:
                raise RuntimeError("the relay did not send everything")
            time.sleep(_DRAINED_CHECK_S)
        return drain_s_of(waiting_before, waiting, time.perf_counter() - from_s)


def drain_s_of(waiting_before: int, waiting_after: int, seconds: float) -> float:
    """The part of the `seconds` of draining that is for the orders that came to wait in the measured time."""
    return seconds * max(0, waiting_after - waiting_before) / waiting_after if waiting_after else 0.0


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
                    try:
                        yield stack
                    finally:
                        stack.debezium.stop()
            finally:
                postgres.stop()
        finally:
            kafka.stop()
