"""One or three KRaft nodes, with a listener for each kind of client, so that each can be reached through the proxy."""

from dataclasses import dataclass, field
from pathlib import Path

from chaos.clock import Clock
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK

CLIENTS = ("ingress", "consumer")
_NEVER_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class NodePorts:
    """The node listens on `clients`. The clients connect to `proxies`."""

    plain: int
    controller: int
    clients: dict[str, int] = field(default_factory=dict)
    proxies: dict[str, int] = field(default_factory=dict)


class ClusterNode(KafkaBroker):
    """A node of a cluster whose topics have three copies, of which two must be there (one of one, on a single node)."""

    def __init__(self, folder: Path, node: int, ports: list[NodePorts], cluster_id: str, clock: Clock) -> None:
        super().__init__(folder, ports[node].plain, cluster_id)
        self.node = node
        self.clock = clock
        self._ports = ports

    def class_path(self) -> str:
        return f"{self.clock.folder}:{super().class_path()}"

    def properties(self, log: Path) -> str:
        """The local stack's, and over them what a cluster needs: of two equal names the later one counts."""
        ports, copies = self._ports[self.node], len(self._ports)
        listeners = {"PLAINTEXT": ports.plain, "CONTROLLER": ports.controller}
        listeners |= {name.upper(): port for name, port in ports.clients.items()}
        advertised = {"PLAINTEXT": ports.plain, **{name.upper(): port for name, port in ports.proxies.items()}}
        voters = (f"{node + 1}@{LOOPBACK}:{peer.controller}" for node, peer in enumerate(self._ports))
        ours = {
            "node.id": self.node + 1,
            "controller.quorum.voters": ",".join(voters),
            "listeners": _addresses(listeners),
            "advertised.listeners": _addresses(advertised),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
            "inter.broker.listener.name": "PLAINTEXT",
            "default.replication.factor": copies,
            "min.insync.replicas": min(2, copies),
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": min(2, copies),
            # The checker reads all results at the end: a clock that is ahead must not remove them by their age.
            "log.initial.task.delay.ms": _NEVER_MS,
            "log.retention.check.interval.ms": _NEVER_MS,
        }
        return super().properties(log) + "".join(f"{name}={value}\n" for name, value in ours.items())


def _addresses(listeners: dict[str, int]) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items())
