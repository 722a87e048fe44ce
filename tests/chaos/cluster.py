"""Everything that runs: brokers, Postgres, ingresses, consumers, and the proxy between any two of them."""

import os
import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psycopg

from chaos.audit import AUDIT
from chaos.brokers import CLIENTS, ClusterNode, NodePorts
from chaos.clock import Clock, compile_clock
from chaos.lost_log import LostLog
from chaos.proxy import Proxy
from chaos.workload import INGRESSES
from consumer.postgres.migrate import migrate
from deploy.local.child import Child
from deploy.local.kafka import new_cluster_id
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import PostgresServer
from deploy.setup import set_up_topics
from support.http import is_ready
from support.installation import Installation
from support.small_disk import small_disk
from support.waiting import HANG_S

TESTS = Path(__file__).parents[1]
CONSUMERS = 2
DISK_BYTES = 1 << 30


@dataclass
class IngressSlot:
    """The ingresses that run on one port, one after another. `wanted`: start it again if it ended."""

    number: int
    port: int
    proxy_port: int
    child: Child
    wanted: bool = True

    @property
    def is_ready(self) -> bool:
        return is_ready(self.port)


@dataclass
class Cluster:
    """`programs`: what is started instead of `orders ingress` and `orders consumer`."""

    folder: Path
    brokers: int = 1
    programs: Mapping[str, list[str]] = field(default_factory=dict)
    running: ExitStack = field(default_factory=ExitStack)
    ingresses: list[IngressSlot] = field(default_factory=list)
    consumers: list[Child] = field(default_factory=list)
    ended: list[Child] = field(default_factory=list)
    """Processes that were killed, or got SIGTERM."""
    frozen: set[int] = field(default_factory=set)
    """Process ids of the consumers that are frozen (SIGSTOP) right now."""
    writing: list[Thread] = field(default_factory=list)
    """Foreign writers that may not have written everything yet."""
    lost: LostLog | None = None
    """If Kafka lost something, what it had before."""
    complaints: list[str] = field(default_factory=list)
    """What did not go as the operators are promised."""

    def start(self, partners: tuple[str, ...]) -> dict[str, str]:
        """Returns the token of each partner, when everything is ready. Raises StackError."""
        self.proxy = Proxy()
        self.running.callback(self.proxy.close)
        self.nodes = self._make_nodes()
        for node in self.nodes:
            node.launch()
            self.running.callback(node.kill)  # its data is not needed any more
        self.postgres = PostgresServer(self.folder / "postgres", stable_port())
        self.has_own_disk = self.running.enter_context(small_disk(self.postgres.folder, DISK_BYTES))
        self.postgres.start()
        self.running.callback(lambda: self.postgres.stop())
        for node in self.nodes:
            node.wait()
        bootstrap = ",".join(node.bootstrap for node in self.nodes)
        self.installation = Installation(bootstrap, self.postgres.url(), self.folder, running=self.running)
        self._set_up()
        registry = self.installation.registry()
        tokens = {partner: registry.add(partner) for partner in partners}
        for number in range(INGRESSES):
            self._add_ingress(number)
        for _ in range(CONSUMERS):
            self.add_consumer()
        for slot in self.ingresses:
            slot.child.wait_until(lambda slot=slot: slot.is_ready, HANG_S)  # type: ignore[misc]
        for consumer in self.consumers:
            consumer.wait_until(lambda consumer=consumer: b"assigned:" in consumer.log.read_bytes(), HANG_S)  # type: ignore[misc]
        return tokens

    def stop(self) -> None:
        for child in [*self.consumers, *self.ended, *(slot.child for slot in self.ingresses)]:
            child.kill()  # a frozen one notices no other signal
        self.running.close()

    def fence(self, server: PostgresServer | None = None) -> dict[int, int]:
        """The watermark *applied* of each partition."""
        with psycopg.connect((server or self.postgres).url()) as connection:
            return dict(connection.execute("SELECT partition, next_offset FROM consumer_partition").fetchall())

    def take_over(self, standby: PostgresServer) -> None:
        """From now on it is Postgres."""
        self.postgres = standby
        self.installation.postgres_url = standby.url()

    # processes

    def add_consumer(self) -> Child:
        variables = {
            "ORDERS_KAFKA_BOOTSTRAP": self._bootstrap("consumer"),
            "ORDERS_POSTGRES_URL": self._postgres_url("consumer"),
        }
        child = self._start("consumer", variables)
        self.consumers.append(child)
        return child

    def start_ingress(self, port: int) -> Child:
        """Does not wait for it."""
        variables = {
            "ORDERS_KAFKA_BOOTSTRAP": self._bootstrap("ingress"),
            "ORDERS_POSTGRES_URL": self._postgres_url("ingress"),
            "ORDERS_PORT": str(port),
        }
        return self._start("ingress", variables)

    def leave(self, child: Child) -> None:
        """It was killed or got SIGTERM, and is not counted as running any more."""
        if child in self.consumers:
            self.consumers.remove(child)
        self.ended.append(child)

    def _add_ingress(self, number: int) -> None:
        port, proxy_port = stable_port(), stable_port()
        self.proxy.add("partner-ingress", proxy_port, port)
        self.ingresses.append(IngressSlot(number, port, proxy_port, self.start_ingress(port)))

    def _start(self, command: str, variables: dict[str, str]) -> Child:
        program = self.programs.get(command)
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        return self.installation.start(command, {"PYTHONPATH": path, **variables}, program)

    # servers

    def _make_nodes(self) -> list[ClusterNode]:
        ports = []
        self._kafka_proxies: dict[str, list[int]] = {client: [] for client in CLIENTS}
        for _ in range(self.brokers):
            node_ports = NodePorts(
                stable_port(),
                stable_port(),
                {client: stable_port() for client in CLIENTS},
                {client: stable_port() for client in CLIENTS},
            )
            ports.append(node_ports)
            for client in CLIENTS:
                self.proxy.add(f"{client}-kafka", node_ports.proxies[client], node_ports.clients[client])
                self._kafka_proxies[client].append(node_ports.proxies[client])
        cluster_id, classes = new_cluster_id(), self.folder / "clock"
        compile_clock(classes)
        clocks = [Clock(classes, self.folder / f"clock-{node}") for node in range(self.brokers)]
        return [
            ClusterNode(self.folder / f"kafka-{node}", node, ports, cluster_id, clock)
            for node, clock in enumerate(clocks)
        ]

    def _bootstrap(self, client: str) -> str:
        return ",".join(f"{LOOPBACK}:{port}" for port in self._kafka_proxies[client])

    def _postgres_url(self, client: str) -> str:
        """Of both hosts: the standby takes over if it is promoted, and until then nobody is there."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self._postgres_proxies[client])
        return f"postgresql://orders@{hosts}/orders?target_session_attrs=read-write"

    def _set_up(self) -> None:
        set_up_topics(self.installation.settings, None)
        migrate(self.postgres.url())
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute(AUDIT)
            # With a large reserve of log files it could go on writing on a full disk.
            connection.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
            connection.execute("ALTER SYSTEM SET min_wal_size = '32MB'")
            connection.execute("SELECT pg_reload_conf()")
        self.standby_port = stable_port()
        self._postgres_proxies = {client: (stable_port(), stable_port()) for client in CLIENTS}
        for client, ports in self._postgres_proxies.items():
            for port, upstream_port in zip(ports, (self.postgres.port, self.standby_port), strict=True):
                self.proxy.add(f"{client}-postgres", port, upstream_port)


_given: set[int] = set()


def stable_port() -> int:
    """A port that the kernel gives to no client, so it is still free when its server starts again."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
